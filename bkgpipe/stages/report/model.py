"""The page of one model in a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from bkgpipe.plot.pages import Cell, Link, Picture, Table, number, render, word
from bkgpipe.stages.report.bands import (
    band_name,
    band_rate,
    empty_bands,
    energy_bands,
    rate_errors,
)
from bkgpipe.stages.report.data import ModelNote, note_model
from bkgpipe.stages.report.model_words import energies_with_events
from bkgpipe.stages.report.tables import model_page_name
from bkgpipe.stages.smooth.data import RateModel

__all__ = ["ModelPlace", "make_model_page", "model_picture"]


@dataclass(frozen=True, kw_only=True)
class ModelPlace:
    """Where a model stands among those that have a page.

    Attributes
    ----------
    kind : str
        What it is for: ``group`` or ``run``.
    previous, following : int
        Models before and after it; -1 at the ends.
    obs_ids : tuple of int
        Runs behind it; empty when they are not told one by one.
    """

    kind: str
    previous: int = -1
    following: int = -1
    obs_ids: tuple[int, ...] = ()


def model_picture(note: ModelNote, *, kind: str) -> Picture:
    """Describe the picture of a model.

    Parameters
    ----------
    note : ModelNote
        Its numbers.
    kind : str
        What it is for: ``group`` or ``run``.

    Returns
    -------
    Picture
        Name of the image and its words.
    """
    conditions = note.conditions
    return Picture(
        file=f"model-{note.stack_id}.png",
        alt=f"Background rate of {kind} {note.stack_id}: images of the field of view "
        "in bands of energy, radial profiles and spectrum with error bands",
        caption=f"{kind.capitalize()} {note.stack_id}: {note.n_runs} runs, "
        f"{note.livetime / 3600:.2f} h live time, zenith {conditions.zenith:.1f} deg, "
        f"azimuth {conditions.azimuth:.1f} deg, smoothing {note.method}. Rate per live "
        f"time; grey was not seen, and has no events in the spectrum. Bands: "
        "statistical errors, at most"
        + (
            f", and with the scatter of single runs of {note.systematic:.1%}."
            if note.systematic > 0
            else "."
        ),
    )


def make_model_page(model: RateModel, place: ModelPlace) -> str:
    """Make the page of a model.

    Parameters
    ----------
    model : RateModel
        The model.
    place : ModelPlace
        Where it stands.

    Returns
    -------
    str
        HTML.
    """
    note = note_model(model)
    return render(
        "report_model.html",
        title=f"Background of {place.kind} {model.stack_id}",
        links=_links(place),
        drawn=model_picture(note, kind=place.kind),
        numbers=_numbers(model, note),
        bands=_bands_table(model),
        runs=_runs_table(place.obs_ids),
    )


def _links(place: ModelPlace) -> list[Link]:
    links = [Link(file="index.html", text="index")]
    for stack_id, name in ((place.previous, "previous"), (place.following, "next")):
        if stack_id >= 0:
            text = f"{name}: {place.kind} {stack_id}"
            links.append(Link(file=model_page_name(stack_id), text=text))
    return links


def _numbers(model: RateModel, note: ModelNote) -> dict[str, str]:
    conditions, shape = model.conditions, model.binning.shape_3d
    beyond = {"beyond the fit": "; ".join(model.excursions)} if model.excursions else {}
    return beyond | {
        "smoothing": model.method,
        "runs": f"{model.n_runs}",
        "live time": f"{model.livetime / 3600:.2f} h",
        "zenith angle": f"{conditions.zenith:.2f} deg",
        "azimuth": f"{conditions.azimuth:.2f} deg",
        "dead-time fraction (livetime / ontime)": f"{conditions.deadc:.4f}",
        "muon efficiency": _known(conditions.muon_efficiency, ".3f"),
        "energies with events": energies_with_events(model),
        "lowest energy": _known(note.energy_min, ".3g", " TeV"),
        "rate above it, mean over the field": f"{note.rate:.4g} s-1 sr-1",
        "its statistical error, at most": _known(note.error, ".2%"),
        "scatter of single runs": _known(note.systematic, ".2%"),
        "bins (energy x lon x lat)": " x ".join(map(str, shape)),
    }


def _known(value: float, form: str, unit: str = "") -> str:
    return f"{value:{form}}{unit}" if np.isfinite(value) else "unknown"


def _bands_table(model: RateModel) -> Table:
    columns = (
        *("energy", "rate [s-1 sr-1]", "statistical error [%]"),
        *("at the centre [s-1 sr-1]", "at the edge [s-1 sr-1]", "edge / centre"),
        "remark",
    )
    rows = {int(band[0]): _band_row(model, band, "") for band in energy_bands(model)}
    for band in empty_bands(model):
        rows[int(band[0])] = _band_row(model, band, "no events")
    ordered = tuple(rows[first] for first in sorted(rows))
    return Table(name="Energy bands", columns=columns, rows=ordered)


def _band_row(model: RateModel, band: np.ndarray, remark: str) -> tuple[Cell, ...]:
    field = model.binning.solid_angle_2d
    rate = band_rate(model.rate_2d, model.binning, band)
    error = band_rate(rate_errors(model), model.binning, band)
    total, error_total = float(rate @ field), float(error @ field)
    share = error_total / total if total > 0 else float("nan")
    centre, edge = float(rate[0]), float(rate[-1])
    return (
        word(band_name(model.binning, band)),
        number(total / float(field.sum()), ".4g"),
        number(100 * share, ".2f"),
        number(centre, ".4g"),
        number(edge, ".4g"),
        number(edge / centre if centre > 0 else float("nan"), ".3f"),
        word(remark),
    )


def _runs_table(obs_ids: Sequence[int]) -> Table | None:
    if not obs_ids:
        return None
    rows = tuple((number(obs_id),) for obs_id in obs_ids)
    return Table(name="Runs", columns=("run",), rows=rows)
