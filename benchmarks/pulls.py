"""Pulls of held-out runs by the systematic errors that a regression states.

Runs of a production are left out by folds, by run and by field, and fits of the others
predict them, with the errors that would be written. What is printed of the pulls
(counted - predicted) / sqrt(predicted + (error x predicted)^2) at safe energies is
their number, root mean square and the share within one, for all energies together and
for half decades; wanted are 1.00 and 68 %. Runs of a field are wrong together, so
chances are those of fields drawn at random, and each field counts as one at last.
Usage: ``python benchmarks/pulls.py luigi.cfg [folds]`` after ``bkgpipe run count``
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.settings import read_settings
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.fit.fit import fit_regression
from bkgpipe.stages.fit.fitted import is_judged
from bkgpipe.stages.fit.points import join_runs
from bkgpipe.stages.fit.predict import predict
from bkgpipe.stages.fit.sky_fields import find_sky_fields
from bkgpipe.stages.fit.systematics import measure_systematics, run_systematics
from bkgpipe.stages.fit.terms import make_conditions
from bkgpipe.stages.validate.folds import make_folds

_FOV_ALIGNMENT = "RADEC"
_BANDS_PER_DECADE = 2
_N_DRAWN = 1000


def main(config: Path, n_folds: int) -> None:
    """Print the pulls by run and by field."""
    runs = _read_runs(config)
    edges = runs[0].binning.energy_edges
    decades = np.log10(edges[:-1] / edges[0])
    band = np.floor(decades * _BANDS_PER_DECADE + 1e-9).astype(int)
    for by in ("run", "field"):
        held, found = zip(*_held_out(runs, n_folds=n_folds, by=by), strict=True)
        fields = find_sky_fields(*np.array([(run.ra, run.dec) for run in held]).T)
        total = np.array([one.sum(axis=1) for one, _, _ in found])
        errors = np.array([error for _, error, _ in found])
        _print(f"by {by:5} all energies", total, errors, fields=fields)
        for number in range(band.max() + 1):
            inside = band == number
            part = np.array([one[:, inside].sum(axis=1) for one, _, _ in found])
            errors = np.array([_common(of, inside, one) for one, _, of in found])
            low, high = edges[:-1][inside][0], edges[1:][inside][-1]
            what = f"by {by:5} {low:.2g} to {high:.2g} TeV"
            _print(what, part, errors, fields=fields)


def _read_runs(config: Path) -> list[RunCounts]:
    folder = read_settings(config).folder("count")
    runs: dict[int, RunCounts] = {}
    for path in folder.glob("count_*.h5"):
        runs |= COUNTS.read(path).records
    return [runs[obs_id] for obs_id in sorted(runs)]


def _held_out(
    runs: list[RunCounts], *, n_folds: int, by: str
) -> Iterator[tuple[Run, tuple[np.ndarray, float, np.ndarray]]]:
    """Predict each run; yield it, counted and predicted by energy, and the errors."""
    folds = make_folds(
        [run.run for run in runs],
        n_folds=n_folds,
        by=by,
        rng=np.random.default_rng(1),
    )
    for fold in folds:
        others = [run for run in runs if run.obs_id not in fold]
        point = np.arange(len(others))
        points = join_runs(others, point, fov_alignment=_FOV_ALIGNMENT)
        fit = fit_regression(points, fov_alignment=_FOV_ALIGNMENT)
        fit = measure_systematics(fit, points)
        for run in (run for run in runs if run.obs_id in fold):
            conditions = make_conditions(run, fov_alignment=_FOV_ALIGNMENT)
            predicted = predict(fit, conditions, run.binning)
            total, of_energy = run_systematics(
                fit,
                conditions,
                run.binning,
                pointing=(run.run.ra, run.run.dec),
                excursion_error=predicted.excursion_error,
            )
            use = is_judged(fit, conditions, run.binning)
            mean = (predicted.rate_3d * run.exposure_3d).sum(axis=(1, 2))
            seen = np.where(run.exposure_3d > 0, run.counts_3d, 0).sum(axis=(1, 2))
            counts = np.array([seen, mean * run.binning.energy_width])
            yield run.run, (counts * use, total, of_energy)


def _common(of_energy: np.ndarray, inside: np.ndarray, counts: np.ndarray) -> float:
    """Return the error of a band, which its safe energies have in common."""
    shared = of_energy[inside & (counts[1] > 0)]
    return float(shared[0]) if shared.size else 0.0


def _print(
    what: str, counts: np.ndarray, errors: np.ndarray, *, fields: np.ndarray
) -> None:
    use = counts[:, 1] > 0
    (counted, predicted), error, fields = counts[use].T, errors[use], fields[use]
    pulls = (counted - predicted) / np.sqrt(predicted + (error * predicted) ** 2)
    weight = 1 / np.bincount(fields)[fields]
    rng = np.random.default_rng(1)
    members = [pulls[fields == field] for field in np.unique(fields)]
    drawn = [
        np.concatenate(
            [members[i] for i in rng.integers(len(members), size=len(members))]
        )
        for _ in range(_N_DRAWN)
    ]
    width = np.std([np.std(some) for some in drawn])
    within = np.std([np.mean(np.abs(some) < 1) for some in drawn])
    print(
        f"{what:27} {pulls.size:4d} runs, width {np.std(pulls):.2f} +- "
        f"{width:.2f}, within one {np.mean(np.abs(pulls) < 1):.0%} +- {within:.0%}, "
        f"a field as one: rms {np.sqrt(np.average(pulls**2, weights=weight)):.2f}, "
        f"predicted/counted {predicted.sum() / counted.sum():.3f}, "
        f"mean error {error.mean():.3f}"
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]) if sys.argv[2:] else 5)
