"""Products in words: what is in them, how much, in which unit."""

from __future__ import annotations

from functools import singledispatch

import numpy as np
from astropy.table import Table

from bkgpipe.core.binning import Binning
from bkgpipe.core.clock import Clock
from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.core.run import Run, RunTable
from bkgpipe.stages.count.data import Conservation, RunCounts
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.fit.data import RegressionFit
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.rank.data import Candidates, Ranking
from bkgpipe.stages.report.clock_words import clock_words
from bkgpipe.stages.report.model_words import fit_lines
from bkgpipe.stages.report.ranking import describe_ranking
from bkgpipe.stages.report.records import describe_fit, describe_summary, describe_table
from bkgpipe.stages.report.summary import Summary
from bkgpipe.stages.sky.data import RunSky
from bkgpipe.stages.smooth.data import NodeModel, RateModel
from bkgpipe.stages.stack.data import Conditions, Group, Stack

__all__ = ["describe"]

_LISTED_RUNS = 10


@singledispatch
def describe(product: object) -> str:
    """Say what is in a product.

    Parameters
    ----------
    product : object
        Any object of `bkgpipe.datamodel` that is written to a file.

    Returns
    -------
    str
        Lines of text with numbers and units, without a final line break.

    Raises
    ------
    TypeError
        If the object is not a product.
    """
    raise TypeError(f"no words for a {type(product).__name__}")


@describe.register
def _(header: ProductHeader) -> str:
    return (
        f"Product of stage {header.stage}, settings {header.fingerprint}, "
        f"made by bkgpipe {header.version} in {header.seconds:.1f} s"
    )


@describe.register
def _(table: RunTable) -> str:
    selected, left_out = table.selected, [r for r in table.runs if not r.selected]
    hours = sum(run.livetime for run in selected) / 3600.0
    lines = [
        (
            f"{_count(len(table.runs), 'run')}: {len(selected)} selected "
            f"({hours:.2f} h live time), {len(table.exported)} get a model"
        ),
        *_ranges(table),
    ]
    if left_out:
        lines.append("Not selected:")
        lines += [f"  run {run.obs_id}: {run.reason}" for run in left_out]
    return "\n".join(lines)


@describe.register
def _(mask: ExclusionMask) -> str:
    resolution = np.degrees(np.sqrt(np.pi / 3) / mask.nside)
    area = mask.excluded_pixels.size * resolution**2
    lines = [
        f"Exclusion mask of run {mask.obs_id}",
        f"HEALPix grid: nside {mask.nside}, pixels of {resolution:.3f} deg",
        (
            f"Excluded: {_count(mask.excluded_pixels.size, 'pixel')}, {area:.3f} deg2, "
            f"by {_count(len(mask.region_names), 'region')}"
        ),
    ]
    return "\n".join(lines + [_region(mask, i) for i in range(len(mask.region_names))])


@describe.register
def _(sky: RunSky) -> str:
    low, high = sky.energy_range
    return "\n".join(
        [
            f"Run {sky.obs_id} on the sky, {low:.3g} to {high:.3g} TeV",
            (
                f"HEALPix grid: nside {sky.nside}, {_count(sky.pixels.size, 'pixel')}, "
                f"{int(sky.is_kept.sum())} of them outside the mask"
            ),
            f"Events: {sky.event_pixels.size}, predicted: {sky.background.sum():.1f}",
            f"Norm: {sky.norm:.3f} ± {sky.norm_error:.3f}",
        ]
    )


@describe.register
def _(counts: RunCounts) -> str:
    control = counts.control
    return "\n".join(
        [
            f"Counts of {_run(counts.run)}",
            *_axes(counts.binning),
            f"On-time: {counts.ontime:.1f} s, live time: {counts.livetime:.1f} s",
            *_doubts(counts.clock),
            f"Kept solid angle: {counts.kept_fraction:.1%} of the field",
            (
                f"Safe from {counts.safe_energy_min:.4g} TeV on "
                f"(from: {counts.safe_energy_origin})"
            ),
            *_places(counts.conservation),
            (
                f"Control events: {control.counts_outer} beyond the field in "
                f"{control.exposure_outer:.4g} s sr, {control.counts_rim} at its rim "
                f"in {control.exposure_rim:.4g} s sr, {control.counts_low} below "
                f"the safe energy in {control.exposure_low:.4g} s sr"
            ),
            f"Events file: SHA-256 {counts.checksum}",
        ]
    )


