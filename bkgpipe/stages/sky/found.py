"""Regions that were found in the maps, and grow from one pass to the next."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from bkgpipe.stages.sky.data import HotSpot, Reach

__all__ = ["FoundRegion", "join_found"]

# Beyond the last ring with an excess; the point spread goes on where it is not seen
_MARGIN = 0.1  # deg
_DIGITS = 4  # of a position in degrees, as the settings keep it


@dataclass(frozen=True, kw_only=True)
class FoundRegion:
    """A disc that is excluded since an excess was found there.

    Attributes
    ----------
    name : str
        Name, as ``found 1``.
    ra, dec : float
        Centre, ICRS [deg].
    radius : float
        Radius [deg].
    significance : float
        Largest significance when it was found, in standard deviations.
    search_radius : float
        Radius of the disc with that significance [deg].
    counts : int
        Events in that disc.
    background : float
        Events predicted in it.
    false_alarms : float
        How many such excesses chance makes in all fields together, on average.
    found_in : int
        Pass that found it, from 1.
    source : str
        Nearest source of gammacat; empty when that is not at hand.
    separation : float
        Distance to that source; NaN without one [deg].
    """

    name: str
    ra: float
    dec: float
    radius: float
    significance: float
    search_radius: float
    counts: int
    background: float
    false_alarms: float
    found_in: int
    source: str = ""
    separation: float = float("nan")


def join_found(
    known: Sequence[FoundRegion],
    *,
    spots: Sequence[HotSpot],
    reaches: Sequence[Reach],
    number: int,
) -> tuple[FoundRegion, ...]:
    """Let known regions grow, and add new ones.

    Parameters
    ----------
    known : sequence of FoundRegion
        Regions of earlier passes.
    spots : sequence of HotSpot
        Hot spots of this pass; those under the mask are known.
    reaches : sequence of Reach
        How far the excess goes beyond each region.
    number : int
        Number of the pass.

    Returns
    -------
    tuple of FoundRegion
        All regions; equal to `known` when nothing new was found.
    """
    farther = {each.name: each.reach for each in reaches if each.reach > each.radius}
    grown = [_grow(region, farther) for region in known]
    new = [spot for spot in spots if not spot.is_masked]
    return (
        *grown,
        *(
            FoundRegion(
                name=f"found {place}",
                ra=round(spot.ra, _DIGITS),
                dec=round(spot.dec, _DIGITS),
                radius=round(spot.radius + _MARGIN, _DIGITS),
                significance=spot.significance,
                search_radius=spot.search_radius,
                counts=spot.counts,
                background=spot.background,
                false_alarms=spot.false_alarms,
                found_in=number,
            )
            for place, spot in enumerate(new, start=len(known) + 1)
        ),
    )


def _grow(region: FoundRegion, farther: Mapping[str, float]) -> FoundRegion:
    if region.name not in farther:
        return region
    return replace(region, radius=round(farther[region.name] + _MARGIN, _DIGITS))
