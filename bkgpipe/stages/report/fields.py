"""Fields and hot spots in a report."""

from __future__ import annotations

from collections.abc import Container, Sequence

import numpy as np

from bkgpipe.plot.pages import Picture, Table, number, word
from bkgpipe.stages.sky.data import HotSpot
from bkgpipe.stages.sky.summary import FieldSummary

__all__ = [
    "field_image",
    "field_picture",
    "fields_table",
    "hot_spots_table",
    "most_significant",
]

_FIELD_COLUMNS = (
    *("field", "target", "RA [deg]", "Dec [deg]", "runs", "hours", "counts"),
    *("background", "highest sigma", "mean", "width", "Poisson width"),
)
_SPOT_COLUMNS = (
    *("field", "RA [deg]", "Dec [deg]", "radius [deg]", "significance", "counts"),
    *("background", "by chance in all fields", "exclusion mask"),
    *("nearest excluded region", "distance [deg]"),
)


def most_significant(
    fields: Sequence[FieldSummary], n_fields: int
) -> tuple[FieldSummary, ...]:
    """Choose the fields with the largest significances.

    Parameters
    ----------
    fields : sequence of FieldSummary
        Fields.
    n_fields : int
        Most that may be chosen.

    Returns
    -------
    tuple of FieldSummary
        Fields, the most significant first.
    """
    ordered = sorted(fields, key=lambda field: -np.nan_to_num(field.peak))
    return tuple(ordered[:n_fields])


def field_image(field: FieldSummary) -> str:
    """Name the image of a field.

    Parameters
    ----------
    field : FieldSummary
        The field.

    Returns
    -------
    str
        File beside the pages.
    """
    return f"field-{field.number}.png"


def field_picture(field: FieldSummary) -> Picture:
    """Describe the picture of a field.

    Parameters
    ----------
    field : FieldSummary
        Its numbers.

    Returns
    -------
    Picture
        Name of the image and its words.
    """
    return Picture(
        file=field_image(field),
        alt=f"Maps of counts, background and significance of the field of "
        f"{field.name or field.number}, and the distribution of the significance",
        caption=f"Field {field.number}, {field.name}: {field.n_runs} runs, "
        f"{field.hours:.2f} h. Events and background above the safe energies; "
        "colours end at twice the largest background. Grey line: exclusion mask.",
    )


def fields_table(fields: Sequence[FieldSummary], drawn: Container[int]) -> Table:
    """List fields.

    Parameters
    ----------
    fields : sequence of FieldSummary
        Fields.
    drawn : container of int
        Numbers of those that have a picture.

    Returns
    -------
    Table
        A row for each.
    """
    return Table(
        name="Fields",
        columns=_FIELD_COLUMNS,
        rows=tuple(
            (
                number(
                    field.number,
                    href=field_image(field) if field.number in drawn else "",
                ),
                word(field.name),
                number(field.ra, ".3f"),
                number(field.dec, "+.3f"),
                number(field.n_runs),
                number(field.hours, ".2f"),
                number(field.counts, ",d"),
                number(field.background, ",.0f"),
                number(field.peak, ".1f"),
                number(field.mean, "+.2f"),
                number(field.width, ".3f"),
                number(field.poisson_width, ".3f"),
            )
            for field in fields
        ),
    )


def hot_spots_table(spots: Sequence[HotSpot]) -> Table:
    """List hot spots.

    Parameters
    ----------
    spots : sequence of HotSpot
        Places.

    Returns
    -------
    Table
        A row for each.
    """
    return Table(
        name="Hot spots",
        columns=_SPOT_COLUMNS,
        rows=tuple(
            (
                number(spot.field),
                number(spot.ra, ".3f"),
                number(spot.dec, "+.3f"),
                number(spot.radius, ".2f"),
                number(spot.significance, ".1f"),
                number(spot.counts, ",d"),
                number(spot.background, ",.1f"),
                number(spot.false_alarms, ".1e"),
                word("under" if spot.is_masked else "outside"),
                word(spot.source),
                number(spot.separation, ".2f"),
            )
            for spot in spots
        ),
    )
