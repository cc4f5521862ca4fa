from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.stages.count.data import Conservation, RunCounts
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.report.figures import (
    _from_plane,
    _to_plane,
    figure_counts,
    figure_mask,
    figure_rate,
    make_figure,
)
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.stack.data import Stack


def _texts(figure) -> list[str]:
    return [ax.get_title() for ax in figure.axes] + [
        text.get_text() for ax in figure.axes for text in ax.texts
    ]


def _images(figure) -> list[np.ndarray]:
    """Values that the maps of a figure show, without those of the colour bars."""
    maps = [ax for ax in figure.axes if ax.get_xlabel() == "fov_lon [deg]"]
    return [drawn.get_array() for ax in maps for drawn in ax.collections]


def _bands(figure) -> list[str]:
    """Return the energies of the images of a rate."""
    titles = [text.split("\n") for text in _texts(figure) if "\n" in text]
    return [band for band, _ in titles]


def test_rate_has_four_bands_of_the_energies_seen(rate_model: RateModel):
    figure = figure_rate(rate_model)
    bands = _bands(figure)
    edges = rate_model.binning.energy_edges
    assert len(bands) == 4
    # the two lowest bins were below the safe energy
    assert bands[0].startswith(f"{edges[2]:.3g} to")
    assert bands[-1] == f"{edges[6]:.3g} to {edges[7]:.3g} TeV"


def test_rate_images_conserve_the_integral(rate_model: RateModel):
    images = _images(figure_rate(rate_model))
    width = rate_model.binning.energy_width
    integral = np.tensordot(width, rate_model.rate_3d, axes=1)
    # latitude runs upward: images are drawn transposed
    assert images[0].shape == (4, 5)
    np.testing.assert_allclose(sum(images), integral.T)


def test_each_image_says_what_its_brightest_bin_is(rate_model: RateModel):
    figure = figure_rate(rate_model)
    titles = [text for text in _texts(figure) if "\n" in text]
    for image, title in zip(_images(figure), titles, strict=True):
        assert title.endswith(f"\nup to {float(f'{image.max():.3g}'):g} s-1 sr-1")
    (images,) = (ax for ax in figure.axes if ax.get_xlabel() == "fov_lon [deg]")
    assert {drawn.norm.vmin for drawn in images.collections} == {0.0}
    highest = [drawn.norm.vmax for drawn in images.collections]
    assert highest == [image.max() for image in _images(figure)]


def test_a_large_rate_is_written_without_a_power_of_ten(rate_model: RateModel):
    factor = 2244.0 / _images(figure_rate(rate_model))[0].max()
    bright = replace(rate_model, rate_3d=rate_model.rate_3d * factor)
    titles = [text for text in _texts(figure_rate(bright)) if "\n" in text]
    assert titles[0].endswith("up to 2240 s-1 sr-1")


