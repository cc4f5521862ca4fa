"""Compare models or stores with each other, or with the truth."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import click
import numpy as np

from bkgpipe._version import __version__
from bkgpipe.chain.runs import digest
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import BinningMismatchError, InputError, NoRunsError, SettingsError
from bkgpipe.plot.images import save_figure
from bkgpipe.product.whole_file import write_file
from bkgpipe.tools.compare.common_grid import (
    CommonGrid,
    common_grid,
    require_same_alignment,
)
from bkgpipe.tools.compare.data import (
    Comparison,
    FileModel,
    RunComparison,
    StoreComparison,
)
from bkgpipe.tools.compare.files import write_comparison
from bkgpipe.tools.compare.score import (
    compare_rates,
    mean_comparison,
    model_rates,
    summarise,
)
from bkgpipe.tools.compare.sides import Side, open_side
from bkgpipe.tools.compare.view import describe_comparison, figure_comparison

__all__ = ["CompareOptions", "compare_models"]


@dataclass(frozen=True, kw_only=True)
class CompareOptions:
    """What to compare, and where to write it.

    Attributes
    ----------
    obs_id : int or None
        Run to compare; all in common if none.
    as_2d : bool
        Compare means over the position angle, not images.
    livetime_a, livetime_b : bool
        Rates of A or B are per live time, not per on-time as GADF wants.
    energy_range : tuple of float or None
        Lowest and highest energy [TeV].
    offset_max : float or None
        Largest offset [deg].
    energy_bands : tuple of float
        Edges of the bands of the images [TeV]; chosen when empty.
    table, plot : Path or None
        ECSV file and PNG file.
    """

    obs_id: int | None = None
    as_2d: bool = False
    livetime_a: bool = False
    livetime_b: bool = False
    energy_range: tuple[float, float] | None = None
    offset_max: float | None = None
    energy_bands: tuple[float, ...] = ()
    table: Path | None = None
    plot: Path | None = None


def compare_models(a: Path, b: Path, *, options: CompareOptions, as_json: bool) -> None:
    """Compare two models, or those of two stores run by run, and say how they agree.

    Parameters
    ----------
    a, b : Path
        Stores, GADF files, checkpoints or truths.
    options : CompareOptions
        What to compare, and where to write it.
    as_json : bool
        Answer in one line of JSON.

    Raises
    ------
    BkgpipeError
        If one of them cannot be read, or they have nothing in common.
    """
    started = time.monotonic()
    pairs = _Pairs(open_side(a), open_side(b), options)
    found = pairs.compare()
    _write(found, options, seconds=time.monotonic() - started)
    words = describe_comparison(found, bands=options.energy_bands)
    click.echo(json.dumps(_answer(found)) if as_json else words)


class _Pairs:
    """The models of both sides, pair by pair, on the grid of the first pair."""

    def __init__(self, a: Side, b: Side, options: CompareOptions) -> None:
        self._a, self._b, self._options = a, b, options
        self._grid: CommonGrid | None = None
        self._runs: list[RunComparison] = []
        self._left_out: dict[int, str] = {}

    def compare(self) -> StoreComparison:
        """Compare all pairs."""
        obs_ids = _common_runs(self._a, self._b, self._options.obs_id)
        mean = mean_comparison(self._each(obs_ids))
        sets = [set(side.obs_ids or ()) for side in (self._a, self._b)]
        is_all = self._options.obs_id is None and all(len(each) > 1 for each in sets)
        return StoreComparison(
            name_a=self._a.name,
            name_b=self._b.name,
            mean=mean,
            runs=tuple(self._runs),
            only_a=tuple(sorted(sets[0] - sets[1])) if is_all else (),
            only_b=tuple(sorted(sets[1] - sets[0])) if is_all else (),
            left_out=self._left_out,
            notes=tuple(self._notes()),
        )

    def _each(self, obs_ids: list[int | None]) -> Iterator[tuple[Comparison, float]]:
        reason: Exception | None = None
        for obs_id in obs_ids:
            try:
                found, ontime = self._pair(obs_id)
            except (InputError, BinningMismatchError) as error:
                # that two frames differ is so for all runs
                if len(obs_ids) == 1 or obs_id is None or self._grid is None:
                    raise
                self._left_out[obs_id] = error.what
                reason = error
                continue
            number = -1 if obs_id is None else obs_id
            self._runs.append(summarise(found, obs_id=number, ontime=ontime))
            yield found, ontime
        if not self._runs and reason is not None:
            raise reason

    def _pair(self, obs_id: int | None) -> tuple[Comparison, float]:
        sides, options = (self._a, self._b), self._options
        models = [side.model(obs_id, as_2d=options.as_2d) for side in sides]
        if self._grid is None:
            grid = _make_grid(models, options)
            frames = [s.alignment(m) for s, m in zip(sides, models, strict=True)]
            require_same_alignment((frames[0], frames[1]), grid)
            self._grid = grid
        number = -1 if obs_id is None else obs_id
        runs = [side.runs[number] for side in sides if number in side.runs]
        deadc = _known([run.deadc for run in runs] + [m.deadc for m in models if m])
        is_live = (options.livetime_a, options.livetime_b)
        rates = []
        for side, model, live in zip(sides, models, is_live, strict=True):
            found = (
                model_rates(model, self._grid)
                if model
                else side.rates(obs_id, self._grid)
            )
            if live or model is None:
                found = found.scaled(_require_deadc(deadc, side.name))
            rates.append(found)
        safe = [run.safe_energy_min for run in runs]
        energy_min = max(np.nan_to_num(safe), default=0.0)
        compared = compare_rates(rates[0], rates[1], self._grid, energy_min=energy_min)
        ontime = _known([run.ontime for run in runs])
        return compared, ontime if np.isfinite(ontime) else 1.0

    def _notes(self) -> list[str]:
        live = (self._options.livetime_a, self._options.livetime_b)
        told = [
            f"{letter} is per live time, multiplied by the dead-time fraction"
            for letter, is_live in zip("AB", live, strict=True)
            if is_live
        ]
        return [*told, *self._a.notes(), *self._b.notes()]


def _common_runs(a: Side, b: Side, wanted: int | None) -> list[int | None]:
    """List the runs of which both have a model; one model of no run goes with any."""
    known = [set(side.obs_ids) for side in (a, b) if side.obs_ids is not None]
    common = set.intersection(*known) if known else set()
    if wanted is not None:
        common = common & {wanted} if known else {wanted}
    if common:
        return [*sorted(common)]
    if not known:
        return [None]
    raise NoRunsError(
        what=f"no run in common: {_some(a.obs_ids)} against {_some(b.obs_ids)}"
        if wanted is None
        else f"run {wanted} is not in both: {_some(a.obs_ids)}; {_some(b.obs_ids)}",
        where="compare",
        fix="Compare models of the same runs, or a single model file with a store",
    )


def _some(obs_ids: tuple[int, ...] | None) -> str:
    if obs_ids is None:
        return "one model"
    shown = ", ".join(str(obs_id) for obs_id in obs_ids[:4])
    return shown + (", ..." if len(obs_ids) > 4 else "")


def _make_grid(models: list[FileModel | None], options: CompareOptions) -> CommonGrid:
    files = [model for model in models if model]
    if not files:
        raise SettingsError(
            what="both are formulas without bins",
            where="compare",
            fix="Compare a truth with models or a store",
        )
    return common_grid(
        files,
        as_2d=options.as_2d,
        energy_range=options.energy_range,
        offset_max=options.offset_max,
    )


def _known(values: list[float]) -> float:
    """Take the first number that is known."""
    return next((value for value in values if np.isfinite(value)), float("nan"))


def _require_deadc(deadc: float, where: str) -> float:
    if np.isfinite(deadc):
        return deadc
    raise InputError(
        what="is per live time, but the dead-time fraction is not known",
        where=where,
        fix="Compare with a store whose observation index has DEADC, and name the run "
        "with --id",
    )


def _write(found: StoreComparison, options: CompareOptions, *, seconds: float) -> None:
    if options.table is not None:
        header = ProductHeader(
            stage="compare",
            fingerprint="none",
            inputs=digest([found.name_a, found.name_b]),
            seconds=seconds,
            version=__version__,
        )
        write_file(options.table, lambda path: write_comparison(path, header, found))
    if options.plot is not None:
        figure = figure_comparison(found, bands=options.energy_bands)
        write_file(options.plot, lambda path: save_figure(figure, path))


def _answer(found: StoreComparison) -> dict[str, object]:
    ratios = found.ratios
    mean = summarise(found.mean, obs_id=-1, ontime=1.0)
    return {
        "a": found.name_a,
        "b": found.name_b,
        "mean": _numbers(mean),
        "ratio": {"mean": ratios.mean(), "std": ratios.std()},
        "runs": [{"obs_id": run.obs_id, **_numbers(run)} for run in found.runs],
        "only_a": list(found.only_a),
        "only_b": list(found.only_b),
        "left_out": found.left_out,
        "notes": list(found.notes),
    }


def _numbers(run: RunComparison) -> dict[str, float | None]:
    names = ("n_bins", "ratio", "rms", "pull_mean", "pull_width")
    values = {name: getattr(run, name) for name in names}
    return {name: v if np.isfinite(v) else None for name, v in values.items()}
