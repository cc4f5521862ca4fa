"""Make maps of the sky, list what is in them, draw and cut them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click
import numpy as np

from bkgpipe.cli.finding import find_sources
from bkgpipe.cli.run import run_production
from bkgpipe.errors import InputError
from bkgpipe.geometry.frames import fov_matrix, offset_angle, unit_vectors
from bkgpipe.plot.images import save_figure
from bkgpipe.settings import read_settings
from bkgpipe.stages.sky.data import HotSpot
from bkgpipe.stages.sky.files import read_fields, read_hot_spots
from bkgpipe.stages.sky.images import read_field, write_cut
from bkgpipe.stages.sky.summary import FieldSummary
from bkgpipe.stages.sky.view import describe_fields, describe_hot_spots, figure_field

__all__ = ["sky_command"]


def sky_command(
    config: Path,
    overrides: Iterable[str],
    *,
    field: int | None,
    plot: Path | None,
    cut: tuple[float, float, float] | None,
    to: Path | None,
    as_json: bool,
) -> None:
    """Make the maps that are missing, and tell what is in them.

    Parameters
    ----------
    config : Path
        Settings file.
    overrides : iterable of str
        Each ``section.key=value``.
    field : int or None
        Field to draw or to cut from; None for the most significant one, or the one
        nearest to what is cut out.
    plot : Path or None
        PNG file to draw the field into.
    cut : tuple of float or None
        Right ascension, declination and width of a part to write [deg].
    to : Path or None
        FITS file for it.
    as_json : bool
        Answer in one line of JSON.

    Raises
    ------
    BkgpipeError
        If the settings cannot be used, there is no such field, or a file cannot be
        written.
    """
    settings = find_sources(read_settings(config, overrides))
    is_done, _ = run_production(settings, stage="sky")
    if not is_done:
        sys.exit(1)
    folder = settings.folder("sky")
    fields = read_fields(folder / "fields.ecsv")
    spots = read_hot_spots(folder / "hot_spots.ecsv")
    if plot is not None:
        chosen = _choose(fields, field)
        save_figure(figure_field(read_field(folder / chosen.file), chosen), plot)
    if cut is not None and to is not None:
        chosen = _choose(fields, field, place=cut[:2])
        maps = read_field(folder / chosen.file)
        write_cut(to, maps, place=cut[:2], width=cut[2])
    if as_json:
        click.echo(json.dumps(_answer(folder, fields, spots)))
        return
    click.echo(f"{describe_fields(fields)}\n\n{describe_hot_spots(spots)}\n")
    click.echo(f"Maps and tables: {folder}")
    for path in filter(None, (plot, to)):
        click.echo(f"Written: {path}")


def _choose(
    fields: Sequence[FieldSummary],
    number: int | None,
    *,
    place: tuple[float, float] | None = None,
) -> FieldSummary:
    """Take the field asked for, the nearest to a place, or the most significant."""
    if number is None:
        return min(fields, key=partial(_distance, place)) if place else _best(fields)
    for field in fields:
        if field.number == number:
            return field
    raise InputError(
        what=f"there is no field {number}",
        where="--field",
        fix=f"Choose one of 1 to {len(fields)}",
    )


def _best(fields: Sequence[FieldSummary]) -> FieldSummary:
    return max(fields, key=lambda field: np.nan_to_num(field.peak))


def _distance(place: tuple[float, float], field: FieldSummary) -> float:
    centre = unit_vectors(np.array([field.ra]), np.array([field.dec]))
    return float(offset_angle(centre @ fov_matrix(*place).T)[0])


def _answer(
    folder: Path, fields: Sequence[FieldSummary], spots: Sequence[HotSpot]
) -> dict[str, Any]:
    def values(rows: Sequence[Any]) -> list[dict[str, Any]]:
        return [{key: _known(v) for key, v in asdict(row).items()} for row in rows]

    return {"folder": str(folder), "fields": values(fields), "hot_spots": values(spots)}


def _known(value: Any) -> Any:
    # JSON has no NaN
    return None if isinstance(value, float) and np.isnan(value) else value
