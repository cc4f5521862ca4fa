"""Commands that judge models; each imports what it needs when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from bkgpipe.cli.options import json_option, settings_options

__all__ = ["validate"]


@click.command()
@click.option("--folds", default=5, show_default=True, help="Number of folds.")
@click.option(
    "--by",
    type=click.Choice(["run", "night", "field", "random"]),
    default="run",
    show_default=True,
    help="Every n-th run, or what a fold keeps together.",
)
@click.option("--seed", default=1, show_default=True, help="Seed of random folds.")
@click.option(
    "--against",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Score the models of this store on the same runs and bins.",
)
@click.option("--against-livetime", is_flag=True, help="Its models are per live time.")
@click.option(
    "--energy-range",
    type=(float, float),
    default=(0.5, 30.0),
    show_default=True,
    help="Lowest and highest energy [TeV].",
)
@click.option("--energy-bins", default=7, show_default=True, type=click.IntRange(1))
@click.option(
    "--min-events",
    default=300,
    show_default=True,
    type=click.IntRange(1),
    help="Runs with fewer events outside the mask are not scored.",
)
@click.option("--table", type=click.Path(path_type=Path), help="ECSV file of the runs.")
@click.option("--plot", type=click.Path(path_type=Path), help="PNG file to draw.")
@click.option("--workers", type=click.IntRange(1), help="Worker processes.")
@settings_options
@json_option
def validate(
    *,
    workers: int | None,
    config: Path,
    overrides: tuple[str, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Make models without some runs, and score them on those runs."""
    from bkgpipe.cli.validate import ValidateOptions, validate_production

    given = [*overrides, *([f"run.workers={workers}"] if workers else [])]
    validate_production(
        config, given, options=ValidateOptions(**options), as_json=as_json
    )
