"""Make the report of a production again, with a page for many models."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import TypeVar

import click

from bkgpipe.chain.found import read_with_found
from bkgpipe.chain.kept import register
from bkgpipe.chain.summary import read_states
from bkgpipe.errors import InputError
from bkgpipe.flow.engine.targets import damaged_set_aside
from bkgpipe.flow.report import MakeReport, write_report
from bkgpipe.settings import Settings
from bkgpipe.simulate.archive.pool import map_chunks

__all__ = ["make_report"]

_PER_WORKER = 4  # models that a worker draws before it tells

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def make_report(
    config: Path,
    overrides: Iterable[str],
    *,
    models: int | None,
    as_json: bool,
) -> None:
    """Write all pages of a report, and print where they are.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    models : int or None
        Most models that get a page; None for all.
    as_json : bool
        Answer in one line of JSON.

    Raises
    ------
    BkgpipeError
        If the settings cannot be used, the production is not done, a product is
        damaged, or the folder cannot be written.
    """
    started = time.monotonic()
    settings = read_with_found(config, overrides)
    _require_done(settings)
    task = MakeReport(config=register(settings))
    with damaged_set_aside():
        files = write_report(
            task.settings,
            task.header,
            n_models=sys.maxsize if models is None else models,
            map_jobs=partial(_draw, workers=settings.run.workers),
        )
    folder = settings.folder("report")
    answer = {
        "report": str(folder / "index.html"),
        "pages": sum(name.endswith(".html") for name in files),
        "images": sum(name.endswith(".png") for name in files),
        "bytes": sum((folder / name).stat().st_size for name in files),
        "seconds": round(time.monotonic() - started, 2),
    }
    click.echo(json.dumps(answer) if as_json else _words(answer))


def _require_done(settings: Settings) -> None:
    states = read_states(settings)
    if not any(state.n_done for state in states):
        raise InputError(
            what="nothing was made yet by these settings",
            where=str(settings.data.output),
            fix="bkgpipe run makes the models and a first report",
        )
    missing = [state for state in states if state.n_done < state.n_total]
    if missing:
        first = missing[0]
        raise InputError(
            what=f"{first.stage} is not done: {first.n_done} of {first.n_total}",
            where=str(settings.data.output),
            fix="bkgpipe run makes what is missing",
        )


def _draw(
    draw: Callable[[_Item], _Result], jobs: list[_Item], *, workers: int
) -> Iterator[_Result]:
    """Draw models in several processes, behind a bar on a terminal."""
    done = map_chunks(draw, jobs, workers=workers, chunk_size=_PER_WORKER)
    if not sys.stderr.isatty():
        yield from done
        return
    with click.progressbar(
        done, length=len(jobs), label="Models", file=sys.stderr
    ) as shown:
        yield from shown


def _words(answer: dict[str, object]) -> str:
    megabytes = float(str(answer["bytes"])) / 1e6
    return (
        f"Report: {answer['report']}\n"
        f"{answer['pages']} pages, {answer['images']} images, {megabytes:.1f} MB, "
        f"in {answer['seconds']} s"
    )
