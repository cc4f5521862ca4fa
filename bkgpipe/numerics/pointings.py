"""When and whereto a simulated archive was observed."""

from __future__ import annotations

import warnings

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from bkgpipe.datamodel import Run, Simulation

__all__ = ["make_runs"]

# The Galactic plane has too many sources for a field to be empty
_MIN_GALACTIC_LATITUDE = 20.0
_N_TRIES = 20

# Runs of one night, and the pause between them
_NIGHT = 8 * 3600.0
_PAUSE = 120.0
_DAY = 86400.0


def make_runs(rng: np.random.Generator, simulation: Simulation) -> tuple[Run, ...]:
    """Draw the runs of an archive: when and whereto.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness.
    simulation : Simulation
        The archive asked for.

    Returns
    -------
    tuple of Run
        Runs in order of number, in fields off the Galactic plane if the range of
        zenith angles allows.
    """
    lowest, highest = np.cos(np.radians([simulation.zenith_max, simulation.zenith_min]))
    time_start = _start_times(simulation)
    shape = (simulation.n_runs, _N_TRIES)
    zenith = np.degrees(np.arccos(rng.uniform(lowest, highest, shape)))
    azimuth = rng.uniform(0.0, 360.0, shape)
    middle = time_start + simulation.duration / _DAY / 2
    sky = _to_sky(simulation, zenith, azimuth, time=middle)
    is_dark = np.abs(sky.galactic.b.deg) > _MIN_GALACTIC_LATITUDE
    taken = np.arange(simulation.n_runs), is_dark.argmax(axis=1)
    rows = np.column_stack(
        [a[taken] for a in (sky.ra.deg, sky.dec.deg, zenith, azimuth)]
    )
    return tuple(
        _make_run(simulation, simulation.first_obs_id + i, row, start=time_start[i])
        for i, row in enumerate(rows)
    )


def _start_times(simulation: Simulation) -> np.ndarray:
    slot = simulation.duration + _PAUSE
    per_night = max(1, int(_NIGHT // slot))
    night, place = np.divmod(np.arange(simulation.n_runs), per_night)
    return simulation.time_start + night + place * slot / _DAY


def _to_sky(
    simulation: Simulation,
    zenith: np.ndarray,
    azimuth: np.ndarray,
    *,
    time: np.ndarray,
) -> SkyCoord:
    place = EarthLocation.from_geodetic(
        simulation.longitude, simulation.latitude, simulation.altitude
    )
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # a time after the last table of the Earth
        obstime = Time(time[:, np.newaxis], format="mjd", scale="tt")
        altitude = (90.0 - zenith) * u.deg
        frame = AltAz(obstime=obstime, location=place)
        return SkyCoord(azimuth * u.deg, altitude, frame=frame).transform_to(ICRS())


def _make_run(
    simulation: Simulation, obs_id: int, row: np.ndarray, *, start: float
) -> Run:
    ra, dec, zenith, azimuth = (float(value) for value in row)
    return Run(
        obs_id=obs_id,
        target=f"Field {obs_id}",
        ra=ra,
        dec=dec,
        zenith=zenith,
        azimuth=azimuth,
        ontime=simulation.duration,
        livetime=simulation.duration * simulation.deadc,
        deadc=simulation.deadc,
        time_start=float(start),
        time_stop=float(start) + simulation.duration / _DAY,
        muon_efficiency=1.0,
        nsb=float("nan"),
        telescopes="1,2,3,4",
        quality=0,
        safe_energy_min=simulation.safe_energy_min,
        longitude=simulation.longitude,
        latitude=simulation.latitude,
        altitude=simulation.altitude,
        events_file=f"data/run_{obs_id}.fits.gz",
        events_hdu="EVENTS",
        file_size=-1,
        file_time=0,
    )
