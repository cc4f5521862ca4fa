"""Draw what runs recorded beside models that have not seen them, for the README.

Run it as ``python benchmarks/readme_figure.py [FOLDER]``, with ``$GAMMAPY_DATA`` naming
a folder that holds ``hess-dl3-dr1``; it writes
``docs/_static/model_against_data.png``. The models are those of ``bkgpipe validate``:
each run is predicted from the runs of the other four folds. They are made in FOLDER, or
found there, if one is given; that takes one or two minutes on two cores. The data are
the public test data release 1 of H.E.S.S.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bkgpipe.core.binning import Binning
from bkgpipe.plot.axes import COLORS, MARKERS, simplify_ticks
from bkgpipe.plot.images import save_figure
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.smooth.files import MODELS

_BANDS = ((0.55, 0.95), (0.95, 3.0), (3.0, 30.0))  # [TeV], moved to the next edges
_FEWEST = 10  # events predicted in a bin of the spectrum that is drawn
_FIGURE = Path(__file__).parents[1] / "docs" / "_static" / "model_against_data.png"


class Profiles(NamedTuple):
    """Sums over runs, shape ``(n_energy, n_offset)``: events, predicted, s sr."""

    binning: Binning
    counts: np.ndarray
    predicted: np.ndarray
    exposure: np.ndarray


def main(folder: Path) -> None:
    """Make the models unless they are there, print the sums, and draw the figure."""
    store = Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1"
    config, output = folder / "luigi.cfg", folder / "models"
    if not config.exists():
        _call("init", "--data", store, "--output", output, "--config", config)
    _call("validate", "--workers", "2", "--config", config)
    found = _add_runs(output / "validate")
    total, predicted = found.counts.sum(), found.predicted.sum()
    print(f"{total} events, {predicted:.0f} predicted: {predicted / total:.3f}")
    _FIGURE.parent.mkdir(exist_ok=True)
    save_figure(draw(found), _FIGURE)
    print(f"Wrote {_FIGURE} ({_FIGURE.stat().st_size / 1000:.0f} kB)")


def _call(*words: str | Path) -> None:
    command = [sys.executable, "-m", "bkgpipe", *map(str, words)]
    subprocess.run(command, check=True)  # noqa: S603 - the package itself


def _add_runs(folder: Path) -> Profiles:
    """Add up all runs, each with the model of the fold that it was left out of."""
    parts = [part for fold in sorted(folder.glob("fold-*")) for part in _fold(fold)]
    return Profiles(
        parts[0].binning,
        np.sum([part.counts for part in parts], axis=0),
        np.sum([part.predicted for part in parts], axis=0),
        np.sum([part.exposure for part in parts], axis=0),
    )


def _fold(folder: Path) -> Iterator[Profiles]:
    models = {
        obs_id: model
        for path in folder.glob("smooth-*/smooth_*.h5")
        for obs_id, model in MODELS.read(path).records.items()
    }
    for path in folder.glob("count-*/count_*.h5"):
        for obs_id, run in COUNTS.read(path).records.items():
            if obs_id in models:
                width = np.diff(run.binning.energy_edges)[:, np.newaxis]
                predicted = models[obs_id].rate_2d * run.exposure_2d * width
                yield Profiles(run.binning, run.counts_2d, predicted, run.exposure_2d)


def draw(profiles: Profiles) -> Figure:
    """Draw offset profiles in bands of energy, and the spectrum, with ratios below."""
    figure = Figure(figsize=(9.0, 5.0), layout="constrained")
    (field, spectrum), (below, right) = figure.subplots(
        2, 2, sharex="col", gridspec_kw={"height_ratios": (2.4, 1.0)}
    )
    _draw_field(field, below, profiles)
    _draw_spectrum(spectrum, right, profiles)
    for ax in (below, right):
        ax.axhline(1.0, color="0.5", linewidth=1)
        ax.set_ylabel("points / line")
        ax.set_ylim(0.85, 1.15)
    for ax in (field, spectrum, below, right):
        ax.grid(visible=True, alpha=0.3)
    field.set_ylabel("events")
    return figure


def _draw_field(ax: Axes, below: Axes, profiles: Profiles) -> None:
    energies, edges = profiles.binning.energy_edges, profiles.binning.offset_edges
    for (start, stop), *style in zip(_BANDS, COLORS, MARKERS, strict=False):
        first, last = np.searchsorted(energies, (start, stop))
        band = slice(first, last)
        label = f"{energies[first]:.2g} to {energies[last]:.2g} TeV"
        sums = profiles.counts[band].sum(axis=0), profiles.predicted[band].sum(axis=0)
        _draw((ax, below), edges, sums, (*style, label))
    ax.set_ylim(bottom=0.0)
    below.set_xlabel("offset from the pointing [deg]")
    title = "Counted (points), predicted (lines); equal solid angles"
    ax.set_title(title, fontsize="medium")
    ax.legend(fontsize="small")


def _draw_spectrum(ax: Axes, below: Axes, profiles: Profiles) -> None:
    counts, predicted = profiles.counts.sum(axis=1), profiles.predicted.sum(axis=1)
    first, last = np.flatnonzero(predicted > _FEWEST)[[0, -1]]
    used = slice(first, last + 1)
    edges = profiles.binning.energy_edges[first : last + 2]
    sums = counts[used], predicted[used]
    _draw((ax, below), edges, sums, (COLORS[3], MARKERS[3], "all offsets"))
    ax.set_title("All offsets, above the safe energy of each run", fontsize="medium")
    ax.set(yscale="log", ylim=(_FEWEST, None))
    below.set(xlabel="energy [TeV]", xscale="log")
    simplify_ticks(below.xaxis)


def _draw(
    panels: tuple[Axes, Axes],
    edges: np.ndarray,
    sums: tuple[np.ndarray, np.ndarray],
    style: tuple[str, str, str],
) -> None:
    """Draw points with Poisson errors, the prediction as steps, and their ratio."""
    (above, below), (counts, predicted), (color, marker, label) = panels, sums, style
    centers, errors = (edges[1:] + edges[:-1]) / 2, np.sqrt(counts)
    points = {"fmt": marker, "color": color, "ms": 4, "linewidth": 1}
    above.stairs(predicted, edges, color=color, linewidth=1.2)
    above.errorbar(centers, counts, yerr=errors, label=label, **points)
    below.errorbar(centers, counts / predicted, yerr=errors / predicted, **points)


if __name__ == "__main__":
    if "GAMMAPY_DATA" not in os.environ:
        sys.exit("Set GAMMAPY_DATA to a folder with hess-dl3-dr1")
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with TemporaryDirectory() as folder_name:
            main(Path(folder_name))
