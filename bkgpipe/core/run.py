"""One run of the archive, and the events in it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from astropy.table import Table

from bkgpipe.core.checks import require_shape
from bkgpipe.core.clock import is_in_good_time

__all__ = ["Events", "Run", "RunTable"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Run:
    """What the observation table says of one run, and what was decided on it.

    Missing numbers are NaN, missing words are empty.

    Attributes
    ----------
    obs_id : int
        Run number.
    target : str
        Name of the target.
    ra, dec : float
        Pointing, ICRS [deg].
    zenith, azimuth : float
        Pointing at mid-run; azimuth from north over east [deg].
    ontime, livetime : float
        Time recorded; the same less dead time [s].
    deadc : float
        Dead-time fraction as in GADF: livetime / ontime.
    time_start, time_stop : float
        Start and end of the run, TT as modified Julian date [d].
    muon_efficiency : float
        Mean muon efficiency.
    nsb : float
        Night-sky background level, in the unit of the store.
    telescopes : str
        Telescope list.
    quality : int
        Data quality flag of GADF; 0 is best, -1 unknown.
    safe_energy_min : float
        Lowest safe energy of the observation table [TeV].
    longitude, latitude, altitude : float
        Place of the observatory [deg, deg, m].
    events_file : str
        Events file relative to the store.
    events_hdu : str
        Name of its events HDU.
    file_size : int
        Size of the events file, -1 when it is missing [bytes].
    file_time : int
        Time of its last change, as long as the store is at hand; not kept [ns].
    selected : bool
        True when the run may contribute to models.
    exported : bool
        True when the run gets a model.
    reason : str
        Why it is not selected; empty when it is.
    gti_file : str
        File of its good time intervals; empty when they are in that of the events.
    gti_hdu : str
        Name of their HDU; empty for ``GTI``.
    aeff_file : str
        File of its effective area; empty when it is in that of the events, or nowhere.
    checksum : str
        SHA-256 of events and good time intervals; empty for a run that is not read.
    aeff_checksum : str
        SHA-256 of `aeff_file`; empty without one.
    """

    obs_id: int
    target: str
    ra: float
    dec: float
    zenith: float
    azimuth: float
    ontime: float
    livetime: float
    deadc: float
    time_start: float
    time_stop: float
    muon_efficiency: float
    nsb: float
    telescopes: str
    quality: int
    safe_energy_min: float
    longitude: float
    latitude: float
    altitude: float
    events_file: str
    events_hdu: str
    file_size: int
    file_time: int = 0
    selected: bool = True
    exported: bool = True
    reason: str = ""
    gti_file: str = ""
    gti_hdu: str = ""
    aeff_file: str = ""
    checksum: str = ""
    aeff_checksum: str = ""


@dataclass(frozen=True, kw_only=True, eq=False)
class RunTable:
    """All runs of a store.

    Attributes
    ----------
    runs : tuple of Run
        In order of ``obs_id``.
    observations : Table or None
        The observation table itself, in the same order, as long as it is at hand.
    doubts : tuple of str
        Each a sentence about what the indexes leave open, and how it was taken.
    digest_selected : str
        Digest of all selected runs, where only some of them are here; else empty.
    """

    runs: tuple[Run, ...]
    observations: Table | None = None
    doubts: tuple[str, ...] = ()
    digest_selected: str = ""

    def column(self, name: str) -> np.ndarray:
        """Return one attribute of all runs.

        Parameters
        ----------
        name : str
            Attribute of `Run`.

        Returns
        -------
        np.ndarray
            Values, shape ``(n_runs,)``.
        """
        return np.array([getattr(run, name) for run in self.runs])

    @property
    def selected(self) -> tuple[Run, ...]:
        """Runs that may contribute to models."""
        return tuple(run for run in self.runs if run.selected)

    @property
    def exported(self) -> tuple[Run, ...]:
        """Runs that get a model."""
        return tuple(run for run in self.runs if run.exported)

    @property
    def used(self) -> tuple[Run, ...]:
        """Runs that are read at all: selected or exported."""
        return tuple(run for run in self.runs if run.selected or run.exported)


@dataclass(frozen=True, kw_only=True, eq=False)
class Events:
    """The events of one run, as recorded.

    Attributes
    ----------
    obs_id : int
        Run number.
    ra, dec : np.ndarray
        Reconstructed direction, ICRS, shape ``(n_events,)`` [deg].
    energy : np.ndarray
        Reconstructed energy, shape ``(n_events,)`` [TeV].
    time : np.ndarray
        TT as modified Julian date, shape ``(n_events,)`` [d].
    gti : np.ndarray
        Starts and stops of the good time intervals, ``(n_intervals, 2)``, likewise [d].
    """

    obs_id: int
    ra: np.ndarray
    dec: np.ndarray
    energy: np.ndarray
    time: np.ndarray
    gti: np.ndarray

    def __post_init__(self) -> None:
        for name in ("ra", "dec", "time"):
            require_shape(name, getattr(self, name), self.energy.shape)
        require_shape("gti", self.gti, (len(self.gti), 2))

    @property
    def n_events(self) -> int:
        """Number of events."""
        return self.energy.size

    @property
    def ontime(self) -> float:
        """Sum of the good time intervals [s]."""
        return float(np.diff(self.gti, axis=1).sum() * 86400.0)

    @cached_property
    def is_valid(self) -> np.ndarray:
        """Whether all of an event is a number and its energy positive."""
        values = np.isfinite([self.ra, self.dec, self.energy, self.time])
        is_valid: np.ndarray = values.all(axis=0) & (self.energy > 0)
        return is_valid

    @cached_property
    def is_in_good_time(self) -> np.ndarray:
        """Whether an event counts: in the good time intervals, or within 2 s."""
        return is_in_good_time(self.time, self.gti)

    def keep(self, is_kept: np.ndarray) -> Events:
        """Leave events out.

        Parameters
        ----------
        is_kept : np.ndarray
            True for those that stay, shape ``(n_events,)``.

        Returns
        -------
        Events
            The others, with the same good time intervals.
        """
        if is_kept.all():
            return self
        return Events(
            obs_id=self.obs_id,
            ra=self.ra[is_kept],
            dec=self.dec[is_kept],
            energy=self.energy[is_kept],
            time=self.time[is_kept],
            gti=self.gti,
        )
