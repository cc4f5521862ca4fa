"""Keys of simulated archives: their runs, the true background, and sources in them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path

from bkgpipe.core.run_list import RunList
from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import (
    INTEGER,
    NUMBER,
    OBS_IDS,
    PATH,
    TIME,
    choice,
    quantity,
)
from bkgpipe.simulate.archive.data import Distribution, Field, PointSource, Simulation
from bkgpipe.simulate.archive.kinds import FIELDS, RESPONSES, STEPS, distribution
from bkgpipe.simulate.archive.layouts import DEFAULT_LAYOUT, LAYOUTS
from bkgpipe.simulate.archive.truth_data import Truth

__all__ = [
    "SOURCE_PREFIX",
    "SimulationSettings",
    "SourceSettings",
    "TruthSettings",
    "layout_texts",
]

SOURCE_PREFIX = "source:"


def layout_texts(
    texts: Mapping[str, Mapping[str, str]], overrides: Iterable[str]
) -> dict[str, dict[str, str]]:
    """Add what a layout says of the background to the texts of settings.

    Parameters
    ----------
    texts : mapping of str to mapping of str to str
        Text of each key of each section.
    overrides : iterable of str
        Each ``section.key=value``; the layout may be one of them.

    Returns
    -------
    dict of str to dict of str to str
        The texts; ``[truth]`` as that of the layout where nothing was given.
    """
    wanted = texts.get("simulation", {}).get("layout", DEFAULT_LAYOUT)
    for override in overrides:
        name, _, value = override.partition("=")
        wanted = value.strip() if name.strip() == "simulation.layout" else wanted
    given = {section: dict(keys) for section, keys in texts.items()}
    layout = LAYOUTS.get(wanted.strip())
    if layout is None or layout is LAYOUTS[DEFAULT_LAYOUT]:
        return given
    defaults = {
        "energy_min": f"{layout.energy_min} TeV",
        "energy_max": f"{layout.energy_max} TeV",
        "offset_max": f"{layout.offset_max} deg",
    }
    return given | {"truth": {**defaults, **layout.truth, **given.get("truth", {})}}


@dataclass(frozen=True, kw_only=True)
class SimulationSettings:
    """The runs of a simulated archive, and what they are observed with."""

    runs: int = key(INTEGER, "30", "Number of runs", minimum=1)
    hours: float = key(
        quantity("h"),
        "0 h",
        "On-time of all runs; replaces the number of runs when it is not zero",
        minimum=0,
    )
    seed: int = key(INTEGER, "1", "Seed; equal seeds give equal files", minimum=0)
    like: Path | None = key(
        PATH,
        "",
        "Real data store whose runs are copied: numbers, targets, pointings, times,"
        " zenith and azimuth, live time, muon efficiency, telescopes and safe energies"
        " from its observation table, and its responses; empty draws them from what"
        " follows",
    )
    layout: str = key(
        choice(*LAYOUTS),
        DEFAULT_LAYOUT,
        "How the files are laid out, as those of an observatory or with a variation of"
        " what GADF allows; [truth] takes its energies and field from it (of cta-like,"
        " all of its spectrum)",
    )
    obs_ids: RunList = key(OBS_IDS, "", "Runs of that store to copy; empty copies all")
    irfs: str = key(
        RESPONSES,
        "",
        "Responses: built-in; or STORE/OBS_ID, those of one run of a real store; empty"
        " takes those of the copied runs, or the built-in ones",
    )
    first_obs_id: int = key(INTEGER, "1001", "Number of the first run", minimum=0)
    duration: float = key(
        quantity("s"), "10 min", "Length of a run, gaps included", minimum=1
    )
    gaps: int = key(
        INTEGER, "0", "Gaps in a run, between good time intervals", minimum=0
    )
    gap: float = key(quantity("s"), "30 s", "Length of a gap", minimum=0)
    zenith: Distribution = key(
        distribution("deg"),
        "sky 5, 50 deg",
        "Zenith angle: constant, uniform, normal, or sky (uniform in solid angle)",
    )
    azimuth: Distribution = key(
        distribution("deg"),
        "uniform 0, 360 deg",
        "Azimuth, from north over east; a field that is named has its own",
    )
    deadc: Distribution = key(
        distribution(""), "0.9", "Live time over on-time: constant, uniform or normal"
    )
    muon_efficiency: Distribution = key(
        distribution(""), "1.0", "Muon efficiency: constant, uniform or normal"
    )
    safe_energy: float = key(
        quantity("TeV"), "0.1 TeV", "Safe energy of a run at the zenith", minimum=0
    )
    safe_energy_power: float = key(
        NUMBER, "0", "Power of 1 / cos(zenith angle) with which it grows"
    )
    fields: tuple[Field, ...] = key(
        FIELDS,
        "",
        "Fields to point at in turn, as Crab: 83.63 22.01, each when it is at the"
        " zenith angle drawn; empty points anywhere",
    )
    wobble: float = key(
        quantity("deg"),
        "0.5 deg",
        "Distance of the pointing from the field, to four sides in turn",
        minimum=0,
    )
    min_latitude: float = key(
        quantity("deg"),
        "20 deg",
        "Least distance from the Galactic plane of a pointing that is drawn",
        minimum=0,
        maximum=80,
    )
    time_start: float = key(TIME, "2009-06-18T19:10:53.816", "Start of the first run")
    time_stop: float = key(
        TIME,
        "",
        "Last night; runs are drawn uniformly from the places in all nights in between."
        " Empty fills one night after the other",
    )

    @property
    def n_runs(self) -> int:
        """Number of runs that are drawn."""
        ontime = self.duration - self.gaps * self.gap
        if self.hours > 0 and ontime > 0:
            return math.ceil(3600.0 * self.hours / ontime * (1 - 1e-12))
        return self.runs

    def make(self, sources: tuple[PointSource, ...] = ()) -> Simulation:
        """Make the archive asked for.

        Parameters
        ----------
        sources : tuple of PointSource
            Sources in each field.

        Returns
        -------
        Simulation
            The archive.

        Raises
        ------
        SettingsError
            If values do not go together.
        """
        layout = LAYOUTS[self.layout]
        return Simulation(
            n_runs=self.n_runs,
            first_obs_id=self.first_obs_id,
            duration=self.duration,
            seed=self.seed,
            zenith=self.zenith,
            azimuth=self.azimuth,
            deadc=self.deadc,
            muon_efficiency=self.muon_efficiency,
            n_gaps=self.gaps,
            gap=self.gap,
            safe_energy_min=self.safe_energy,
            safe_energy_power=self.safe_energy_power,
            min_latitude=self.min_latitude,
            fields=self.fields,
            wobble=self.wobble,
            sources=sources,
            time_start=self.time_start,
            time_stop=self.time_stop,
            longitude=layout.longitude,
            latitude=layout.latitude,
            altitude=layout.altitude,
        )


@dataclass(frozen=True, kw_only=True)
class TruthSettings:
    """The true rate of the background, per live time."""

    norm: float = key(
        quantity("s-1 TeV-1 sr-1"),
        "280 s-1 TeV-1 sr-1",
        "Rate at 1 TeV in the centre of the field, far above the threshold",
    )
    index: float = key(NUMBER, "2.7", "Spectral index")
    threshold: float = key(
        quantity("TeV"), "0.2 TeV", "Energy at which half of the power law is lost"
    )
    sharpness: float = key(NUMBER, "4", "Steepness of the threshold")
    width: float = key(
        quantity("deg"), "1.3 deg", "Gaussian width of the field of view at 1 TeV"
    )
    width_slope: float = key(
        NUMBER, "0.08", "Power of the energy with which the width grows"
    )
    gradient_lon: float = key(
        quantity("deg-1"), "0 deg-1", "Gradient of the logarithm of the rate"
    )
    gradient_lat: float = key(
        quantity("deg-1"), "0 deg-1", "Gradient of the logarithm of the rate"
    )
    fov_alignment: str = key(
        choice("ALTAZ", "RADEC"), "RADEC", "Frame of the gradients"
    )
    zenith_slope: float = key(
        NUMBER, "0", "Derivative of the logarithm of the rate by cos(zenith angle)"
    )
    azimuth_amplitude: float = key(
        NUMBER,
        "0",
        "Factor of sin(zenith angle) cos(azimuth - phase) in the logarithm of the rate",
    )
    azimuth_phase: float = key(
        quantity("deg"), "0 deg", "Azimuth at which the rate is largest"
    )
    epoch_slope: float = key(
        quantity("yr-1"), "0 yr-1", "Derivative of the logarithm of the rate by time"
    )
    epoch_reference: float = key(
        TIME, "2004-01-01", "Date at which that slope makes no difference"
    )
    epoch_steps: tuple[tuple[float, float], ...] = key(
        STEPS,
        "",
        "Factor on the rate from a date on, as 2004-06-01: 0.9, 2005-01-01: 0.8",
    )
    muon_power: float = key(
        NUMBER, "0", "Power of the muon efficiency that the rate grows with"
    )
    run_scatter: float = key(
        NUMBER,
        "0",
        "Standard deviation of the logarithm of the rate from run to run",
        minimum=0,
    )
    energy_min: float = key(quantity("TeV"), "0.05 TeV", "Lowest energy")
    energy_max: float = key(quantity("TeV"), "100 TeV", "Highest energy")
    offset_max: float = key(quantity("deg"), "4 deg", "Edge of the field of view")

    def make(self) -> Truth:
        """Make the truth.

        Returns
        -------
        Truth
            The formula.

        Raises
        ------
        SettingsError
            If a value is out of range.
        """
        return Truth(**{key.name: getattr(self, key.name) for key in fields(self)})


@dataclass(frozen=True, kw_only=True)
class SourceSettings:
    """A source: gammapy models at places in the sky, or a point in each field."""

    model: Path | None = key(
        PATH,
        "",
        "File of gammapy models (YAML), folded with the responses of each run that sees"
        " them; empty takes the point that follows",
    )
    fov_lon: float = key(quantity("deg"), "0.5 deg", "Place in each field (RADEC)")
    fov_lat: float = key(quantity("deg"), "0.3 deg", "Place in each field (RADEC)")
    rate: float = key(
        quantity("s-1"), "0.05 s-1", "Events of the point per live time", minimum=0
    )
    index: float = key(NUMBER, "2.5", "Spectral index of the point")
    width: float = key(
        quantity("deg"), "0.07 deg", "Width of the point, a Gaussian", minimum=0
    )

    def make(self) -> PointSource:
        """Make the point that is in each field.

        Returns
        -------
        PointSource
            The source.
        """
        return PointSource(
            fov_lon=self.fov_lon,
            fov_lat=self.fov_lat,
            rate=self.rate,
            index=self.index,
            width=self.width,
        )
