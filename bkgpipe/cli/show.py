"""Describe a product file in words, or draw it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click
from matplotlib.figure import Figure

from bkgpipe.chain.found import read_with_found
from bkgpipe.chain.kept import register
from bkgpipe.chain.record import read_record_header, read_record_summary, read_versions
from bkgpipe.core.product import Chunk
from bkgpipe.errors import InputError
from bkgpipe.flow import STAGE_TASKS
from bkgpipe.flow.rank import explain_ranking
from bkgpipe.plot.images import save_figure
from bkgpipe.product.hdf5 import read_header
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.export.files import ENTRIES, NODES
from bkgpipe.stages.export.tables import read_groups_table
from bkgpipe.stages.fit.files import FIT
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.rank.files import CANDIDATES, RANKINGS
from bkgpipe.stages.report.figures import make_figure
from bkgpipe.stages.report.ranking import describe_ranking, figure_ranking
from bkgpipe.stages.report.words import describe
from bkgpipe.stages.select.files import read_runs_table
from bkgpipe.stages.sky.files import RUN_SKIES
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.files import STACKS, read_groups
from bkgpipe.store.fits_summary import read_fits_summary

__all__ = ["explain_run", "show_product"]

_READERS: dict[str, Callable[[Path], Any]] = {
    "mask": MASKS.read,
    "count": COUNTS.read,
    "rank": RANKINGS.read,
    "candidates": CANDIDATES.read_one,
    "stack": STACKS.read,
    "smooth": MODELS.read,
    "nodes": NODES.read,
    "export": ENTRIES.read,
    "sky": RUN_SKIES.read,
    "runs": read_runs_table,
    "groups": read_groups,
    "fit": FIT.read_one,
}


def show_product(path: Path, *, number: int | None, plot: Path | None) -> None:
    """Print what is in a file, and draw it if asked.

    Parameters
    ----------
    path : Path
        Any product of a production.
    number : int or None
        Run or stack to show of a file that holds several.
    plot : Path or None
        PNG file to draw it into.

    Raises
    ------
    InputError
        If the file is no product that can be shown or drawn.
    DamagedFileError
        If the file is not what was written.
    """
    product = _read(path)
    if number is not None or plot is not None:
        product = _pick(product, number, path)
    click.echo(_words(product, path))
    if plot is not None:
        save_figure(_draw(product, path), plot)
        click.echo(f"Drawn: {plot}")


def _read(path: Path) -> Any:
    word = path.name.partition(".")[0].partition("_")[0]
    if path.suffix in {".h5", ".ecsv"} and word in _READERS:
        return _READERS[word](path)
    if path.name == "bg_observation_groups.ecsv":
        return read_groups_table(path)
    if path.name == "production.json":
        return _describe_production(path)
    if path.name.endswith((".fits", ".fits.gz")):
        return read_fits_summary(path)
    raise InputError(
        what="is not a product that can be shown",
        where=str(path),
        fix="Name a file such as runs.ecsv, groups.ecsv, count_0.h5, fit.h5, "
        "production.json or a FITS file",
    )


def _describe_production(path: Path) -> str:
    header, versions = read_record_header(path), read_versions(path)
    made_with = ", ".join(f"{name} {version}" for name, version in versions.items())
    summary = describe(read_record_summary(path))
    return f"{describe(header)}\n{summary}\nVersions: {made_with}"


def _pick(product: Any, number: int | None, path: Path) -> Any:
    """One record of a chunk: the one asked for, or the only or first one."""
    if not isinstance(product, Chunk):
        return product
    if number is None:
        number = min(product.records, default=None)
    if number in product.records:
        return product.records[number]
    known = ", ".join(str(each) for each in sorted(product.records)[:10])
    raise InputError(
        what=product.refused.get(number or 0, f"holds no number {number}"),
        where=str(path),
        fix=f"Choose with --id one of: {known or 'none is in it'}",
    )


def _words(product: Any, path: Path) -> str:
    if isinstance(product, str):
        return product
    if isinstance(product, tuple):
        return "\n\n".join(describe(each) for each in product)
    header = f"{describe(read_header(path))}\n" if path.suffix == ".h5" else ""
    return header + describe(product)


def _draw(product: Any, path: Path) -> Figure:
    try:
        return make_figure(product)
    except TypeError as error:
        raise InputError(
            what="there is no picture of such a product",
            where=str(path),
            fix="Draw a mask, count, rank, stack or smooth file",
        ) from error


def explain_run(
    config: Path, overrides: Iterable[str], *, obs_id: int, plot: Path | None
) -> None:
    """Print what becomes of each candidate for a target, and draw it if asked.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    obs_id : int
        The target.
    plot : Path or None
        PNG file to draw it into.

    Raises
    ------
    BkgpipeError
        If the settings cannot be used, or the runs were not counted yet.
    """
    name = register(read_with_found(config, overrides))
    ranking = explain_ranking(STAGE_TASKS["rank"](config=name), obs_id)
    click.echo(describe_ranking(ranking, n_listed=ranking.obs_ids.size))
    if plot is not None:
        save_figure(figure_ranking(ranking), plot)
        click.echo(f"Drawn: {plot}")