describe.register(Ranking, describe_ranking)
describe.register(RegressionFit, describe_fit)
describe.register(Summary, describe_summary)
describe.register(Table, describe_table)


@describe.register
def _(candidates: Candidates) -> str:
    n_runs, n_energy, n_offset = candidates.counts_2d.shape
    return (
        f"{_count(n_runs, 'candidate')}, {candidates.livetime.sum() / 3600:.2f} h live "
        f"time, {candidates.is_unfit.sum()} unfit\n"
        f"Compared in {n_energy} x {n_offset} bins of energy and offset"
    )


@describe.register
def _(group: Group) -> str:
    lines = [
        (
            f"Group {group.group_id}: {_count(group.obs_ids.size, 'run')}, "
            f"{group.livetime / 3600:.2f} h live time, "
            f"{_count(group.n_events, 'event')}"
        ),
        f"Cell: {_cell(group)}",
        f"Mean: zenith {group.zenith:.2f} deg, azimuth {group.azimuth:.2f} deg",
    ]
    return "\n".join(lines + [f"Joined by the cell {cell}" for cell in group.merged])


@describe.register
def _(stack: Stack) -> str:
    listed = ", ".join(str(obs_id) for obs_id in stack.obs_ids[:_LISTED_RUNS])
    n_more = stack.obs_ids.size - _LISTED_RUNS
    more = f" and {n_more} more" if n_more > 0 else ""
    return "\n".join(
        [
            f"Stack {stack.stack_id}: {_count(stack.obs_ids.size, 'run')}",
            f"Runs: {listed}{more}",
            *_axes(stack.binning),
            f"On-time: {stack.ontime / 3600:.2f} h, live time: {stack.hours:.2f} h",
            (
                f"Counts: {int(stack.counts_3d.sum())} on (energy, fov_lon, fov_lat), "
                f"{int(stack.counts_2d.sum())} on (energy, offset)"
            ),
            _conditions(stack.conditions),
        ]
    )


@describe.register
def _(model: RateModel) -> str:
    return "\n".join(
        [
            f"Rate of stack {model.stack_id}, per live time, smoothing {model.method}",
            *_axes(model.binning),
            *fit_lines(model),
            _behind(model),
            _conditions(model.conditions),
            _values("Rate 3D", model.rate_3d, model.exposure_3d > 0),
            _values("Rate 2D", model.rate_2d, model.exposure_2d > 0),
            *_errors(model),
        ]
    )


@describe.register
def _(model: NodeModel) -> str:
    owner = "the group" if model.obs_id < 0 else f"run {model.obs_id}"
    return "\n".join(
        [
            (
                f"Background model of stack {model.stack_id} for {owner}, per on-time, "
                f"FOVALIGN {model.fov_alignment}"
            ),
            *_axes(model.binning),
            *fit_lines(model),
            _behind(model),
            _conditions(model.conditions),
            _values("bkg_3d", model.bkg_3d, np.ones(model.bkg_3d.shape, dtype=bool)),
            _values("bkg_2d", model.bkg_2d, np.ones(model.bkg_2d.shape, dtype=bool)),
            (
                f"Bins filled from their neighbours: {model.n_filled_3d} of bkg_3d, "
                f"{model.n_filled_2d} of bkg_2d"
            ),
            *_errors(model),
        ]
    )


@describe.register
def _(entry: ExportEntry) -> str:
    files = [name for name in (entry.bkg_3d, entry.bkg_2d, entry.events) if name]
    return "\n".join(
        [
            (
                f"Export of run {entry.obs_id}: model of stack {entry.stack_id} from "
                f"{_count(entry.n_runs, 'run')}, {entry.hours:.2f} h live time"
            ),
            *(f"  {name}" for name in files),
            f"Dead-time fraction (DEADC): {entry.deadc:.4f}",
            (
                f"Bins filled from their neighbours: {entry.n_filled_3d} of bkg_3d, "
                f"{entry.n_filled_2d} of bkg_2d"
            ),
        ]
    )


