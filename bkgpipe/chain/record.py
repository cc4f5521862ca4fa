"""The page of a production, and its record for machines."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

from bkgpipe.core.passing import require_lasting
from bkgpipe.core.product import ProductHeader
from bkgpipe.core.seal import Seal
from bkgpipe.errors import DamagedFileError
from bkgpipe.stages.count.data import Conservation
from bkgpipe.stages.report.summary import Summary

__all__ = [
    "read_marked_files",
    "read_page_header",
    "read_record_header",
    "read_record_summary",
    "read_refused",
    "read_versions",
    "write_marker",
    "write_page",
    "write_record",
]

_Part = TypeVar("_Part")

_CHECKSUM = "content_sha256"
_UNREADABLE = (
    AttributeError,
    LookupError,
    OSError,
    RecursionError,
    TypeError,
    ValueError,
)
_OPEN, _CLOSE = "<!-- bkgpipe ", " -->"


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
    content = page.rstrip()
    found = asdict(header) | {_CHECKSUM: _digest([asdict(header), content])}
    comment = f"{_OPEN}{json.dumps(found)}{_CLOSE}\n"
    path.write_bytes(f"{content}\n{comment}".encode())


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
    try:
        # as it is: to read text makes one kind of line end out of all
        page = path.read_bytes().decode(errors="replace")
        content, _, last = page.rstrip().rpartition("\n")
        found = json.loads(last.removeprefix(_OPEN).removesuffix(_CLOSE))
        expected = found.pop(_CHECKSUM)
        header = ProductHeader(**found)
    except _UNREADABLE as error:
        require_lasting(error, where=str(path))
        raise _damaged(path) from error
    if expected != _digest([asdict(header), content]):
        raise _damaged(path)
    return header


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
    _write_json(path, record)


def write_marker(
    path: Path, header: ProductHeader, *, files: Sequence[Seal] = ()
) -> None:
    """Write a file that tells that all files beside it are complete.

    Parameters
    ----------
    path : Path
        JSON file.
    header : ProductHeader
        Origin of the files.
    files : sequence of Seal
        Name, relative to the folder of the marker, size and checksum of each.
    """
    sealed = [asdict(seal) for seal in files]
    record: dict[str, object] = {"header": asdict(header), "files": sealed}
    _write_json(path, record)


def read_marked_files(path: Path) -> list[Seal]:
    """Read which files a marker stands for.

    Parameters
    ----------
    path : Path
        JSON file.

    Returns
    -------
    list of Seal
        Name, relative to the folder of the marker, size and checksum of each.

    Raises
    ------
    DamagedFileError
        If the file is not a marker.
    """
    found = _read_part(path, "files", list)
    try:
        return [Seal(**values) for values in found]
    except TypeError as error:  # names alone, as version 0.1 wrote them
        raise _damaged(path) from error


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
    return ProductHeader(**_read_part(path, "header", dict))


def read_record_summary(path: Path) -> Summary:
    """Read the numbers of a production from its record.

    Parameters
    ----------
    path : Path
        JSON file.

    Returns
    -------
    Summary
        What came out.

    Raises
    ------
    DamagedFileError
        If the file is not a record.
    """
    found = _read_part(path, "summary", dict)
    reasons: dict[str, Any] = {
        name: {int(obs_id): reason for obs_id, reason in found.pop(name).items()}
        for name in ("refused", "left_out", "unfit")
    }
    events = Conservation(**found.pop("conservation"))
    models = tuple(found.pop("models"))
    return Summary(conservation=events, models=models, **reasons, **found)


def read_versions(path: Path) -> dict[str, str]:
    """Read which versions a production was made with.

    Parameters
    ----------
    path : Path
        JSON file.

    Returns
    -------
    dict of str to str
        Version of Python and of each package.

    Raises
    ------
    DamagedFileError
        If the file is not a record.
    """
    versions = _read_part(path, "versions", dict)
    return {str(name): str(version) for name, version in versions.items()}


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
    refused = _read_part(path, "summary", dict).get("refused", {})
    return {int(obs_id): reason for obs_id, reason in refused.items()}


def _read_part(path: Path, name: str, kind: type[_Part]) -> _Part:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        expected, part = record.pop(_CHECKSUM), record[name]
    except _UNREADABLE as error:
        require_lasting(error, where=str(path))
        raise _damaged(path) from error
    if expected != _digest(record) or not isinstance(part, kind):
        raise _damaged(path)
    return part


def _write_json(path: Path, record: Mapping[str, object]) -> None:
    checked = {**record, _CHECKSUM: _digest(record)}
    path.write_text(json.dumps(checked, indent=1) + "\n", encoding="utf-8")


def _digest(content: object) -> str:
    """Checksum of what JSON makes of the content, such as lists of tuples."""
    return hashlib.sha256(json.dumps(content).encode()).hexdigest()


def _damaged(path: Path) -> DamagedFileError:
    return DamagedFileError(
        what="is not what was written",
        where=str(path),
        fix="Run the production again: it is set aside and made anew",
    )
