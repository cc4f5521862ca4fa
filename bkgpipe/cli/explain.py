"""Tell which runs are taken for a target, and why not the others."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import click

from bkgpipe.chain.kept import register
from bkgpipe.flow import STAGE_TASKS
from bkgpipe.flow.rank import explain_ranking
from bkgpipe.plot.images import save_figure
from bkgpipe.settings import read_settings
from bkgpipe.stages.report.ranking import describe_ranking, figure_ranking

__all__ = ["explain_run"]


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
    name = register(read_settings(config, overrides))
    ranking = explain_ranking(STAGE_TASKS["rank"](config=name), obs_id)
    click.echo(describe_ranking(ranking, n_listed=ranking.obs_ids.size))
    if plot is not None:
        save_figure(figure_ranking(ranking), plot)
        click.echo(f"Drawn: {plot}")