@describe.register(Chunk)
def _(chunk: Chunk[object]) -> str:
    records = [chunk.records[key] for key in sorted(chunk.records)]
    lines = [f"{_count(len(records), 'product')}, {len(chunk.refused)} refused"]
    counted = [record for record in records if isinstance(record, RunCounts)]
    if counted:
        total = sum((record.conservation for record in counted), Conservation())
        lines += _places(total)
    # one record is shown in full, of many the first line of each
    if len(records) == 1:
        lines += ["", describe(records[0])]
    else:
        lines += [f"  {describe(record).splitlines()[0]}" for record in records]
    if chunk.refused:
        lines.append("Refused:")
        lines += [f"  {key}: {chunk.refused[key]}" for key in sorted(chunk.refused)]
    return "\n".join(lines)


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _run(run: Run) -> str:
    target = f" ({run.target})" if run.target else ""
    return (
        f"run {run.obs_id}{target} at RA {run.ra:.3f} deg, Dec {run.dec:.3f} deg, "
        f"zenith {run.zenith:.1f} deg, azimuth {run.azimuth:.1f} deg"
    )


def _ranges(table: RunTable) -> list[str]:
    names = {"zenith": "deg", "azimuth": "deg", "deadc": "", "muon_efficiency": ""}
    lines = []
    for name, unit in names.items():
        values = np.array([getattr(run, name) for run in table.selected], dtype=float)
        known = values[np.isfinite(values)]
        if known.size:
            text = f"{name.replace('_', ' ')}: {known.min():.4g} to {known.max():.4g}"
            lines.append(f"{text} {unit}".rstrip())
    return lines


def _cell(group: Group) -> str:
    zenith_min, zenith_max, azimuth_min, azimuth_max = group.cells[0]
    return (
        f"zenith {zenith_min:g} to {zenith_max:g} deg, "
        f"azimuth {azimuth_min:g} to {azimuth_max:g} deg"
    )


def _region(mask: ExclusionMask, index: int) -> str:
    ra, dec, radius, extension = mask.region_circles[index]
    capped = ", cut by the upper limit" if mask.region_capped[index] else ""
    return (
        f"  {mask.region_names[index]} ({mask.region_origins[index]}): "
        f"RA {ra:.3f} deg, Dec {dec:.3f} deg, radius {radius:.3f} deg, "
        f"extension {extension:.3f} deg{capped}"
    )


def _axes(binning: Binning) -> list[str]:
    lines = []
    for name, unit in (
        ("energy", "TeV"),
        ("fov_lon", "deg"),
        ("fov_lat", "deg"),
        ("offset", "deg"),
    ):
        edges = getattr(binning, f"{name}_edges")
        lines.append(
            f"Axis {name}: {_count(edges.size - 1, 'bin')}, "
            f"{edges[0]:.4g} to {edges[-1]:.4g} {unit}"
        )
    return lines


def _places(conservation: Conservation) -> list[str]:
    places = {
        "read": conservation.n_read,
        "invalid": conservation.n_invalid,
        "outside good time": conservation.n_outside_time,
        "outside the field": conservation.n_outside_field,
        "outside the energy axis": conservation.n_outside_energy,
        "excluded": conservation.n_excluded,
        "kept below the safe energy": conservation.n_below_safe,
        "kept": conservation.n_kept,
    }
    lines = [f"Events {name}: {number}" for name, number in places.items()]
    if conservation.n_lost:
        lines.append(f"Events LOST: {conservation.n_lost} (please report this)")
    return lines


def _doubts(clock: Clock) -> list[str]:
    return [f"Warning: {clock_words(clock)}"] if clock.is_doubtful else []


def _conditions(conditions: Conditions) -> str:
    return (
        f"Mean conditions: zenith {conditions.zenith:.2f} deg, "
        f"azimuth {conditions.azimuth:.2f} deg, dead-time fraction (DEADC) "
        f"{conditions.deadc:.4f}, muon efficiency {conditions.muon_efficiency:.4g}"
    )


def _behind(model: RateModel | NodeModel) -> str:
    hours = model.livetime / 3600
    return f"Made from {_count(model.n_runs, 'run')}, {hours:.2f} h live time"


def _values(name: str, values: np.ndarray, is_seen: np.ndarray) -> str:
    filled = values[is_seen & (values > 0)]
    text = f"{name}: {filled.size} of {values.size} bins hold a rate"
    if not filled.size:
        return text
    return f"{text}, {filled.min():.4g} to {filled.max():.4g} s-1 TeV-1 sr-1"


def _errors(model: RateModel | NodeModel) -> list[str]:
    lines = []
    for name, error in (("3D", model.error_3d), ("2D", model.error_2d)):
        if error.size:
            lines.append(
                f"Statistical error {name}: {error.min():.2%} to {error.max():.2%}, "
                f"median {np.median(error):.2%}"
            )
    known = f"{model.systematic:.2%}" if np.isfinite(model.systematic) else "unknown"
    return [*lines, f"Systematic error of the norm: {known}"]
