"""The solid angle that a disc takes from a run, beside the analytic value.

From the region through the mask to the solid angles of `count`: in a field at
declination 50, where a flat distance in RA and Dec would be 36 % off, in fields across
RA = 0, and in fields anywhere. Usage: ``python benchmarks/bench_exclusion.py``
"""

from __future__ import annotations

from dataclasses import replace

import healpy as hp
import numpy as np

from bkgpipe.core.run import Events, Run
from bkgpipe.geometry.frames import from_fov
from bkgpipe.settings.run_sections import BinningSettings
from bkgpipe.simulate.archive.data import Simulation
from bkgpipe.simulate.archive.pointings import make_runs
from bkgpipe.stages.count.histograms import count_run
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.pixels import make_exclusion_mask

_AXES = BinningSettings(
    energy_edges=(),
    energy_min=0.1,
    energy_max=100.0,
    per_decade=8,
    offset_max=2.5,
    fov_bins=20,
    offset_bins=20,
).axes
_PLACES = ((200.0, 50.0), (0.05, 50.0), (359.9, -0.1))
_RADII = (0.35, 0.7, 1.5)
_N_FIELDS = 60
_NSIDE = 2048
_NOTHING = np.empty(0)


def main() -> None:
    """Print excluded / analytic - 1 for single fields, and its spread over many."""
    run = make_runs(np.random.default_rng(1), Simulation(n_runs=1))[0]
    rng = np.random.default_rng(5)
    ra, dec = rng.uniform(0, 360, _N_FIELDS), rng.uniform(-85, 85, _N_FIELDS)
    places = rng.uniform(-0.7, 0.7, (_N_FIELDS, 2))
    fields = [replace(run, ra=a, dec=d) for a, d in zip(ra, dec, strict=True)]
    print("(excluded / analytic solid angle - 1) [%]      pixels  annuli   image")
    for radius in _RADII:
        for a, d in _PLACES:
            deviation = _deviation(replace(run, ra=a, dec=d), (0.6, 0.5), radius)
            _print(f"disc of {radius:4.2f} deg, ra {a:6.2f}, dec {d:5.1f}", deviation)
        many = np.array(
            [
                _deviation(field, place, radius)
                for field, place in zip(fields, places.tolist(), strict=True)
            ]
        )
        words = f"disc of {radius:4.2f} deg, {_N_FIELDS} fields"
        _print(f"{words}, mean", many.mean(axis=0))
        _print(f"{words}, standard deviation", many.std(axis=0))
        _print(f"{words}, largest", np.abs(many).max(axis=0))


def _deviation(run: Run, place: tuple[float, float], radius: float) -> np.ndarray:
    """Return those of the pixels of the mask, of the annuli and of the image."""
    lon, lat = (np.array([value]) for value in place)
    (ra,), (dec,) = from_fov(lon, lat, pointing=(run.ra, run.dec))
    region = ExclusionRegion(name="", origin="", ra=ra, dec=dec, radius=radius)
    mask = make_exclusion_mask(run, [region], nside=_NSIDE, search_radius=4.0)
    found = count_run(
        run,
        _no_events(run),
        mask,
        binning=_AXES,
        fov_alignment="RADEC",
        safe_energy=(0.0, "none"),
        control_offset=4.0,
        checksum="",
    )
    field = _disc(_AXES.offset_max)
    excluded = (
        mask.excluded_pixels.size * hp.nside2pixarea(_NSIDE),
        field - found.solid_angle_2d.sum(),
        field - found.solid_angle_3d.sum(),
    )
    return np.array(excluded) / _disc(radius) - 1


def _no_events(run: Run) -> Events:
    return Events(
        obs_id=run.obs_id,
        ra=_NOTHING,
        dec=_NOTHING,
        energy=_NOTHING,
        time=_NOTHING,
        gti=np.array([[run.time_start, run.time_stop]]),
    )


def _disc(radius: float) -> float:
    return float(4 * np.pi * np.sin(np.radians(radius) / 2) ** 2)


def _print(words: str, deviation: np.ndarray) -> None:
    print(f"{words:44s}" + "".join(f"{100 * value:+8.2f}" for value in deviation))


if __name__ == "__main__":
    main()