def test_images_side_by_side_have_the_same_ticks(rate_model: RateModel):
    (ax, *_) = figure_rate(rate_model).axes
    labels = [label.get_text() for label in ax.get_xticklabels()]
    edges = rate_model.binning.fov_lon_edges
    assert len(labels) % 4 == 0
    assert labels == labels[: len(labels) // 4] * 4
    frames = [patch.get_x() for patch in ax.patches]
    shifts = np.repeat(np.array(frames) - edges[0], len(labels) // 4)
    np.testing.assert_allclose(ax.get_xticks() - shifts, [float(x) for x in labels])


def test_unseen_bins_are_not_drawn_as_zero(rate_model: RateModel):
    exposure = rate_model.exposure_3d.copy()
    exposure[:, 4, 0] = 0.0
    image = _images(figure_rate(replace(rate_model, exposure_3d=exposure)))[0]
    assert np.ma.getmaskarray(image)[0, 4]
    assert np.ma.getmaskarray(image).sum() == 1


def test_bands_are_as_wide_as_the_errors(rate_model: RateModel):
    error = np.full(rate_model.rate_2d.shape, 0.2)
    figure = figure_rate(replace(rate_model, error_2d=error, systematic=0.15))
    _, spectrum, _, errors = figure.axes[2:6]
    (line,) = spectrum.lines
    statistical, total = (
        band.get_paths()[0].vertices[:, 1] for band in spectrum.collections
    )
    highest = np.nanmax(line.get_ydata())
    assert np.nanmax(statistical) == pytest.approx(1.2 * highest)
    # 0.2 and 0.15 in quadrature
    assert np.nanmax(total) == pytest.approx(1.25 * highest)
    values = errors.lines[0].get_ydata()
    np.testing.assert_allclose(values[np.isfinite(values)], 20.0)


def test_a_band_stays_above_zero(rate_model: RateModel):
    error = np.full(rate_model.rate_2d.shape, 3.0)
    spectrum = figure_rate(replace(rate_model, error_2d=error)).axes[3]
    band = spectrum.collections[0].get_paths()[0].vertices[:, 1]
    assert np.nanmin(band) > 0


def test_unknown_errors_are_said_to_be(rate_model: RateModel):
    assert _texts(figure_rate(rate_model)).count("unknown") == 2


def test_rate_renders(rate_model: RateModel):
    figure_rate(rate_model).draw_without_rendering()


def test_energies_without_events_are_grey(rate_model: RateModel):
    is_fitted = np.array([False, False, False, True, True, True, False])
    figure = figure_rate(replace(rate_model, is_fitted=is_fitted))
    edges = rate_model.binning.energy_edges
    bands = _bands(figure)
    assert [band.split(" to ")[0] for band in bands] == [f"{e:.3g}" for e in edges[3:6]]
    spectrum, errors = (ax for ax in figure.axes if ax.get_xscale() == "log")
    for ax in (spectrum, errors):
        spans = [patch.get_extents().x0 for patch in ax.patches]
        ends = [ax.transData.transform((edge, 1.0))[0] for edge in edges[[0, 6]]]
        np.testing.assert_allclose(spans, ends)
    assert [text.get_text() for text in spectrum.get_legend().texts] == ["no events"]
    figure.draw_without_rendering()


def test_nothing_is_grey_where_all_energies_have_events(rate_model: RateModel):
    figure = figure_rate(rate_model)
    spectrum, errors = (ax for ax in figure.axes if ax.get_xscale() == "log")
    assert not [*spectrum.patches, *errors.patches]
    assert spectrum.get_legend() is None


def test_rate_without_any_event_renders(rate_model: RateModel):
    nothing = replace(rate_model, is_fitted=np.zeros(7, dtype=bool))
    figure = figure_rate(nothing)
    assert not _bands(figure)
    figure.draw_without_rendering()


def test_rate_of_nothing_renders(rate_model: RateModel):
    nothing = {
        name: np.zeros_like(getattr(rate_model, name))
        for name in ("rate_3d", "exposure_3d", "rate_2d", "exposure_2d")
    }
    figure_rate(replace(rate_model, **nothing)).draw_without_rendering()


def test_rate_of_a_single_bin_renders(rate_model: RateModel):
    binning = Binning(
        energy_edges=np.array([1.0, 10.0]),
        fov_lon_edges=np.array([-2.0, 2.0]),
        fov_lat_edges=np.array([-2.0, 2.0]),
        offset_edges=np.array([0.0, 2.0]),
    )
    single = replace(
        rate_model,
        binning=binning,
        rate_3d=np.ones((1, 1, 1)),
        exposure_3d=np.ones((1, 1, 1)),
        rate_2d=np.ones((1, 1)),
        exposure_2d=np.ones((1, 1)),
    )
    figure = figure_rate(single)
    assert _bands(figure) == ["1 to 10 TeV"]
    figure.draw_without_rendering()


@pytest.mark.parametrize("kind", ["run_counts", "stack"])
def test_counts_show_the_counts(kind: str, request: pytest.FixtureRequest):
    product: RunCounts | Stack = request.getfixturevalue(kind)
    figure = figure_counts(product)
    counts, exposure = _images(figure)
    np.testing.assert_array_equal(counts, product.counts_3d.sum(axis=0).T)
    np.testing.assert_allclose(exposure, product.exposure_3d[-1].T)
    figure.draw_without_rendering()


def test_counts_of_an_empty_run_render(run_counts: RunCounts):
    empty = replace(
        run_counts,
        counts_3d=np.zeros_like(run_counts.counts_3d),
        counts_2d=np.zeros_like(run_counts.counts_2d),
        solid_angle_3d=np.zeros_like(run_counts.solid_angle_3d),
        conservation=Conservation(),
    )
    figure_counts(empty).draw_without_rendering()


def test_mask_shows_excluded_pixels_and_names(exclusion_mask: ExclusionMask):
    figure = figure_mask(exclusion_mask)
    (ax,) = figure.axes
    is_kept = ax.collections[0].get_array()
    assert not is_kept[200, 200]
    assert is_kept[0, 0]
    assert {text.get_text() for text in ax.texts} == {"Crab Nebula", "custom"}
    # east is left
    assert ax.get_xlim()[0] > ax.get_xlim()[1]
    figure.draw_without_rendering()


def test_mask_area_is_that_of_its_pixels(exclusion_mask: ExclusionMask):
    (ax,) = figure_mask(exclusion_mask).axes
    is_kept = ax.collections[0].get_array()
    side = abs(np.subtract(*ax.get_xlim()))
    n_pixels = exclusion_mask.excluded_pixels.size
    area = np.mean(is_kept == 0) * side**2
    assert area == pytest.approx(n_pixels * 41252.96 / (12 * 256**2), rel=0.02)


def test_mask_without_regions_says_so(exclusion_mask: ExclusionMask):
    empty = replace(
        exclusion_mask,
        excluded_pixels=np.empty(0, dtype=np.int64),
        region_names=(),
        region_origins=(),
        region_circles=np.empty((0, 4)),
        region_capped=np.empty(0, dtype=bool),
    )
    figure = figure_mask(empty)
    assert "nothing is excluded" in _texts(figure)
    figure.draw_without_rendering()


@pytest.mark.parametrize("centre", [(0.1, -60.0), (359.9, 45.0), (83.6, 89.5)])
def test_plane_there_and_back(centre: tuple[float, float]):
    x, y = np.array([-1.5, 0.0, 2.0]), np.array([0.5, 0.0, -1.0])
    ra, dec = _from_plane(x, y, centre)
    there_x, there_y = _to_plane(ra, dec, centre)
    np.testing.assert_allclose([there_x, there_y], [x, y], atol=1e-10)


@pytest.mark.parametrize(
    ("kind", "n_axes"),
    [("rate_model", 6), ("stack", 6), ("exclusion_mask", 1), ("ranking", 2)],
)
def test_make_figure_chooses_by_type(
    kind: str, n_axes: int, request: pytest.FixtureRequest
):
    assert len(make_figure(request.getfixturevalue(kind)).axes) == n_axes


def test_make_figure_refuses_what_has_no_picture():
    with pytest.raises(TypeError, match="no picture of a Conservation"):
        make_figure(Conservation())
