"""The page of a production, and its record for machines."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bkgpipe.datamodel import ProductHeader, Summary
from bkgpipe.errors import DamagedFileError

__all__ = [
    "read_page_header",
    "read_record_header",
    "read_refused",
    "write_marker",
    "write_page",
    "write_record",
    "write_text",
]

_OPEN, _CLOSE = "<!-- bkgpipe ", " -->"


def write_text(path: Path, text: str) -> None:
    """Write plain text.

    Parameters
    ----------
    path : Path
        File.
    text : str
        Text.
    """
    path.write_text(text, encoding="utf-8")


def write_page(path: Path, header: ProductHeader, page: str) -> None:
    """Write a page, with its header as a comment at the end.

    Parameters
    ----------
    path : Path
        HTML file.
    header : ProductHeader
        Origin of the page.
    page : str
        HTML.
    """
    comment = f"{_OPEN}{json.dumps(asdict(header))}{_CLOSE}\n"
    path.write_text(f"{page.rstrip()}\n{comment}", encoding="utf-8")


def read_page_header(path: Path) -> ProductHeader:
    """Read the header of a page.

    Parameters
    ----------
    path : Path
        HTML file.

    Returns
    -------
    ProductHeader
        Origin of the page.

    Raises
    ------
    DamagedFileError
        If the page has no header at its end.
    """
    last = (
        path.read_text(encoding="utf-8", errors="replace").rstrip().rpartition("\n")[2]
    )
    return _parse_header(last.removeprefix(_OPEN).removesuffix(_CLOSE), path)


def write_record(
    path: Path,
    header: ProductHeader,
    *,
    summary: Summary,
    settings: dict[str, dict[str, str]],
    versions: dict[str, str],
) -> None:
    """Write the record of a production as JSON.

    Parameters
    ----------
    path : Path
        JSON file.
    header : ProductHeader
        Origin of the record.
    summary : Summary
        What came out.
    settings : dict of str to dict of str to str
        Value of each key of each section.
    versions : dict of str to str
        Versions of the packages that computed.
    """
    record = {
        "header": asdict(header),
        "summary": asdict(summary),
        "settings": settings,
        "versions": versions,
    }
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def write_marker(path: Path, header: ProductHeader) -> None:
    """Write a small file that tells that all files beside it are whole.

    Parameters
    ----------
    path : Path
        JSON file.
    header : ProductHeader
        Origin of the files.
    """
    record = {"header": asdict(header)}
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


def read_record_header(path: Path) -> ProductHeader:
    """Read the header of a record or marker.

    Parameters
    ----------
    path : Path
        JSON file.

    Returns
    -------
    ProductHeader
        Origin of the record.

    Raises
    ------
    DamagedFileError
        If the file is not a record.
    """
    return _parse_header(json.dumps(_read_part(path, "header")), path)


def read_refused(path: Path) -> dict[int, str]:
    """Read the refused runs from the record of a production.

    Parameters
    ----------
    path : Path
        JSON file.

    Returns
    -------
    dict of int to str
        Reason for each refused run.

    Raises
    ------
    DamagedFileError
        If the file is not a record.
    """
    refused = _read_part(path, "summary").get("refused", {})
    return {int(obs_id): reason for obs_id, reason in refused.items()}


def _read_part(path: Path, name: str) -> dict[str, Any]:
    try:
        return dict(json.loads(path.read_text(encoding="utf-8"))[name])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _damaged(path) from error


def _parse_header(text: str, path: Path) -> ProductHeader:
    try:
        return ProductHeader(**json.loads(text))
    except (ValueError, TypeError) as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> DamagedFileError:
    return DamagedFileError(
        what="is not what was written",
        where=str(path),
        fix="Run the production again: it is set aside and made anew",
    )
