from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.errors import BinningMismatchError
from bkgpipe.tools.compare.data import (
    BinRates,
    Comparison,
    FileModel,
    RunComparison,
    StoreComparison,
)

AXES = Binning(
    energy_edges=np.array([1.0, 2.0, 4.0, 8.0]),
    fov_lon_edges=np.linspace(-1.0, 1.0, 5),
    fov_lat_edges=np.linspace(-1.0, 1.0, 6),
    offset_edges=np.array([0.0, 0.5, 1.0]),
)


def _rates(value: float, shape: tuple[int, ...], error: float = 0.1) -> BinRates:
    return BinRates(
        rate=np.full(shape, value),
        error=np.full(shape, error) if error else np.empty(0),
        systematic=0.0,
        error_source="x",
    )


def _pair(*, is_3d: bool = False, error: float = 0.1) -> Comparison:
    shape = AXES.shape_3d if is_3d else AXES.shape_2d
    is_used = np.ones(shape, dtype=bool)
    is_used[0] = False
    offset = np.full((4, 5), 0.2) if is_3d else np.array([0.25, 0.75])
    if is_3d:
        offset[0] = 0.9
    return Comparison(
        binning=AXES,
        a=_rates(6.0, shape, error),
        b=_rates(4.0, shape, error),
        is_used=is_used,
        solid_angle=AXES.solid_angle_3d if is_3d else AXES.solid_angle_2d,
        offset=offset,
    )


def test_a_file_model_knows_its_kind_and_reach() -> None:
    image = FileModel(
        energy_edges=AXES.energy_edges,
        field_edges=(np.linspace(-1.0, 2.0, 5), np.linspace(-3.0, 3.0, 6)),
        rate=np.ones((3, 4, 5)),
    )
    assert image.is_3d
    assert image.offset_max == 1.0
    rings = FileModel(
        energy_edges=AXES.energy_edges,
        field_edges=(AXES.offset_edges,),
        rate=np.ones((3, 2)),
    )
    assert not rings.is_3d
    assert rings.offset_max == 1.0


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": np.ones((2, 3))},
        {"error": np.ones((2, 3))},
        {"energy_edges": np.array([1.0, 1.0, 2.0, 3.0])},
    ],
)
def test_a_file_model_of_another_shape_is_refused(
    changes: dict[str, np.ndarray],
) -> None:
    given = {
        "energy_edges": AXES.energy_edges,
        "field_edges": (AXES.offset_edges,),
        "rate": np.ones((3, 2)),
    }
    with pytest.raises(BinningMismatchError, match=r"model.*\[binning\]"):
        FileModel(**(given | changes))


def test_errors_of_another_shape_are_refused() -> None:
    with pytest.raises(BinningMismatchError, match="error"):
        BinRates(
            rate=np.ones((3, 2)),
            error=np.ones((2, 3)),
            systematic=0.0,
            error_source="",
        )


def test_rates_of_another_shape_are_refused() -> None:
    with pytest.raises(BinningMismatchError, match=r"b: "):
        Comparison(
            binning=AXES,
            a=_rates(1.0, (3, 2)),
            b=_rates(1.0, (2, 3)),
            is_used=np.ones((3, 2), dtype=bool),
            solid_angle=AXES.solid_angle_2d,
            offset=np.array([0.25, 0.75]),
        )


def test_error_and_systematic_add_in_quadrature() -> None:
    rates = BinRates(
        rate=np.array([10.0]), error=np.array([0.3]), systematic=0.4, error_source=""
    )
    np.testing.assert_allclose(rates.sigma, [5.0])


@pytest.mark.parametrize("is_3d", [False, True])
def test_ratio_difference_and_pull(is_3d: bool) -> None:
    pair = _pair(is_3d=is_3d)
    assert pair.is_3d == is_3d
    assert pair.n_bins == pair.is_used.sum()
    np.testing.assert_allclose(pair.ratio[1:], 1.5)
    np.testing.assert_allclose(pair.difference[1:], 2.0)
    np.testing.assert_allclose(pair.pull[1:], 2.0 / np.hypot(0.6, 0.4))
    for values in (pair.ratio, pair.difference, pair.pull):
        assert np.isnan(values[0]).all()
    assert not pair.size[0].any()
    expected = 6.0 * pair.solid_angle.sum()
    assert pair.size.sum() == pytest.approx(expected)


def test_without_errors_there_are_no_pulls() -> None:
    pair = _pair(error=0.0)
    assert not pair.has_pulls
    assert np.isnan(pair.pull).all()
    assert _pair().has_pulls


def test_bands_share_out_the_bins_that_are_used() -> None:
    pair = _pair()
    assert [band.tolist() for band in pair.bands(())] == [[1], [2]]
    assert [band.tolist() for band in pair.bands((), n_bands=1)] == [[1, 2]]


def test_bands_that_are_given_move_to_the_bins() -> None:
    pair = _pair()
    assert [band.tolist() for band in pair.bands((1.0, 2.1, 8.5))] == [[1, 2]]
    assert [band.tolist() for band in pair.bands((2.0, 4.0, 8.0))] == [[1], [2]]


@pytest.mark.parametrize("is_3d", [False, True])
def test_the_spectrum_is_the_mean_of_the_field(is_3d: bool) -> None:
    pair = _pair(is_3d=is_3d)
    mean, error = pair.spectrum(pair.a)
    np.testing.assert_allclose(mean, [np.nan, 6.0, 6.0])
    np.testing.assert_allclose(error, [np.nan, 0.6, 0.6])


@pytest.mark.parametrize("is_3d", [False, True])
def test_the_profile_integrates_over_the_band(is_3d: bool) -> None:
    pair = _pair(is_3d=is_3d)
    offset, mean, error = pair.profile(pair.b, np.array([1, 2]))
    np.testing.assert_allclose(offset, [0.25, 0.75])
    np.testing.assert_allclose(mean, 4.0 * (2.0 + 4.0))
    np.testing.assert_allclose(error, 0.1 * 24.0)


def test_a_profile_has_gaps_where_nothing_is_used() -> None:
    pair = _pair()
    _, mean, _ = pair.profile(pair.a, np.array([0, 1]))
    assert np.isnan(mean).all()


def test_an_image_is_an_integral() -> None:
    pair = _pair(is_3d=True)
    np.testing.assert_allclose(pair.image(pair.a.rate, np.array([1, 2])), 36.0)
    assert np.isnan(pair.image(pair.a.rate, np.array([0, 1]))).all()


def test_a_store_comparison_lists_its_ratios() -> None:
    runs = tuple(
        RunComparison(
            obs_id=i,
            n_bins=3,
            ontime=1.0,
            ratio=ratio,
            rms=0.1,
            pull_mean=0.0,
            pull_width=1.0,
        )
        for i, ratio in enumerate((0.9, 1.2))
    )
    found = StoreComparison(name_a="a", name_b="b", mean=_pair(), runs=runs)
    np.testing.assert_array_equal(found.ratios, [0.9, 1.2])
