"""Draw the events of a simulated archive."""

from __future__ import annotations

import numpy as np

from bkgpipe.core.run import Events, Run
from bkgpipe.geometry.frames import (
    from_fov,
    lon_lat,
    offset_angle,
    to_fov,
    unit_vectors,
    zenith_position_angle,
)
from bkgpipe.simulate.archive.data import PointSource, SimulatedEvents
from bkgpipe.simulate.archive.intervals import draw_times
from bkgpipe.simulate.archive.pointings import make_runs
from bkgpipe.simulate.archive.truth import fov_width, run_factor, spectrum
from bkgpipe.simulate.archive.truth_data import RunTruth, Truth
from bkgpipe.stages.mask.data import ExclusionRegion

__all__ = [
    "add_source_events",
    "draw_background",
    "draw_source",
    "make_run_truth",
    "make_runs",
    "run_generator",
    "simulate_run",
    "source_regions",
]

# Fine enough for sums to be exact to 1e-6
_N_ENERGY = 4000


def run_generator(seed: int, obs_id: int) -> np.random.Generator:
    """Return the random numbers of one run, whatever is done for the others.

    Parameters
    ----------
    seed : int
        Seed of the archive.
    obs_id : int
        Run number.

    Returns
    -------
    np.random.Generator
        Generator that depends on these two alone.
    """
    return np.random.default_rng([seed, obs_id])


def make_run_truth(
    rng: np.random.Generator, truth: Truth, runs: tuple[Run, ...]
) -> RunTruth:
    """Draw how bright each run is.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness.
    truth : Truth
        True background.
    runs : tuple of Run
        The runs, in order of number.

    Returns
    -------
    RunTruth
        Factor of each run; its scatter has a mean of one, and a lognormal law.

    Raises
    ------
    InputError
        If a law of the truth needs what is not known of a run.
    """
    scatter = rng.normal(-(truth.run_scatter**2) / 2, truth.run_scatter, len(runs))
    return RunTruth(
        truth=truth,
        obs_ids=np.array([run.obs_id for run in runs]),
        factor=run_factor(truth, runs) * np.exp(scatter),
    )


def simulate_run(
    rng: np.random.Generator,
    truth: Truth,
    run: Run,
    *,
    factor: float = 1.0,
    sources: tuple[PointSource, ...] = (),
    gti: np.ndarray | None = None,
) -> SimulatedEvents:
    """Draw the events of one run.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness.
    truth : Truth
        True background.
    run : Run
        The run; its events are uniform in its on-time.
    factor : float
        True rate of the run over the formula.
    sources : tuple of PointSource
        Sources in the field.
    gti : np.ndarray, optional
        Good time intervals, shape ``(n_intervals, 2)``, TT as modified Julian date
        [d]; without any the run is one interval.

    Returns
    -------
    SimulatedEvents
        Events in order of time.

    Raises
    ------
    InputError
        If the truth is aligned with the horizon and the observatory has no place.
    """
    if gti is None:
        gti = np.array([[run.time_start, run.time_stop]])
    energy, lon, lat = draw_background(rng, truth, livetime=factor * run.livetime)
    time = draw_times(rng, gti, energy.size)
    angle = zenith_position_angle(run, time) if truth.fov_alignment == "ALTAZ" else None
    parts = [(energy, lon, lat, time, angle)]
    for source in sources:
        drawn = draw_source(rng, truth, source, livetime=run.livetime)
        parts.append((*drawn, draw_times(rng, gti, drawn[0].size), None))
    columns = [_sky_columns(run, part) for part in parts]
    ra, dec, energy, time = (np.concatenate(c) for c in zip(*columns, strict=True))
    is_background = np.arange(time.size) < parts[0][0].size
    events = Events(
        obs_id=run.obs_id, ra=ra, dec=dec, energy=energy, time=time, gti=gti
    )
    return _in_time_order(events, is_background.astype(np.int16))


def add_source_events(
    simulated: SimulatedEvents,
    run: Run,
    truth: Truth,
    columns: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray],
) -> SimulatedEvents:
    """Add events of sources to those of a run.

    Parameters
    ----------
    simulated : SimulatedEvents
        Events of the run.
    run : Run
        The run.
    truth : Truth
        True background; events beyond its energies or its field are not seen.
    columns : tuple of np.ndarray
        Right ascension, declination [deg], energy [TeV] and time, TT as modified Julian
        date [d], shape ``(n_added,)`` each.

    Returns
    -------
    SimulatedEvents
        All events in order of time.
    """
    ra, dec, energy, time = columns
    lon, lat = to_fov(ra, dec, pointing=(run.ra, run.dec))
    is_seen = offset_angle(unit_vectors(lon, lat)) <= truth.offset_max
    is_seen &= (energy >= truth.energy_min) & (energy <= truth.energy_max)
    events = simulated.events
    joined = Events(
        obs_id=run.obs_id,
        ra=np.concatenate([events.ra, ra[is_seen]]),
        dec=np.concatenate([events.dec, dec[is_seen]]),
        energy=np.concatenate([events.energy, energy[is_seen]]),
        time=np.concatenate([events.time, time[is_seen]]),
        gti=events.gti,
    )
    added = np.zeros(int(is_seen.sum()), dtype=np.int16)
    return _in_time_order(joined, np.concatenate([simulated.bkg_type, added]))


def _in_time_order(events: Events, bkg_type: np.ndarray) -> SimulatedEvents:
    order = np.argsort(events.time, kind="stable")
    return SimulatedEvents(
        events=Events(
            obs_id=events.obs_id,
            ra=events.ra[order],
            dec=events.dec[order],
            energy=events.energy[order],
            time=events.time[order],
            gti=events.gti,
        ),
        bkg_type=bkg_type[order],
    )


