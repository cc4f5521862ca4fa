"""When and whereto a simulated archive was observed."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import astropy.units as u
import numpy as np
from astropy.coordinates import ICRS, AltAz, EarthLocation, SkyCoord
from astropy.time import Time
from astropy.utils import iers

from bkgpipe.core.run import Run
from bkgpipe.errors import SettingsError
from bkgpipe.geometry.frames import from_fov
from bkgpipe.simulate.archive.data import Distribution, Simulation
from bkgpipe.simulate.archive.distributions import draw_values

__all__ = ["make_runs"]

_N_TRIES = 20

# Runs of one night, and the pause between them
_NIGHT = 8 * 3600.0
_PAUSE = 120.0
_DAY = 86400.0
_SIDEREAL_DAY = 0.9972695663  # d

_MAX_ZENITH = 85.0


def make_runs(rng: np.random.Generator, simulation: Simulation) -> tuple[Run, ...]:
    """Draw the runs of an archive: when, whereto, and under which conditions.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness.
    simulation : Simulation
        The archive asked for.

    Returns
    -------
    tuple of Run
        Runs in order of number. Without fields to point at they are off the Galactic
        plane, if the range of zenith angles allows. With them, each run is taken when
        its field is at the zenith angle that was drawn, or as near as it comes.

    Raises
    ------
    SettingsError
        If a field does not rise.
    """
    start = _start_times(rng, simulation)
    point = _point_at_fields if simulation.fields else _point_anywhere
    start, pointings = point(rng, simulation, start)
    n_runs = simulation.n_runs
    deadc = draw_values(rng, simulation.deadc, n_runs, limits=(0.01, 1.0))
    muon = draw_values(rng, simulation.muon_efficiency, n_runs, limits=(0.01, np.inf))
    rows = np.column_stack([*pointings, start, deadc, muon])
    return tuple(_make_run(simulation, i, row) for i, row in enumerate(rows))


def _start_times(rng: np.random.Generator, simulation: Simulation) -> np.ndarray:
    """Fill one night after the other, or draw from the places in all nights."""
    slot = simulation.duration + _PAUSE
    per_night = max(1, int(_NIGHT // slot))
    places = np.arange(simulation.n_runs)
    if np.isfinite(simulation.time_stop):
        n_nights = max(1, int(simulation.time_stop - simulation.time_start))
        _require_nights(simulation, n_nights * per_night)
        drawn = rng.choice(n_nights * per_night, simulation.n_runs, replace=False)
        places = np.sort(drawn)
    night, place = np.divmod(places, per_night)
    return simulation.time_start + night + place * slot / _DAY


def _require_nights(simulation: Simulation, n_places: int) -> None:
    if n_places < simulation.n_runs:
        raise SettingsError(
            what=f"there is time for {n_places} runs of {simulation.duration:.0f} s,"
            f" {_NIGHT / 3600:.0f} h a night, not for {simulation.n_runs}",
            where="simulation, time_stop",
            fix="Make it later, or leave it empty",
        )


def _point_anywhere(
    rng: np.random.Generator, simulation: Simulation, start: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Draw zenith and azimuth until the pointing is off the Galactic plane."""
    shape = (simulation.n_runs, _N_TRIES)
    # what comes first is drawn first: equal seeds give equal pointings
    zenith = _draw_zenith(rng, simulation.zenith, shape)
    azimuth = draw_values(rng, simulation.azimuth, shape) % 360.0
    middle = start + simulation.duration / _DAY / 2
    taken = np.zeros((simulation.n_runs, 4))
    is_open = np.ones(simulation.n_runs, dtype=bool)
    # the first try is the last resort, too
    for i_try in [*range(_N_TRIES), 0]:
        tried = zenith[is_open, i_try], azimuth[is_open, i_try]
        sky = _to_sky(simulation, *tried, time=middle[is_open])
        taken[is_open] = np.column_stack([sky.ra.deg, sky.dec.deg, *tried])
        latitude = np.abs(sky.galactic.b.deg)
        is_open[is_open] = ~(latitude > simulation.min_latitude)
        if not is_open.any():
            break
    return start, tuple(taken.T)


def _draw_zenith(
    rng: np.random.Generator, zenith: Distribution, shape: int | tuple[int, ...]
) -> np.ndarray:
    return draw_values(rng, zenith, shape, limits=(0.0, _MAX_ZENITH))


