"""Count the events of one run, and the solid angle that its mask keeps."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from bkgpipe.core.binning import Binning
from bkgpipe.core.run import Events, Run
from bkgpipe.core.usable import require_events, require_livetime
from bkgpipe.errors import InputError
from bkgpipe.geometry.alignment import Alignment, align_run
from bkgpipe.geometry.frames import swap_alignment, unit_vectors
from bkgpipe.geometry.sampling import (
    FieldBins,
    find_bins,
    make_field_samples,
    ring_vectors,
)
from bkgpipe.stages.count.clock import make_clock
from bkgpipe.stages.count.data import (
    Conservation,
    ControlEvents,
    MaskEffect,
    RunCounts,
    lowest_energy,
)
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.mask.pixels import is_kept_vectors

__all__ = ["count_run"]

# Near the safe energy the number of events in the ring follows the safe energy itself
# as much as the air; from this multiple of it on it does not
_CONTROL_FACTOR = 2.0
# The rim of the field begins at this share of its radius
_RIM_SHARE = 0.8


def count_run(
    run: Run,
    events: Events,
    mask: ExclusionMask,
    *,
    binning: Binning,
    fov_alignment: str,
    safe_energy: tuple[float, str],
    control_offset: float,
    checksum: str,
) -> RunCounts:
    """Count the events of a run and the solid angle that its mask keeps.

    Events of all energies on the axis are counted, safe or not: the safe energy says
    where the energy of a gamma ray is biased, and background is no less real there.
    Each event read is in exactly one figure of the conservation; both histograms hold
    the same events. The kept solid angle comes from the mask alone, not from events.

    Parameters
    ----------
    run : Run
        The run.
    events : Events
        Its events.
    mask : ExclusionMask
        Its exclusion mask, which must reach as far as `control_offset`.
    binning : Binning
        Axes of the histograms.
    fov_alignment : str
        ``ALTAZ`` or ``RADEC``.
    safe_energy : tuple of float and str
        Energy above which that of a gamma ray is not biased [TeV], and its origin.
    control_offset : float
        Offset up to which events beyond the field are control events [deg].
    checksum : str
        SHA-256 of the events file.

    Returns
    -------
    RunCounts
        Histograms, kept solid angles, control events and conservation.

    Raises
    ------
    InputError
        If on-time, dead-time fraction, pointing or safe energy are missing, or no event
        is in good time; for ALTAZ also without place of the observatory.
    """
    livetime = require_livetime(run, events)
    safe = _find_safe_bins(run, binning, safe_energy[0])
    require_events(run, events)
    # the valid ones in the good time intervals, whose time is on-time
    good = events.keep(events.is_valid & events.is_in_good_time)
    alignment = align_run(run, good, binning, fov_alignment=fov_alignment)
    located = _locate(good, alignment, mask, binning=binning, safe=safe)
    angles = _solid_angles(binning, alignment, mask, control_offset)
    counts_3d, counts_2d = _histograms(binning, located)
    return RunCounts(
        run=run,
        binning=binning,
        counts_3d=counts_3d,
        counts_2d=counts_2d,
        solid_angle_3d=angles.image,
        solid_angle_2d=angles.annuli,
        is_safe=safe.is_safe,
        safe_energy_min=safe_energy[0],
        safe_energy_origin=safe_energy[1],
        ontime=events.ontime,
        livetime=livetime,
        position_angle=alignment.position_angle,
        conservation=_conserve(events, located),
        control=_control_events(located, angles, livetime),
        checksum=checksum,
        mask_effect=_mask_effect(binning, located, angles.annuli),
        clock=make_clock(run, events),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Located:
    """Where each valid event in good time is, all of shape ``(n_events,)``."""

    bins: FieldBins
    energy_index: np.ndarray
    in_energy: np.ndarray
    is_safe: np.ndarray
    is_high: np.ndarray
    is_unmasked: np.ndarray

    @property
    def is_on_axes(self) -> np.ndarray:
        """In the field and on the energy axis."""
        is_on_axes: np.ndarray = self.bins.is_inside & self.in_energy
        return is_on_axes

    @property
    def is_kept(self) -> np.ndarray:
        """In the counts."""
        is_kept: np.ndarray = self.is_on_axes & self.is_unmasked
        return is_kept


@dataclass(frozen=True, kw_only=True)
class _Ring:
    """A ring about the pointing [deg], and what the mask keeps of it [sr]."""

    inner: float
    outer: float
    solid_angle: float

    def holds(self, offset: np.ndarray) -> np.ndarray:
        """Tell which offsets are in it."""
        is_in: np.ndarray = (offset >= self.inner) & (offset < self.outer)
        return is_in


@dataclass(frozen=True, kw_only=True, eq=False)
class _SolidAngles:
    """What the mask keeps of image and annuli [sr], beyond the field and at its rim."""

    image: np.ndarray
    annuli: np.ndarray
    outer: _Ring
    rim: _Ring


@dataclass(frozen=True, kw_only=True, eq=False)
class _SafeBins:
    """Energy bins that are safe as a whole, and where control events begin [TeV]."""

    is_safe: np.ndarray
    high_energy: float


def _find_safe_bins(run: Run, binning: Binning, safe_energy_min: float) -> _SafeBins:
    if np.isnan(safe_energy_min):
        raise InputError(
            what="the safe energy is not a number",
            where=f"run {run.obs_id}",
            fix="Set safe_energy_min, or take it from another origin",
        )
    # An edge that is the safe energy but for rounding counts as safe
    is_safe = binning.energy_edges[:-1] >= safe_energy_min * (1 - 1e-9)
    lowest = lowest_energy(binning, is_safe, safe_energy_min)
    high_energy = _CONTROL_FACTOR * lowest if is_safe.any() else float("inf")
    return _SafeBins(is_safe=is_safe, high_energy=high_energy)


def _locate(
    events: Events,
    alignment: Alignment,
    mask: ExclusionMask,
    *,
    binning: Binning,
    safe: _SafeBins,
) -> _Located:
    sky = unit_vectors(events.ra, events.dec)
    vectors = sky @ alignment.radec_matrix.T
    if alignment.event_angle is not None:
        vectors = swap_alignment(vectors, alignment.event_angle)
    index = np.searchsorted(binning.energy_edges, events.energy, side="right") - 1
    in_energy = (index >= 0) & (index < binning.n_energy)
    return _Located(
        bins=find_bins(binning, vectors),
        energy_index=index,
        in_energy=in_energy,
        is_safe=in_energy & safe.is_safe[index.clip(0, binning.n_energy - 1)],
        is_high=in_energy & (events.energy >= safe.high_energy),
        is_unmasked=is_kept_vectors(mask, sky),
    )


def _solid_angles(
    binning: Binning, alignment: Alignment, mask: ExclusionMask, control_offset: float
) -> _SolidAngles:
    samples = make_field_samples(binning)
    kept = _kept_share(samples.vectors, alignment, mask)
    shape_3d, shape_2d = binning.shape_3d[1:], binning.shape_2d[1:]
    sum_3d = np.bincount(
        samples.index_3d, samples.weight_3d * kept, minlength=shape_3d[0] * shape_3d[1]
    )
    sum_2d = np.bincount(
        samples.index_2d, samples.weight_2d * kept, minlength=shape_2d[0]
    )
    return _SolidAngles(
        image=sum_3d.reshape(shape_3d),
        annuli=sum_2d,
        outer=_outer_ring(binning, alignment, mask, control_offset),
        rim=_rim_ring(binning, alignment, mask),
    )


def _kept_share(
    vectors: np.ndarray, alignment: Alignment, mask: ExclusionMask
) -> np.ndarray:
    """Return the share of the time that the mask keeps field-of-view vectors."""
    if mask.excluded_pixels.size == 0:
        return np.ones(len(vectors))
    share = np.zeros(len(vectors))
    for matrix, weight in zip(
        alignment.step_matrices, alignment.step_weights, strict=True
    ):
        share += weight * is_kept_vectors(mask, vectors @ matrix)
    return share


def _outer_ring(
    binning: Binning, alignment: Alignment, mask: ExclusionMask, control_offset: float
) -> _Ring:
    """Measure the ring between the field and `control_offset`."""
    inner = binning.offset_max
    if control_offset <= inner:
        return _Ring(inner=inner, outer=inner, solid_angle=0.0)
    # A ring about the pointing keeps its place when the field turns
    points = ring_vectors(inner, control_offset) @ alignment.radec_matrix
    kept = is_kept_vectors(mask, points)
    return _make_ring(inner, control_offset, kept)


def _rim_ring(binning: Binning, alignment: Alignment, mask: ExclusionMask) -> _Ring:
    """Measure the rim of the field, as far as it is in the image."""
    inner, outer = _RIM_SHARE * binning.offset_max, binning.offset_max
    vectors = ring_vectors(inner, outer)
    kept = _kept_share(vectors, alignment, mask)
    return _make_ring(inner, outer, kept * find_bins(binning, vectors).is_inside)


def _make_ring(inner: float, outer: float, kept: np.ndarray) -> _Ring:
    cap, disc = 4 * np.pi * np.sin(np.radians([inner, outer]) / 2) ** 2
    solid_angle = float((disc - cap) * kept.mean())
    return _Ring(inner=inner, outer=outer, solid_angle=solid_angle)


def _control_events(
    located: _Located, angles: _SolidAngles, livetime: float
) -> ControlEvents:
    """Count the kept events of both rings, and in the field at low energies."""
    offset, is_inside = located.bins.offset, located.bins.is_inside
    high = located.is_high & located.is_unmasked
    return ControlEvents(
        counts_outer=_number(high & ~is_inside & angles.outer.holds(offset)),
        exposure_outer=livetime * angles.outer.solid_angle,
        counts_low=_number(located.is_kept & ~located.is_safe),
        exposure_low=livetime * float(angles.annuli.sum()),
        counts_rim=_number(high & is_inside & angles.rim.holds(offset)),
        exposure_rim=livetime * angles.rim.solid_angle,
    )


def _histograms(binning: Binning, located: _Located) -> tuple[np.ndarray, np.ndarray]:
    shape_3d, shape_2d = binning.shape_3d, binning.shape_2d
    kept = located.is_kept
    energy = located.energy_index[kept]
    n_field = shape_3d[1] * shape_3d[2]
    counts_3d = np.bincount(
        energy * n_field + located.bins.index_3d[kept], minlength=shape_3d[0] * n_field
    )
    counts_2d = np.bincount(
        energy * shape_2d[1] + located.bins.index_2d[kept],
        minlength=shape_2d[0] * shape_2d[1],
    )
    return counts_3d.reshape(shape_3d), counts_2d.reshape(shape_2d)


def _mask_effect(
    binning: Binning, located: _Located, solid_angle_2d: np.ndarray
) -> MaskEffect:
    usable, shape = located.is_on_axes & located.is_safe, binning.shape_3d[1:]
    events_3d = np.bincount(
        located.bins.index_3d[usable], minlength=shape[0] * shape[1]
    )
    return MaskEffect(
        events_3d=events_3d.reshape(shape),
        events_2d=np.bincount(
            located.bins.index_2d[usable], minlength=binning.shape_2d[1]
        ),
        solid_angle_2d=solid_angle_2d,
    )


def _conserve(events: Events, located: _Located) -> Conservation:
    """Say where each event went: the first of these that it fails."""
    in_field, kept = located.bins.is_inside, located.is_kept
    n_valid = _number(events.is_valid)
    return Conservation(
        n_read=events.n_events,
        n_invalid=events.n_events - n_valid,
        n_outside_time=n_valid - in_field.size,
        n_outside_field=_number(~in_field),
        n_outside_energy=_number(in_field & ~located.in_energy),
        n_excluded=_number(located.is_on_axes & ~kept),
        n_below_safe=_number(kept & ~located.is_safe),
        n_kept=_number(kept & located.is_safe),
    )


def _number(is_so: np.ndarray) -> int:
    return int(np.count_nonzero(is_so))
