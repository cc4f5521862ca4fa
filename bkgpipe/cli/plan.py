"""Say beforehand what a run will do."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path
from tempfile import TemporaryDirectory

import click

from bkgpipe.cli.check import preview_selection
from bkgpipe.cli.site import plan_jobs, tell_jobs
from bkgpipe.datamodel import RunTable
from bkgpipe.production.kept import frozen_settings
from bkgpipe.production.summary import number_chunks
from bkgpipe.settings import STAGES, Settings, read_settings
from bkgpipe.tasks import Production
from bkgpipe.tasks.plan import PlannedProduct, plan_products

__all__ = ["show_plan"]

# Measured on the 105 runs of H.E.S.S. DL3 DR1 with the default binning.
_SECONDS = 10.0  # start, index and report
_SECONDS_PER_RUN = 0.06
_SECONDS_PER_MODEL = 0.12
_BYTES_PER_RUN = 18_000
_BYTES_PER_MODEL = 130_000
_INFLATION = 1.4


def show_plan(
    config: Path, overrides: Iterable[str], *, site: str | None, as_json: bool
) -> None:
    """Print runs, hours, what is done, what is to do and why, estimated time and disk.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    site : str or None
        Batch site of which the jobs are shown as well.
    as_json : bool
        Print one line of JSON instead.

    Raises
    ------
    BkgpipeError
        If settings, store or site cannot be used.
    """
    settings = read_settings(config, overrides)
    table = preview_selection(settings)
    products = _plan(settings, table)
    jobs = plan_jobs(settings, products, site=site) if site else {}
    answer = {
        "runs": len(table.runs),
        "selected": len(table.selected),
        "hours": round(sum(run.livetime for run in table.selected) / 3600, 2),
        "models": len(table.exported),
        "cells": _count_cells(settings, table),
        "stages": _count_done(settings, table, products),
        "to_do": [_as_json(settings, product) for product in products],
        "seconds": round(_estimate_seconds(settings, table, products), 1),
        "bytes": _estimate_bytes(settings, table),
    }
    if site:
        answer["jobs"] = {word: len(chunks) for word, chunks in jobs.items()}
    if as_json:
        click.echo(json.dumps(answer))
        return
    click.echo(
        f"Runs:    {answer['runs']} in the store, {answer['selected']} selected "
        f"({answer['hours']} h), {answer['models']} get a model"
    )
    if settings.in_groups:
        click.echo(f"Groups:  {answer['cells']} before poor ones are merged")
    _tell_stages(_count_done(settings, table, products), products)
    click.echo(
        f"About {answer['seconds']} s with {settings.run.workers} worker(s); "
        f"{_estimate_bytes(settings, table) / 1e6:.0f} MB when all is done."
        if products
        else "Nothing to do."
    )
    if site:
        tell_jobs(settings, jobs, site=site)
    _tell_left_out(table)


def _plan(settings: Settings, table: RunTable) -> list[PlannedProduct]:
    """Plan with the settings as `run` keeps them, but elsewhere."""
    with TemporaryDirectory() as folder:
        config = Path(folder) / "luigi.cfg"
        config.write_text(frozen_settings(settings)[1], encoding="utf-8")
        return plan_products(Production(config=str(config)), table)


def _count_done(
    settings: Settings, table: RunTable, products: list[PlannedProduct]
) -> dict[str, list[int]]:
    """Chunks of each stage with nothing to do, and all."""
    counts = {"select": 1} | {
        stage: len(number_chunks(settings, table, stage)) for stage in STAGES[1:-1]
    }
    if settings.stack.strategy != "ranked":
        del counts["rank"]
    if settings.smooth.method == "regression":
        del counts["stack"]
    is_chunk = re.compile(r"(runs\.ecsv|(?!nodes)[a-z]+_\d+\.h5)")
    to_do = Counter(
        product.stage for product in products if is_chunk.fullmatch(product.path.name)
    )
    return {stage: [total - to_do[stage], total] for stage, total in counts.items()}


def _tell_stages(counts: dict[str, list[int]], products: list[PlannedProduct]) -> None:
    """Print what is done in each stage, and what is made for which reason."""
    for stage in (*counts, "report"):
        done = "{} of {} done".format(*counts[stage]) if stage in counts else ""
        click.echo(f"{stage:8} {done}".rstrip())
        same = [product for product in products if product.stage == stage]
        for reason, found in groupby(same, key=lambda product: product.reason):
            names = [product.path.name for product in found]
            several = f"{names[0]} to {names[-1]} ({len(names)})"
            click.echo(f"  {names[0] if len(names) == 1 else several}: {reason}")


def _as_json(settings: Settings, product: PlannedProduct) -> dict[str, object]:
    return {
        "stage": product.stage,
        "file": str(product.path.relative_to(settings.data.output)),
        "reason": product.reason,
        "certain": product.is_certain,
    }


def _tell_left_out(table: RunTable) -> None:
    for run in table.runs:
        if not run.selected:
            click.echo(f"  not selected {run.obs_id}: {run.reason}")


def _count_cells(settings: Settings, table: RunTable) -> int:
    """Cells of the zenith and azimuth grid that hold any run."""
    low = settings.stack.azimuth_edges[0]
    cells = {
        (
            sum(run.zenith >= edge for edge in settings.stack.zenith_edges),
            sum(
                (run.azimuth - low) % 360 >= edge - low
                for edge in settings.stack.azimuth_edges
            ),
        )
        for run in table.selected
    }
    return len(cells)


def _estimate_seconds(
    settings: Settings, table: RunTable, products: list[PlannedProduct]
) -> float:
    """Time for what is to do, all that is not certain included."""
    if not products:
        return 0.0
    size, names = settings.data.chunk_size, {product.path.name for product in products}
    counted = [f"count_{run.obs_id // size}.h5" in names for run in table.used]
    exported = [f"export_{run.obs_id // size}.h5" in names for run in table.exported]
    work = sum(counted) * _SECONDS_PER_RUN + sum(exported) * _SECONDS_PER_MODEL
    return _SECONDS + work / settings.run.workers


def _estimate_bytes(settings: Settings, table: RunTable) -> int:
    size = len(table.used) * _BYTES_PER_RUN
    size += len(table.exported) * _BYTES_PER_MODEL * len(settings.export.format)
    if settings.export.store == "full":
        size += int(_INFLATION * sum(max(0, run.file_size) for run in table.exported))
    return size
