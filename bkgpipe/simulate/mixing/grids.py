"""From the settings of a component to the rates that its events are drawn from."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from bkgpipe.core.run import Run
from bkgpipe.simulate.mixing.diffuse import diffuse_counts, read_sky_models
from bkgpipe.simulate.mixing.grid import (
    bin_grid,
    energy_steps,
    plane_field,
    plane_steps,
    radial_grid,
    rate_grid,
)
from bkgpipe.simulate.mixing.grid_data import DrawGrid
from bkgpipe.simulate.mixing.rates import (
    Background,
    Responses,
    background_limits,
    background_rate,
    cosmic_counts,
    live_time,
    own_model,
    read_background,
    read_responses,
)
from bkgpipe.simulate.mixing.settings import COSMIC, ComponentSettings, MixingSettings
from bkgpipe.store.aeff import find_safe_energy

__all__ = ["component_grid", "component_model", "energy_range", "safe_energy"]

_SAFE_OFFSET = 1.0
# Between them the response to electrons is linear in offset, as gammapy takes it
_OFFSET_STEP = 0.25
# gammapy takes seconds to fold a cube, and in proportion to this
_DIFFUSE_PER_DECADE = 24


def component_model(
    component: ComponentSettings, store: Path, run: Run
) -> Background | Responses:
    """Read what a component of a run is made from.

    Parameters
    ----------
    component : ComponentSettings
        The component.
    store : Path
        Folder of the store.
    run : Run
        The run.

    Returns
    -------
    Background2D, Background3D or Observation
        A model of the background, or the run with the responses that it needs.

    Raises
    ------
    InputError
        If it cannot be read.
    """
    source = component.source
    if component.type == "diffuse":
        names = ("aeff", "edisp", "psf") if component.psf else ("aeff", "edisp")
        return read_responses(store, run, names=names)
    if source == COSMIC:
        return read_responses(store, run, names=("aeff", "edisp"))
    if isinstance(source, Path):
        return read_background(source)
    return own_model(store, run)


def safe_energy(mixing: MixingSettings, run: Run) -> float:
    """Return the energy above which events of a run are drawn, by the settings alone.

    Parameters
    ----------
    mixing : MixingSettings
        Settings.
    run : Run
        The run.

    Returns
    -------
    float
        Energy [TeV].

    Raises
    ------
    InputError
        If it is not where the settings say.
    """
    if mixing.safe_energy_min > 0:
        return mixing.safe_energy_min
    energy, _ = find_safe_energy(
        mixing.store or Path(),
        run,
        source=mixing.safe_energy,
        section="mixing",
        fraction=mixing.aeff_fraction,
        offset=_SAFE_OFFSET,
    )
    return energy


def energy_range(
    mixing: MixingSettings, run: Run, model: Background | Responses
) -> tuple[float, float]:
    """Return the energies between which events are drawn.

    Parameters
    ----------
    mixing : MixingSettings
        Settings.
    run : Run
        The run.
    model : Background2D, Background3D or Observation
        What the component is made from.

    Returns
    -------
    tuple of float
        Lowest and highest energy [TeV]; nothing is left when they are not in order.

    Raises
    ------
    InputError
        If the safe energy is not where the settings say.
    """
    low = max(mixing.energy_min, safe_energy(mixing, run))
    if not isinstance(model, Background):
        return low, mixing.energy_max
    first, last = background_limits(model)
    return max(low, first), min(mixing.energy_max, last)


def component_grid(
    component: ComponentSettings, mixing: MixingSettings, run: Run, *, ontime: float
) -> DrawGrid:
    """Make the rates of one component of a run.

    Parameters
    ----------
    component : ComponentSettings
        The component.
    mixing : MixingSettings
        Settings.
    run : Run
        The run.
    ontime : float
        Sum of its good time intervals [s].

    Returns
    -------
    DrawGrid
        Events per on-time.

    Raises
    ------
    InputError
        If the model or the responses cannot be used.
    """
    store = mixing.store or Path()
    model = component_model(component, store, run)
    is_diffuse = component.type == "diffuse"
    finest = _DIFFUSE_PER_DECADE if is_diffuse else mixing.per_decade
    edges = energy_steps(
        *energy_range(mixing, run, model), per_decade=min(finest, mixing.per_decade)
    )
    plane = plane_steps(mixing.offset_max, pixel=mixing.pixel)
    if isinstance(model, Background):
        return _background_grid(model, mixing, edges, plane)
    # responses count events in live time, all else here is per on-time
    live = live_time(model) / ontime
    if not is_diffuse:
        return _cosmic_grid(model, mixing, edges, plane, live=live)
    counts = diffuse_counts(
        model,
        run,
        read_sky_models(Path(component.source or "")),
        energy_edges=edges,
        plane_edges=plane,
        use_psf=component.psf,
    )
    return bin_grid(
        counts / ontime,
        energy_edges=edges,
        plane_edges=plane,
        offset_max=mixing.offset_max,
        fov_alignment="RADEC",
    )


def _background_grid(
    model: Background, mixing: MixingSettings, edges: np.ndarray, plane: np.ndarray
) -> DrawGrid:
    lon, lat, _ = plane_field(plane)
    rate, alignment = background_rate(model, energy=edges, fov_lon=lon, fov_lat=lat)
    return rate_grid(
        rate,
        energy_edges=edges,
        plane_edges=plane,
        offset_max=mixing.offset_max,
        fov_alignment=alignment,
    )


def _cosmic_grid(
    observation: Responses,
    mixing: MixingSettings,
    edges: np.ndarray,
    plane: np.ndarray,
    *,
    live: float,
) -> DrawGrid:
    n_steps = int(np.ceil(mixing.offset_max / _OFFSET_STEP))
    offsets = np.linspace(0.0, mixing.offset_max, n_steps + 1)
    counts = cosmic_counts(observation, energy_edges=edges, offsets=offsets)
    return radial_grid(
        live * counts,
        offsets=offsets,
        energy_edges=edges,
        plane_edges=plane,
        offset_max=mixing.offset_max,
    )