def _point_at_fields(
    rng: np.random.Generator, simulation: Simulation, start: np.ndarray
) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
    """Find when each field is at the zenith angle drawn, before or after culmination.

    References
    ----------
    Meeus 1998, Astronomical Algorithms, chapter 13 (hour angle and altitude).
    """
    ra, dec = _wobble(simulation)
    zenith = _draw_zenith(rng, simulation.zenith, simulation.n_runs)
    side = rng.choice([-1.0, 1.0], simulation.n_runs)
    lat, delta = np.radians(simulation.latitude), np.radians(dec)
    cosine = np.cos(np.radians(zenith)) - np.sin(lat) * np.sin(delta)
    cosine = np.clip(cosine / (np.cos(lat) * np.cos(delta)), -1.0, 1.0)
    hour_angle = side * np.degrees(np.arccos(cosine))
    half = simulation.duration / _DAY / 2
    with _offline():
        now = Time(start + half, format="mjd", scale="tt")
        sidereal = now.sidereal_time("mean", simulation.longitude * u.deg).deg
    wait = (ra + hour_angle - sidereal) % 360.0 / 360.0 * _SIDEREAL_DAY
    frame = _horizon(simulation, start + half + wait)
    with _offline():
        seen = SkyCoord(ra * u.deg, dec * u.deg).transform_to(frame)
    zenith = 90.0 - seen.alt.deg
    _require_risen(simulation, zenith)
    return start + wait, (ra, dec, zenith, seen.az.deg)


def _wobble(simulation: Simulation) -> tuple[np.ndarray, np.ndarray]:
    """Pointing of each run: its field, moved to one of four sides."""
    n_fields = len(simulation.fields)
    turn, which = np.divmod(np.arange(simulation.n_runs), n_fields)
    angle = np.radians(90.0 * (turn % 4))
    # east, west, north, south would put the first two runs on one line
    lon, lat = simulation.wobble * np.cos(angle), simulation.wobble * np.sin(angle)
    pointing = np.zeros((2, simulation.n_runs))
    for i, field in enumerate(simulation.fields):
        of_field = which == i
        place = from_fov(lon[of_field], lat[of_field], pointing=(field.ra, field.dec))
        pointing[:, of_field] = place
    return pointing[0], pointing[1]


def _require_risen(simulation: Simulation, zenith: np.ndarray) -> None:
    is_low = zenith > _MAX_ZENITH
    if is_low.any():
        field = simulation.fields[int(np.argmax(is_low)) % len(simulation.fields)]
        raise SettingsError(
            what=f"{field.name} comes no nearer to the zenith than "
            f"{zenith[is_low].min():.1f} deg",
            where="simulation, fields",
            fix=f"Point at fields that rise above a zenith angle of {_MAX_ZENITH} deg",
        )


def _horizon(simulation: Simulation, time: np.ndarray) -> AltAz:
    place = EarthLocation.from_geodetic(
        simulation.longitude, simulation.latitude, simulation.altitude
    )
    return AltAz(obstime=Time(time, format="mjd", scale="tt"), location=place)


def _to_sky(
    simulation: Simulation,
    zenith: np.ndarray,
    azimuth: np.ndarray,
    *,
    time: np.ndarray,
) -> SkyCoord:
    frame = _horizon(simulation, time)
    seen = SkyCoord(azimuth * u.deg, (90.0 - zenith) * u.deg, frame=frame)
    with _offline():
        return seen.transform_to(ICRS())


@contextmanager
def _offline() -> Iterator[None]:
    with (
        iers.conf.set_temp("auto_download", False),
        iers.conf.set_temp("auto_max_age", None),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")  # a time after the last table of the Earth
        yield


def _make_run(simulation: Simulation, i_run: int, row: np.ndarray) -> Run:
    ra, dec, zenith, azimuth, start, deadc, muon = (float(value) for value in row)
    obs_id = simulation.first_obs_id + i_run
    fields = simulation.fields
    slant = 1.0 / np.cos(np.radians(zenith))
    return Run(
        obs_id=obs_id,
        target=fields[i_run % len(fields)].name if fields else f"Field {obs_id}",
        ra=ra,
        dec=dec,
        zenith=zenith,
        azimuth=azimuth,
        ontime=simulation.ontime,
        livetime=simulation.ontime * deadc,
        deadc=deadc,
        time_start=start,
        time_stop=start + simulation.duration / _DAY,
        muon_efficiency=muon,
        nsb=float("nan"),
        telescopes="1,2,3,4",
        quality=0,
        safe_energy_min=float(
            simulation.safe_energy_min * slant**simulation.safe_energy_power
        ),
        longitude=simulation.longitude,
        latitude=simulation.latitude,
        altitude=simulation.altitude,
        events_file=f"data/run_{obs_id}.fits.gz",
        events_hdu="EVENTS",
        file_size=-1,
        file_time=0,
    )
