"""Decide which target gets which live time of which OFF run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np

from bkgpipe.chain.runs import digest
from bkgpipe.core.run import Run
from bkgpipe.errors import BkgpipeError, InputError
from bkgpipe.settings.parse import refuse
from bkgpipe.simulate.overlay.data import OverlayTarget, PoolUse
from bkgpipe.simulate.overlay.files import read_pool
from bkgpipe.simulate.overlay.inputs import OverlayInputs, read_overlay_inputs
from bkgpipe.simulate.overlay.match import find_mismatches, order_runs, rate_factors
from bkgpipe.simulate.overlay.pool import OffPool, describe_spans
from bkgpipe.simulate.overlay.settings import OverlaySettings

__all__ = ["OverlayPlan", "make_plan"]

_NO_LACK = 1e-3  # s


@dataclass(frozen=True, kw_only=True, eq=False)
class OverlayPlan:
    """Who gets what, in the order in which it is given.

    Attributes
    ----------
    inputs : OverlayInputs
        Targets and OFF runs.
    output : str
        Digest of all that the output is made from.
    frame : str
        Digest of the field, the OFF runs and their masks.
    earlier : tuple of PoolUse
        What targets of other outputs got before.
    uses : tuple of PoolUse
        What each target gets.
    matches : mapping of int to mapping of str to object
        OFF runs that match each target, and what is against the others.
    """

    inputs: OverlayInputs
    output: str
    frame: str
    earlier: tuple[PoolUse, ...]
    uses: tuple[PoolUse, ...]
    matches: Mapping[int, Mapping[str, object]]


def make_plan(settings: OverlaySettings, *, workers: int) -> OverlayPlan:
    """Read all inputs and share out the OFF runs, or refuse with all problems.

    Parameters
    ----------
    settings : OverlaySettings
        Settings.
    workers : int
        Worker processes.

    Returns
    -------
    OverlayPlan
        Who gets what.

    Raises
    ------
    SettingsError
        With all that is wrong with settings and inputs.
    InputError
        If there are no targets or no OFF runs at all.
    """
    problems: list[str] = []
    inputs = read_overlay_inputs(settings, workers=workers, problems=problems)
    plan = _share(inputs, settings, problems) if inputs and not problems else None
    refuse(
        problems,
        where="simulate overlay",
        fix="Correct them all; nothing has been written",
    )
    if plan is None:
        raise InputError(
            what="there is nothing to do",
            where="[overlay] store",
            fix="Name a store with runs in it",
        )
    return plan


def _share(
    inputs: OverlayInputs, settings: OverlaySettings, problems: list[str]
) -> OverlayPlan:
    frame = digest([settings.alignment, settings.offset_max, *_source_facts(inputs)])
    earlier = _earlier_uses(settings, frame, problems)
    # where the files are, and how many processes make them, does not change them
    facts = replace(settings, store=None, off_store=None, production=None, pool=None)
    runs = [replace(target.run, file_time=0) for target in inputs.targets]
    output = digest([facts, frame, *earlier, *runs])
    pool = OffPool({source.run.obs_id: source.exposure for source in inputs.sources})
    pool.replay(earlier)
    uses, matches = [], {}
    for target in inputs.targets:
        wish, matches[target.run.obs_id] = _match(target, inputs, settings)
        pieces, lacking = pool.serve(
            wish.livetime, wish.off_ids, factors=wish.factors, reuse=settings.reuse
        )
        if not wish.off_ids:
            problems.append(_no_match(target.run, matches[target.run.obs_id]))
        elif lacking.max() > _NO_LACK:
            offered = pool.offered(wish.off_ids)
            problems.append(_used_up(target.run, lacking, offered))
        uses.append(replace(wish, output=output, spans=describe_spans(pieces)))
    return OverlayPlan(
        inputs=inputs,
        output=output,
        frame=frame,
        earlier=earlier,
        uses=tuple(uses),
        matches=matches,
    )


def _source_facts(inputs: OverlayInputs) -> Iterator[object]:
    for source in inputs.sources:
        yield replace(source.run, file_time=0)
        yield source.exposure.gti.tobytes()
        yield source.mask.excluded_pixels.tobytes()


def _earlier_uses(
    settings: OverlaySettings, frame: str, problems: list[str]
) -> tuple[PoolUse, ...]:
    if settings.pool is None:
        return ()
    try:
        pool = read_pool(settings.pool)
    except BkgpipeError as error:
        problems.append(str(error))
        return ()
    if pool.frame != frame:
        problems.append(
            "[overlay] pool: it is about other OFF runs, masks, alignment or offset_max"
        )
        return ()
    return pool.uses


def _match(
    target: OverlayTarget, inputs: OverlayInputs, settings: OverlaySettings
) -> tuple[PoolUse, dict[str, object]]:
    """Find the OFF runs of a target, and say what is against the others."""
    off_runs = [source.run for source in inputs.sources]
    energies = {s.run.obs_id: s.safe_energy for s in inputs.sources}
    mismatches = find_mismatches(
        target.run,
        off_runs,
        limits=settings.limits,
        safe_energy=(target.safe_energy, energies),
    )
    differs = np.any([np.zeros(len(off_runs), bool), *mismatches.values()], axis=0)
    matching = order_runs(
        target.run,
        [run for run, other in zip(off_runs, differs, strict=True) if not other],
        order=settings.order,
        seed=settings.seed,
    )
    ids = np.array([run.obs_id for run in off_runs])
    wish = PoolUse(
        output="",
        obs_id=target.run.obs_id,
        livetime=target.livetime,
        off_ids=tuple(run.obs_id for run in matching),
        factors=rate_factors(target.run, matching, zenith_slope=settings.zenith_slope),
    )
    match: dict[str, object] = {"matching": list(wish.off_ids)}
    match["too different"] = {
        name: ids[other].tolist() for name, other in mismatches.items()
    }
    return wish, match


def _no_match(run: Run, match: Mapping[str, object]) -> str:
    reasons: dict[str, list[int]] = match["too different"]  # type: ignore[assignment]
    order = sorted(reasons, key=lambda name: -len(reasons[name]))
    told = ", ".join(f"{name} ({len(reasons[name])})" for name in order)
    return f"run {run.obs_id}: no OFF run matches it; too different in: {told}"


def _used_up(run: Run, lacking: np.ndarray, offered: np.ndarray) -> str:
    """Say what is missing, and whether more of the same would help."""
    is_short = lacking > _NO_LACK
    what = (
        f"run {run.obs_id}: matching OFF runs lack {lacking.max():.0f} s of live time"
        f" in {100 * float(is_short.mean()):.1f} % of the field"
    )
    if (is_short & (offered <= _NO_LACK)).any():
        return f"{what}; regions of all of them cover a part of it: give others"
    return f"{what}; give more OFF runs, or set reuse = true"
