"""Split runs into folds, and into nights."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.errors import NoRunsError, SettingsError
from bkgpipe.geometry.frames import pointing_of
from bkgpipe.stages.fit.sky_fields import find_sky_fields

__all__ = ["make_folds", "nights"]


def make_folds(
    runs: Sequence[Run], *, n_folds: int, by: str, rng: np.random.Generator
) -> tuple[tuple[int, ...], ...]:
    """Split runs into folds of about as many runs each.

    Parameters
    ----------
    runs : sequence of Run
        Runs.
    n_folds : int
        Number of folds; with fewer runs, nights or fields there are as many as these.
    by : str
        ``run`` takes every `n_folds`-th run, ``random`` any; ``night`` and ``field``
        keep the runs of a night (noon to noon) or with pointings less than 1 deg apart
        together.
    rng : np.random.Generator
        Randomness of ``random``.

    Returns
    -------
    tuple of tuple of int
        Run numbers of each fold, sorted.

    Raises
    ------
    SettingsError
        If there are fewer than two folds.
    NoRunsError
        If all runs are one night or field, or there are fewer than two.
    """
    if n_folds < 2:
        raise SettingsError(
            what=f"{n_folds} fold(s) leave no run to make a model from",
            where="--folds",
            fix="Ask for two or more",
        )
    ordered = sorted(runs, key=lambda run: run.obs_id)
    if by == "random":
        ordered = [ordered[i] for i in rng.permutation(len(ordered))]
    blocks = _blocks(ordered, _LABELS[by](ordered))
    if len(blocks) < 2:
        raise NoRunsError(
            what=f"{len(runs)} run(s) in {len(blocks)} block(s) cannot be split",
            where=f"folds by {by}",
            fix="Select more runs, or ask for folds by run",
        )
    n_folds = min(n_folds, len(blocks))
    # The largest blocks first, each into the smallest fold; of blocks of one run
    # each fold takes every n-th
    folds: list[list[int]] = [[] for _ in range(n_folds)]
    for block in sorted(blocks, key=len, reverse=True):
        min(folds, key=len).extend(block)
    return tuple(tuple(sorted(fold)) for fold in folds)


def _each_alone(runs: Sequence[Run]) -> np.ndarray:
    return np.arange(len(runs))


def nights(runs: Sequence[Run]) -> np.ndarray:
    """Return the night of each run, which lasts from noon to noon at the site.

    Parameters
    ----------
    runs : sequence of Run
        Runs.

    Returns
    -------
    np.ndarray
        A number that the runs of a night share, shape ``(n_runs,)``.
    """
    time = np.array([run.time_start for run in runs])
    longitude = np.nan_to_num([run.longitude for run in runs])
    # the sun of the site, and half a day, so that it changes at noon
    numbers: np.ndarray = np.floor(time + longitude / 360.0 - 0.5)
    return numbers


def _fields(runs: Sequence[Run]) -> np.ndarray:
    pointings = np.array([pointing_of(run) for run in runs]).reshape(-1, 2)
    return find_sky_fields(pointings[:, 0], pointings[:, 1])


_LABELS: dict[str, Callable[[Sequence[Run]], np.ndarray]] = {
    "run": _each_alone,
    "random": _each_alone,
    "night": nights,
    "field": _fields,
}


def _blocks(runs: Sequence[Run], labels: np.ndarray) -> list[list[int]]:
    blocks: dict[float, list[int]] = {}
    for run, label in zip(runs, labels.tolist(), strict=True):
        blocks.setdefault(label, []).append(run.obs_id)
    return list(blocks.values())
