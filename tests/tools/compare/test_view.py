from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.plot.images import save_figure
from bkgpipe.tools.compare.data import (
    BinRates,
    Comparison,
    RunComparison,
    StoreComparison,
)
from bkgpipe.tools.compare.view import describe_comparison, figure_comparison


def _rates(shape: tuple[int, ...], scale: float, error: float) -> BinRates:
    rate = np.random.default_rng(2).uniform(1.0, 2.0, shape)
    return BinRates(
        rate=scale * rate,
        error=np.full(shape, error) if error else np.empty(0),
        systematic=0.0,
        error_source="as stated" if error else "none",
    )


def _pair(binning: Binning, *, is_3d: bool, error: float = 0.1) -> Comparison:
    shape = binning.shape_3d if is_3d else binning.shape_2d
    edges = binning.offset_edges
    offset = np.linspace(0.1, 2.4, int(np.prod(shape[1:]))).reshape(shape[1:])
    return Comparison(
        binning=binning,
        a=_rates(shape, 1.2, error),
        b=_rates(shape, 1.0, 0.0),
        is_used=np.ones(shape, dtype=bool),
        solid_angle=binning.solid_angle_3d if is_3d else binning.solid_angle_2d,
        offset=offset if is_3d else (edges[1:] + edges[:-1]) / 2,
    )


def _run(obs_id: int, ratio: float, *, pull: float = 0.5) -> RunComparison:
    return RunComparison(
        obs_id=obs_id,
        n_bins=21,
        ontime=1680.0,
        ratio=ratio,
        rms=0.03,
        pull_mean=pull,
        pull_width=1.1,
    )


def _found(pair: Comparison, n_runs: int = 3) -> StoreComparison:
    return StoreComparison(
        name_a="ours",
        name_b="theirs",
        mean=pair,
        runs=tuple(_run(100 + i, 1.0 + 0.1 * i) for i in range(n_runs)),
    )


def test_words_hold_a_row_for_each_run_and_band(drawn_binning: Binning) -> None:
    found = replace(
        _found(_pair(drawn_binning, is_3d=True)),
        only_a=tuple(range(1, 21)),
        only_b=(7,),
        left_out={9: "is broken"},
        notes=("B is per live time",),
    )
    text = describe_comparison(found, bands=(0.1, 1.0, 50.0))
    assert "A: ours\n   errors: as stated" in text
    assert "B: theirs\n   errors: none" in text
    assert "image of 20 bins to 2.5 deg; 140 used" in text
    assert "B is per live time" in text
    assert "B has no errors: pulls use those of the other" in text
    assert "101          1.1000     0.0300      +0.50 +- 1.10" in text
    assert "3 runs: A/B 1.1000 +- 0.0816 (median 1.1000, 1.0000 to 1.2000)" in text
    bands = [line for line in text.splitlines() if "TeV   " in line]
    assert [line.split()[4] for line in bands] == ["1.2000"] * 2
    assert "Only in A: 20 runs (1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, ...)" in text
    assert "Only in B: 1 runs (7)" in text
    assert "Not compared: 1 runs\n  9: is broken" in text


def test_words_of_one_pair_have_no_runs(drawn_binning: Binning) -> None:
    text = describe_comparison(_found(_pair(drawn_binning, is_3d=False), 1))
    assert "offset of 3 bins" in text
    assert "band, this pair" in text
    assert "rms of bins   pulls\n" in text
    assert "\nrun " not in text


def test_words_without_errors_say_so(drawn_binning: Binning) -> None:
    pair = _pair(drawn_binning, is_3d=False, error=0.0)
    found = replace(_found(pair), runs=(_run(1, 1.0, pull=np.nan), _run(2, 1.0)))
    text = describe_comparison(found)
    assert "No pulls: neither of them has errors" in text
    assert "1            1.0000     0.0300      -" in text


@pytest.mark.parametrize(
    ("is_3d", "n_runs", "error", "n_axes"),
    [
        # images with their bars in three bands, and six panels below
        (True, 3, 0.1, 3 * 4 * 2 + 6),
        (True, 1, 0.0, 3 * 3 * 2 + 5),
        (False, 3, 0.1, 6),
        (False, 1, 0.0, 5),
    ],
)
def test_figure_has_a_panel_for_each_thing(
    drawn_binning: Binning,
    tmp_path: Path,
    *,
    is_3d: bool,
    n_runs: int,
    error: float,
    n_axes: int,
) -> None:
    pair = _pair(drawn_binning, is_3d=is_3d, error=error)
    figure = figure_comparison(_found(pair, n_runs))
    assert len(figure.axes) == n_axes
    save_figure(figure, tmp_path / "x.png")
    assert (tmp_path / "x.png").stat().st_size > 1000


def test_figure_draws_the_bands_that_are_asked_for(drawn_binning: Binning) -> None:
    pair = _pair(drawn_binning, is_3d=True)
    figure = figure_comparison(_found(pair), bands=(0.1, 1.0, 50.0))
    titles = [ax.get_title() for ax in figure.axes]
    assert sum(title.startswith("A / B") for title in titles) == 2
    assert "3 runs: 1.100 +- 0.082" in titles


def test_figure_shows_pulls_beyond_its_ends(drawn_binning: Binning) -> None:
    pair = _pair(drawn_binning, is_3d=False, error=0.001)
    figure = figure_comparison(_found(pair))
    pulls = next(ax for ax in figure.axes if "pulls" in ax.get_title())
    assert sum(patch.get_height() for patch in pulls.patches) == 21
