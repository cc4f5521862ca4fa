"""Which runs share a field."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.geometry.frames import lon_lat, unit_vectors
from bkgpipe.stages.sky.data import Field

__all__ = ["make_fields", "runs_near"]


def make_fields(runs: Sequence[Run], *, offset_max: float) -> tuple[Field, ...]:
    """Group runs by where they pointed.

    A run joins the first field whose first pointing is nearer than the largest offset.

    Parameters
    ----------
    runs : sequence of Run
        Runs with known pointings, in order of their numbers.
    offset_max : float
        Largest offset of the models [deg].

    Returns
    -------
    tuple of Field
        Fields, in the order of their first runs.
    """
    pointings = _pointings(runs)
    firsts, members = np.empty((0, 3)), list[list[int]]()
    for i, pointing in enumerate(pointings):
        near = np.flatnonzero(firsts @ pointing >= np.cos(np.radians(offset_max)))
        if near.size:
            members[near[0]].append(i)
            continue
        firsts = np.vstack([firsts, pointing])
        members.append([i])
    return tuple(
        _make_field(number, [runs[i] for i in each], pointings[each])
        for number, each in enumerate(members, start=1)
    )


def _make_field(number: int, runs: list[Run], pointings: np.ndarray) -> Field:
    mean = pointings.mean(axis=0)
    mean /= np.linalg.norm(mean)
    (ra,), (dec,) = lon_lat(mean[np.newaxis])
    names = Counter(run.target for run in runs)
    return Field(
        number=number,
        name=names.most_common(1)[0][0],
        ra=float(ra % 360.0),
        dec=float(dec),
        radius=float(_separation(pointings, mean).max()),
        obs_ids=tuple(run.obs_id for run in runs),
    )


def runs_near(field: Field, runs: Sequence[Run], *, offset_max: float) -> list[int]:
    """Find the runs that saw a part of a field, its own ones among them.

    Parameters
    ----------
    field : Field
        The field.
    runs : sequence of Run
        Runs with known pointings.
    offset_max : float
        Largest offset of the models [deg].

    Returns
    -------
    list of int
        Numbers of the runs, in their order.
    """
    centre = unit_vectors(np.array([field.ra]), np.array([field.dec]))[0]
    near = _separation(_pointings(runs), centre) < field.radius + 2 * offset_max
    return [run.obs_id for run, is_near in zip(runs, near, strict=True) if is_near]


def _pointings(runs: Sequence[Run]) -> np.ndarray:
    places = np.array([(run.ra, run.dec) for run in runs]).reshape(-1, 2)
    return unit_vectors(places[:, 0], places[:, 1])


def _separation(vectors: np.ndarray, centre: np.ndarray) -> np.ndarray:
    # the chord keeps its digits where the cosine of a small angle loses them
    chord = np.linalg.norm(vectors - centre, axis=1).clip(max=2.0)
    separation: np.ndarray = np.degrees(2 * np.arcsin(chord / 2))
    return separation
