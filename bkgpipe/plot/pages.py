"""What all pages of a report share: template, style, the script that sorts tables."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from bkgpipe._version import __version__

__all__ = [
    "Cell",
    "Link",
    "Picture",
    "Table",
    "number",
    "paged",
    "render",
    "step_links",
    "word",
]

_MAX_ROWS = 200
_SCRIPT = "report_script.html"


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A cell of a table.

    Attributes
    ----------
    text : str
        What it says.
    value : float or None
        What it is sorted by; None for its text.
    href : str
        Page that it leads to; empty for none.
    kind : str
        Class of its style: ``number``, ``long`` or empty.
    """

    text: str
    value: float | None = None
    href: str = ""
    kind: str = ""


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table that a click sorts.

    Attributes
    ----------
    name : str
        What it is of, for readers who do not see it.
    columns : tuple of str
        Headings, with units.
    rows : tuple of tuple of Cell
        Rows of that many cells.
    """

    name: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]

    def is_number(self, column: int) -> bool:
        """Tell whether a column is one of numbers, by its first row.

        Parameters
        ----------
        column : int
            Its place.

        Returns
        -------
        bool
            False without rows.
        """
        return bool(self.rows) and self.rows[0][column].kind == "number"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """An image file beside the page.

    Attributes
    ----------
    file : str
        Its name.
    alt : str
        What it shows, for readers who do not see it.
    caption : str
        What to know about it.
    """

    file: str
    alt: str
    caption: str


@dataclass(frozen=True, kw_only=True)
class Link:
    """A link to another page of the report.

    Attributes
    ----------
    file : str
        Its name.
    text : str
        What it says.
    is_here : bool
        Whether it is the page itself.
    """

    file: str
    text: str
    is_here: bool = False


def word(text: str, *, href: str = "", kind: str = "") -> Cell:
    """Make a cell of words.

    Parameters
    ----------
    text : str
        The words; a dash if there are none.
    href : str
        Page that they lead to.
    kind : str
        Class of its style.

    Returns
    -------
    Cell
        Cell, sorted by its text.
    """
    return Cell(text=text or "-", href=href, kind=kind)


def number(value: float, form: str = "d", *, href: str = "") -> Cell:
    """Make a cell of a number.

    Parameters
    ----------
    value : float
        The number; one that is not finite becomes a dash.
    form : str
        How it is written, as in format strings.
    href : str
        Page that it leads to.

    Returns
    -------
    Cell
        Cell, sorted by the number.
    """
    if not np.isfinite(value):
        return Cell(text="-", kind="number")
    text = format(value, form)
    return Cell(text=text, value=value, href=href, kind="number")


def paged(table: Table) -> list[Table]:
    """Split a table into pages.

    Parameters
    ----------
    table : Table
        Table of any length.

    Returns
    -------
    list of Table
        Tables of at most 200 rows; one without rows if there are none.
    """
    starts = range(0, max(1, len(table.rows)), _MAX_ROWS)
    return [
        Table(
            name=table.name,
            columns=table.columns,
            rows=table.rows[start : start + _MAX_ROWS],
        )
        for start in starts
    ]


def step_links(files: Sequence[str], here: int, names: Sequence[str]) -> list[Link]:
    """Link to the index and to all pages of a list.

    Parameters
    ----------
    files : sequence of str
        Pages of the list.
    here : int
        Which of them is the page itself.
    names : sequence of str
        What each link says.

    Returns
    -------
    list of Link
        Links, the index first.
    """
    links = [
        Link(file=file, text=name, is_here=i == here)
        for i, (file, name) in enumerate(zip(files, names, strict=True))
    ]
    return [Link(file="index.html", text="index"), *links]


def render(
    template: str, *, title: str, is_broad: bool = False, **values: object
) -> str:
    """Make a page.

    Parameters
    ----------
    template : str
        Name of its template.
    title : str
        Its heading.
    is_broad : bool
        Whether it takes all of a wide screen.
    **values : object
        What the template needs.

    Returns
    -------
    str
        HTML with its style and script inside, which loads nothing but the images
        beside it.
    """
    environment = _environment()
    script, script_hash = _script()
    return environment.get_template(template).render(
        title=title,
        is_broad=is_broad,
        version=__version__,
        script=Markup(script),  # noqa: S704, ours: no words of others are in it
        script_hash=script_hash,
        **values,
    )


@lru_cache(maxsize=1)
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("bkgpipe", "plot"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@lru_cache(maxsize=1)
def _script() -> tuple[str, str]:
    """Read the script, and the hash by which a browser knows it from others."""
    environment = _environment()
    loader = environment.loader
    if loader is None:
        return "", "'none'"
    script, _, _ = loader.get_source(environment, _SCRIPT)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    return script, f"sha256-{digest}"
