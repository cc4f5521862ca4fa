"""Background events for the simulations of others, and the record of their making."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields

import numpy as np
from scipy.stats import chi2

from bkgpipe.core.checks import require_shape

__all__ = ["BKG_TYPES", "ComponentTotal", "MixRecord", "MixedEvents", "Provenance"]

BKG_TYPES: dict[str, int] = {
    "signal": 0,
    "hadron": 1,
    "total": 1,
    "electron": 2,
    "muon": 3,
    "diffuse": 4,
    "overlay": 99,
}
"""Number of each kind of event in the column ``BKG_TYPE``."""

# Runs with fewer events expected are joined: Pearson's law needs some in each
_MIN_EXPECTED = 5.0


@dataclass(frozen=True, kw_only=True, eq=False)
class MixedEvents:
    """Events to be added to a run.

    Attributes
    ----------
    ra, dec : np.ndarray
        Direction, ICRS, shape ``(n_events,)`` [deg].
    energy : np.ndarray
        Reconstructed energy, shape ``(n_events,)`` [TeV].
    time : np.ndarray
        TT as modified Julian date, shape ``(n_events,)`` [d].
    bkg_type : np.ndarray
        Kind of event, a value of `BKG_TYPES`, int16, shape ``(n_events,)``.
    """

    ra: np.ndarray
    dec: np.ndarray
    energy: np.ndarray
    time: np.ndarray
    bkg_type: np.ndarray

    def __post_init__(self) -> None:
        for name in ("ra", "dec", "time", "bkg_type"):
            require_shape(name, getattr(self, name), self.energy.shape)

    @classmethod
    def concatenate(cls, parts: Sequence[MixedEvents]) -> MixedEvents:
        """Put events one after another.

        Parameters
        ----------
        parts : sequence of MixedEvents
            Events; may be none.

        Returns
        -------
        MixedEvents
            All of them.
        """
        columns = {
            column.name: np.concatenate(
                [np.empty(0), *(getattr(part, column.name) for part in parts)]
            )
            for column in fields(cls)
        }
        return cls(**columns | {"bkg_type": columns["bkg_type"].astype(np.int16)})

    @property
    def n_events(self) -> int:
        """Number of events."""
        return int(self.energy.size)

    def take(self, which: np.ndarray) -> MixedEvents:
        """Return some of the events.

        Parameters
        ----------
        which : np.ndarray
            Their indices, or True for each of them.

        Returns
        -------
        MixedEvents
            Events in that order.
        """
        return MixedEvents(
            **{
                column.name: getattr(self, column.name)[which]
                for column in fields(self)
            }
        )

    def sorted_by_time(self) -> MixedEvents:
        """Return the events in order of time.

        Returns
        -------
        MixedEvents
            The same events; those of one time keep their order.
        """
        return self.take(np.argsort(self.time, kind="stable"))


@dataclass(frozen=True, kw_only=True)
class MixRecord:
    """What one component gave to one run.

    Attributes
    ----------
    obs_id : int
        Run number.
    component : str
        Name of the component.
    bkg_type : int
        Kind of its events, a value of `BKG_TYPES`.
    file : str
        Model, or events, that they come from.
    rate : float
        Events per on-time in the field of the run, before `scale` [s-1].
    scale : float
        All factors on it.
    expected : float
        Events expected.
    drawn : int
        Events added.
    rejected : int
        Events that were drawn or read, and not added.
    reused : int
        Events added that were given to a run before.
    """

    obs_id: int
    component: str
    bkg_type: int
    file: str
    rate: float
    scale: float
    expected: float
    drawn: int
    rejected: int = 0
    reused: int = 0


@dataclass(frozen=True, kw_only=True)
class ComponentTotal:
    """One component, summed over all runs.

    Attributes
    ----------
    component : str
        Its name.
    bkg_type : int
        Kind of its events.
    n_runs : int
        Runs that it was drawn for.
    expected : float
        Events expected.
    drawn, rejected, reused : int
        Events added, not added, and added more than once.
    chi_squared : float
        Pearson's sum over the runs of (drawn - expected)^2 / expected; runs with few
        events expected are joined.
    dof : int
        Its terms: nothing is fitted.
    p_value : float
        Probability of more, if each number follows Poisson's law; NaN without terms.
    """

    component: str
    bkg_type: int
    n_runs: int
    expected: float
    drawn: int
    rejected: int
    reused: int
    chi_squared: float
    dof: int
    p_value: float


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """How background events came into a store.

    Attributes
    ----------
    method : str
        ``mixing`` or ``overlay``.
    store : str
        Store that has the runs.
    seed : int
        Seed of all random numbers.
    settings : mapping of str to object
        Settings, as JSON can hold them.
    records : tuple of MixRecord
        One for each run and component (or file), in order.
    inputs : mapping of str to str
        Digest of each input file.
    """

    method: str
    store: str
    seed: int
    settings: Mapping[str, object]
    records: tuple[MixRecord, ...]
    inputs: Mapping[str, str] = field(default_factory=dict)

    @property
    def totals(self) -> tuple[ComponentTotal, ...]:
        """Sums over the runs, one for each component, in order of appearance."""
        names = dict.fromkeys(record.component for record in self.records)
        return tuple(
            _total([record for record in self.records if record.component == name])
            for name in names
        )


def _total(records: Sequence[MixRecord]) -> ComponentTotal:
    runs: dict[int, np.ndarray] = {}
    for record in records:
        counts = np.array([record.expected, record.drawn], dtype=np.float64)
        runs[record.obs_id] = runs.get(record.obs_id, 0.0) + counts
    chi_squared, dof = _pearson(np.array(list(runs.values())))
    return ComponentTotal(
        component=records[0].component,
        bkg_type=records[0].bkg_type,
        n_runs=len(runs),
        expected=float(sum(record.expected for record in records)),
        drawn=sum(record.drawn for record in records),
        rejected=sum(record.rejected for record in records),
        reused=sum(record.reused for record in records),
        chi_squared=chi_squared,
        dof=dof,
        p_value=float(chi2.sf(chi_squared, dof)) if dof else float("nan"),
    )


def _pearson(counts: np.ndarray) -> tuple[float, int]:
    """Chi-squared of ``(n_runs, 2)`` expected and drawn, runs with few joined."""
    joined = np.zeros((1, 2))
    for pair in counts:
        if joined[-1, 0] >= _MIN_EXPECTED:
            joined = np.vstack([joined, pair])
        else:
            joined[-1] += pair
    if len(joined) > 1 and joined[-1, 0] < _MIN_EXPECTED:
        joined[-2] += joined[-1]
        joined = joined[:-1]
    expected, drawn = joined.T
    if not expected.min() > 0:
        return 0.0, 0
    return float(((drawn - expected) ** 2 / expected).sum()), len(joined)