def draw_background(
    rng: np.random.Generator, truth: Truth, *, livetime: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw background events of a true rate, without any binning.

    A Poisson process that is too bright everywhere is drawn by inversion, and thinned.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness.
    truth : Truth
        True background.
    livetime : float
        Live time, times the factor of the run [s].

    Returns
    -------
    energy : np.ndarray
        Reconstructed energy, shape ``(n_events,)`` [TeV].
    fov_lon, fov_lat : np.ndarray
        Place in the field in the alignment of the truth, shape ``(n_events,)`` [deg].

    References
    ----------
    Lewis & Shedler 1979, Naval Research Logistics Quarterly 26, 403 (thinning).
    """
    edges, mass = _energy_mass(truth)
    # 1 % more than the largest gradient, as lon and lat can exceed the offset
    steepest = 1.01 * np.hypot(truth.gradient_lon, truth.gradient_lat)
    bound = steepest * truth.offset_max
    n_drawn = rng.poisson(livetime * mass.sum() * np.exp(bound))
    energy = _draw_energy(rng, edges, mass, n_events=n_drawn)
    offset = _draw_offset(rng, truth, energy)
    angle = rng.uniform(0.0, 2 * np.pi, n_drawn)
    ring = np.sin(offset)
    lon, lat = lon_lat(
        np.column_stack([np.cos(offset), ring * np.cos(angle), ring * np.sin(angle)])
    )
    gradient = truth.gradient_lon * lon + truth.gradient_lat * lat
    share = np.sinc(offset / np.pi) * np.exp(gradient - bound)
    is_kept = rng.uniform(size=n_drawn) < share
    return energy[is_kept], lon[is_kept], lat[is_kept]


def draw_source(
    rng: np.random.Generator, truth: Truth, source: PointSource, *, livetime: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Draw the events of a point source, above the threshold of the truth.

    Parameters
    ----------
    rng : np.random.Generator
        Source of randomness.
    truth : Truth
        True background, for its threshold and energies.
    source : PointSource
        The source.
    livetime : float
        Live time [s].

    Returns
    -------
    energy : np.ndarray
        Reconstructed energy, shape ``(n_events,)`` [TeV].
    fov_lon, fov_lat : np.ndarray
        Place in the field, RADEC alignment, shape ``(n_events,)`` [deg].
    """
    n_events = rng.poisson(source.rate * livetime)
    edges, centers = _energy_grid(truth)
    loss = 1.0 + (truth.threshold / centers) ** truth.sharpness
    density = centers ** (1.0 - source.index) / loss
    energy = _draw_energy(rng, edges, density, n_events=n_events)
    shift = rng.normal(0.0, source.width, (2, n_events))
    fov_lat = source.fov_lat + shift[1]
    return energy, source.fov_lon + shift[0] / np.cos(np.radians(fov_lat)), fov_lat


def source_regions(
    runs: tuple[Run, ...], sources: tuple[PointSource, ...]
) -> tuple[ExclusionRegion, ...]:
    """Return the sources of all fields as a catalogue.

    Parameters
    ----------
    runs : tuple of Run
        The runs.
    sources : tuple of PointSource
        Sources in each field.

    Returns
    -------
    tuple of ExclusionRegion
        One point for each run and source, its radius not set.
    """
    return tuple(
        _source_region(run, source, name=f"SIM {run.obs_id}-{number}")
        for run in runs
        for number, source in enumerate(sources, start=1)
    )


def _source_region(run: Run, source: PointSource, *, name: str) -> ExclusionRegion:
    ra, dec = from_fov(
        np.array([source.fov_lon]),
        np.array([source.fov_lat]),
        pointing=(run.ra, run.dec),
    )
    return ExclusionRegion(
        name=name,
        origin="simulation",
        ra=float(ra[0]),
        dec=float(dec[0]),
        radius=float("nan"),
    )


def _sky_columns(
    run: Run,
    part: tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray | None],
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    energy, lon, lat, time, angle = part
    pointing = (run.ra, run.dec)
    ra, dec = from_fov(lon, lat, pointing=pointing, position_angle=angle)
    return ra, dec, energy, time


def _energy_grid(truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Edges in log E, and energies at their centres."""
    low, high = np.log(truth.energy_min), np.log(truth.energy_max)
    edges = np.linspace(low, high, _N_ENERGY + 1)
    return edges, np.exp((edges[:-1] + edges[1:]) / 2)


def _energy_mass(truth: Truth) -> tuple[np.ndarray, np.ndarray]:
    """Rate in each fine energy bin over a flat field without gradient [s-1]."""
    edges, centers = _energy_grid(truth)
    width = np.radians(fov_width(truth, centers))
    edge = np.radians(truth.offset_max)
    solid_angle = -2 * np.pi * width**2 * np.expm1(-((edge / width) ** 2) / 2)
    return edges, spectrum(truth, centers) * centers * np.diff(edges) * solid_angle


def _draw_energy(
    rng: np.random.Generator, edges: np.ndarray, mass: np.ndarray, *, n_events: int
) -> np.ndarray:
    share = np.concatenate([[0.0], np.cumsum(mass) / mass.sum()])
    energy: np.ndarray = np.exp(np.interp(rng.uniform(size=n_events), share, edges))
    return energy


def _draw_offset(
    rng: np.random.Generator, truth: Truth, energy: np.ndarray
) -> np.ndarray:
    """Draw offsets [rad] of a Gaussian in the plane, cut at the edge of the field."""
    width = np.radians(fov_width(truth, energy))
    outside = np.expm1(-((np.radians(truth.offset_max) / width) ** 2) / 2)
    radius = -2 * np.log1p(rng.uniform(size=energy.size) * outside)
    offset: np.ndarray = width * np.sqrt(radius)
    return offset
