"""Say beforehand what a run will do."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from pathlib import Path

import click

from bkgpipe.batch.resources import site_doubts
from bkgpipe.chain.contents import add_checksums
from bkgpipe.chain.cost import Cost, count_cells, find_costs
from bkgpipe.chain.estimate import (
    disk_space,
    duration_words,
    estimate_bytes,
    estimate_seconds,
    size_words,
    tell_left_out,
    workers_words,
)
from bkgpipe.chain.found import read_with_found
from bkgpipe.chain.inputs import choose_runs
from bkgpipe.chain.kept import register
from bkgpipe.chain.memory import memory_doubts, memory_words
from bkgpipe.chain.picture import ChainLink, draw_chain
from bkgpipe.chain.refusals import Refusal, find_refusals
from bkgpipe.chain.summary import count_chunks
from bkgpipe.cli.site import plan_jobs, tell_jobs
from bkgpipe.core.run import RunTable
from bkgpipe.flow import MakeProduction
from bkgpipe.flow.plan import PlannedProduct, plan_products
from bkgpipe.settings import Settings
from bkgpipe.stages.table import list_chain

__all__ = ["Plan", "make_plan", "show_graph", "show_plan"]


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
    plan = make_plan(read_with_found(config, overrides), site=site)
    if as_json:
        click.echo(json.dumps(plan.answer()))
        return
    for line in plan.lines():
        click.echo(line)
    if site:
        tell_jobs(plan.settings, plan.jobs, plan.costs, site=site)


def show_graph(config: Path, overrides: Iterable[str], *, form: str) -> None:
    """Draw the stages of a production, what each is made from, and how far it is.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    form : str
        ``text``, ``dot`` or ``mermaid``.

    Raises
    ------
    BkgpipeError
        If settings or store cannot be used.
    """
    settings = read_with_found(config, overrides)
    counts = make_plan(settings).stages
    links = []
    for stage in list_chain(settings):
        n_done, n_total = counts.get(stage.word, (0, 0))
        links.append(
            ChainLink(
                word=stage.word,
                does=stage.does,
                parents=stage.used_parents(settings),
                n_done=n_done,
                n_total=n_total,
            )
        )
    click.echo(draw_chain(links, form))


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Plan:
    """What a run will do.

    Attributes
    ----------
    settings : Settings
        Settings.
    table : RunTable
        Runs of the store, with the decision on each.
    products : tuple of PlannedProduct
        What is to be made, in an order in which it can be.
    stages : dict of str to list of int
        Chunks of each stage with nothing to do, and all.
    jobs : dict of str to list of tuple of int
        Chunks of each batch job, by what it makes; empty without a site.
    costs : dict of str to Cost
        Time, memory and disk that each stage takes, if nothing is made yet.
    site : str
        Name of the site; empty without one.
    """

    settings: Settings
    table: RunTable
    products: tuple[PlannedProduct, ...]
    stages: dict[str, list[int]]
    jobs: dict[str, list[tuple[int, ...]]]
    costs: dict[str, Cost]
    site: str = ""

    def __repr__(self) -> str:
        return "\n".join(self.lines())

    @cached_property
    def refusals(self) -> tuple[Refusal, ...]:
        """Runs that cannot be used, as far as index, headers and settings tell."""
        return find_refusals(self.settings, self.table)

    @property
    def hours(self) -> float:
        """Live time of the selected runs [h]."""
        return sum(run.livetime for run in self.table.selected) / 3600

    @property
    def seconds(self) -> float:
        """Estimated time for what is to do [s]."""
        if not self.products:
            return 0.0
        n_workers = self.settings.run.workers
        return estimate_seconds(self._to_do, n_workers=n_workers)

    @property
    def memory(self) -> float:
        """Estimated memory of the largest process for what is to do [bytes]."""
        return max((cost.memory for cost in self._to_do.values()), default=0.0)

    @property
    def n_bytes(self) -> int:
        """Estimated size of all products when all is done [bytes]."""
        return estimate_bytes(self.costs)

    @property
    def doubts(self) -> list[str]:
        """What needs more memory or time than there is, each with what to change."""
        if self.site:
            site = self.settings.site(self.site)
            words = [word for word, chunks in self.jobs.items() if chunks]
            return site_doubts(site, self.costs, words, name=self.site)
        return memory_doubts(self._to_do, n_workers=self.settings.run.workers)

    @property
    def _to_do(self) -> dict[str, Cost]:
        """Cost of what is to do of each stage, what is not certain included."""
        shares = {
            stage: 1 - n_done / n_all if n_all else 0.0
            for stage, (n_done, n_all) in self.stages.items()
        }
        shares |= {"start": 1.0, "report": 1.0}
        return {
            stage: cost.part(shares[stage])
            for stage, cost in self.costs.items()
            if self.products and shares[stage]
        }

    def answer(self) -> dict[str, object]:
        """Put it for a machine.

        Returns
        -------
        dict of str to object
            What ``plan --json`` prints.
        """
        answer: dict[str, object] = {
            "runs": len(self.table.runs),
            "selected": len(self.table.selected),
            "hours": round(self.hours, 2),
            "models": len(self.table.exported),
            "cells": count_cells(self.settings, self.table),
            "stages": self.stages,
            "to_do": [_as_json(self.settings, product) for product in self.products],
            "seconds": round(self.seconds, 1),
            "memory": round(self.memory),
            "bytes": self.n_bytes,
            "left_out": {
                run.obs_id: run.reason for run in self.table.runs if not run.selected
            },
        }
        if self.jobs:
            jobs = {word: len(chunks) for word, chunks in self.jobs.items()}
            answer["jobs"] = jobs
        return answer

    def lines(self) -> list[str]:
        """Put it in words.

        Returns
        -------
        list of str
            What ``plan`` prints.
        """
        table = self.table
        runs = (
            f"Runs:    {len(table.runs)} in the store, {len(table.selected)} selected "
            f"({self.hours:.2f} h), {len(table.exported)} get a model"
        )
        lines = [runs, *tell_left_out(table)]
        if self.refusals:
            n_lost = f"{len(self.refusals)} of {len(table.used)} runs cannot be used"
            lines.append(f"Refused: {n_lost}, the first one: {self.refusals[0].error}")
        if self.settings.in_groups:
            n_cells = count_cells(self.settings, table)
            lines.append(f"Groups:  {n_cells} before poor ones are merged")
        lines += _stage_lines(self.stages, self.products)
        return [*lines, *_cost_lines(self)]


def make_plan(settings: Settings, *, site: str | None = None) -> Plan:
    """Find out what a run will do; nothing is written.

    Parameters
    ----------
    settings : Settings
        Settings.
    site : str, optional
        Batch site of which the jobs are planned as well.

    Returns
    -------
    Plan
        What is to do, and what it costs.

    Raises
    ------
    BkgpipeError
        If store or site cannot be used.
    """
    table = add_checksums(settings, choose_runs(settings))
    products = plan_products(MakeProduction(config=register(settings)), table)
    return Plan(
        settings=settings,
        table=table,
        products=tuple(products),
        stages=_count_done(settings, table, products),
        jobs=plan_jobs(settings, products, site=site) if site else {},
        costs=find_costs(settings, table),
        site=site or "",
    )


def _count_done(
    settings: Settings, table: RunTable, products: list[PlannedProduct]
) -> dict[str, list[int]]:
    """Chunks of each stage with nothing to do, and all."""
    counts = {"select": 1} | count_chunks(settings, table)
    is_chunk = re.compile(r"(runs\.ecsv|fit\.h5|(?!nodes)[a-z]+_\d+\.h5)")
    to_do = Counter(
        product.stage for product in products if is_chunk.fullmatch(product.path.name)
    )
    return {stage: [total - to_do[stage], total] for stage, total in counts.items()}


def _stage_lines(
    counts: dict[str, list[int]], products: Sequence[PlannedProduct]
) -> list[str]:
    """Say what is done in each stage, and what is made for which reason."""
    lines = []
    for stage in (*counts, "report"):
        done = "{} of {} done".format(*counts[stage]) if stage in counts else ""
        lines.append(f"{stage:8} {done}".rstrip())
        same = [product for product in products if product.stage == stage]
        for reason, found in groupby(same, key=lambda product: product.reason):
            names = [product.path.name for product in found]
            several = f"{names[0]} to {names[-1]} ({len(names)} files)"
            lines.append(f"  {names[0] if len(names) == 1 else several}: {reason}")
    return lines


def _cost_lines(plan: Plan) -> list[str]:
    """Say how long it takes, and whether there is room for it."""
    if not plan.products:
        return ["Nothing to do."]
    n_workers, n_cores = plan.settings.run.workers, os.cpu_count() or 1
    more = f"; --workers {n_cores} uses all cores" * (n_workers < n_cores)
    _, free = disk_space(plan.settings.data.output)
    time = f"about {duration_words(plan.seconds)} with {workers_words(n_workers)}"
    memory = memory_words(plan.costs, n_workers=n_workers)
    space = f"{size_words(plan.n_bytes)} when all is done; {size_words(free)} are free"
    return [
        f"Takes:   {time} on this machine{more}",
        f"Memory:  {memory}",
        f"Disk:    {space}",
        *(f"Warning: {doubt}" for doubt in plan.doubts),
    ]


def _as_json(settings: Settings, product: PlannedProduct) -> dict[str, object]:
    return {
        "stage": product.stage,
        "file": os.path.relpath(product.path, settings.data.output),
        "reason": product.reason,
        "certain": product.is_certain,
    }
