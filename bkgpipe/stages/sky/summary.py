"""What a field is found to be, in numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from bkgpipe.geometry.frames import fov_matrix, offset_angle, unit_vectors
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.sky.data import FieldMaps, HotSpot, RunSky
from bkgpipe.stages.sky.maps import field_wcs, spread
from bkgpipe.stages.sky.significance import false_alarms

__all__ = ["FieldSummary", "judge_hot_spots", "nearest_region", "summarise"]


@dataclass(frozen=True, kw_only=True)
class FieldSummary:
    """A field in numbers.

    Attributes
    ----------
    number : int
        Number of the field.
    name : str
        Most frequent target of its runs.
    ra, dec : float
        Centre, ICRS [deg].
    n_runs : int
        Runs that pointed there.
    hours : float
        Their on-time [h].
    counts : int
        Events of its own runs.
    background : float
        Events predicted for them.
    peak : float
        Largest significance in discs of any radius; NaN without any.
    peak_ra, peak_dec : float
        Where that is, ICRS [deg].
    mean, width : float
        Mean and standard deviation of the significance outside the mask.
    poisson_mean, poisson_width : float
        The same of simulated background.
    trials : float
        Number of independent discs outside the mask, of all radii.
    file : str
        Images of the field, relative to the folder of the stage.
    """

    number: int
    name: str
    ra: float
    dec: float
    n_runs: int
    hours: float
    counts: int
    background: float
    peak: float
    peak_ra: float
    peak_dec: float
    mean: float
    width: float
    poisson_mean: float
    poisson_width: float
    trials: float
    file: str


def summarise(
    maps: FieldMaps, runs: Sequence[RunSky], *, offset_max: float, file: str
) -> FieldSummary:
    """Put a field into numbers.

    Parameters
    ----------
    maps : FieldMaps
        Its images.
    runs : sequence of RunSky
        Its own runs.
    offset_max : float
        Largest offset of the models [deg].
    file : str
        Name of the file of the images.

    Returns
    -------
    FieldSummary
        Numbers.
    """
    field = maps.field
    peak, peak_ra, peak_dec = _peak(maps, offset_max=offset_max)
    # the same field has the same random numbers whenever it is made
    rng = np.random.default_rng(field.obs_ids[0])
    outside = spread(maps, rng=rng)
    return FieldSummary(
        number=field.number,
        name=field.name,
        ra=field.ra,
        dec=field.dec,
        n_runs=len(runs),
        hours=sum(run.ontime for run in runs) / 3600,
        counts=sum(run.event_pixels.size for run in runs),
        background=float(sum(run.background.sum(dtype=float) for run in runs)),
        peak=peak,
        peak_ra=peak_ra,
        peak_dec=peak_dec,
        mean=outside.mean,
        width=outside.width,
        poisson_mean=outside.chance.mean,
        poisson_width=outside.chance.width,
        trials=outside.chance.trials,
        file=file,
    )


def _peak(maps: FieldMaps, *, offset_max: float) -> tuple[float, float, float]:
    """Largest significance in discs of any radius, and where it is [deg]."""
    if not np.isfinite(maps.significance).any():
        return (np.nan,) * 3
    place = np.unravel_index(np.nanargmax(maps.significance), maps.significance.shape)
    wcs, _ = field_wcs(maps.field, pixel=maps.pixel, offset_max=offset_max)
    ra, dec = wcs.all_pix2world(place[2], place[1], 0)
    return float(maps.significance[place]), float(ra), float(dec)


def judge_hot_spots(
    spots: Sequence[HotSpot], regions: Sequence[ExclusionRegion], *, trials: float
) -> list[HotSpot]:
    """Tell how often chance makes hot spots, and name the nearest sources.

    Parameters
    ----------
    spots : sequence of HotSpot
        Places in all fields.
    regions : sequence of ExclusionRegion
        Exclusion regions.
    trials : float
        Independent discs of all fields.

    Returns
    -------
    list of HotSpot
        Places, with what chance makes of it and the nearest region, if there is any.
    """
    judged = []
    for spot in spots:
        source, separation = nearest_region(spot.ra, spot.dec, regions)
        expected = float(false_alarms(spot.significance, trials))
        judged.append(
            replace(spot, false_alarms=expected, source=source, separation=separation)
        )
    return judged


def nearest_region(
    ra: float, dec: float, regions: Sequence[ExclusionRegion]
) -> tuple[str, float]:
    """Find the region next to a place.

    Parameters
    ----------
    ra, dec : float
        The place, ICRS [deg].
    regions : sequence of ExclusionRegion
        Regions.

    Returns
    -------
    tuple of str and float
        Name of the nearest one, and its distance [deg]; empty and NaN without any.
    """
    if not regions:
        return "", float("nan")
    places = np.array([(region.ra, region.dec) for region in regions])
    vectors = unit_vectors(places[:, 0], places[:, 1])
    distance = offset_angle(vectors @ fov_matrix(ra, dec).T)
    nearest = int(np.argmin(distance))
    return regions[nearest].name, float(distance[nearest])
