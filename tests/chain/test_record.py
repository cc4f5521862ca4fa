from __future__ import annotations

import json
from pathlib import Path

import pytest

from bkgpipe.chain import record as module
from bkgpipe.chain.record import (
    read_marked_files,
    read_page_header,
    read_record_header,
    read_refused,
    read_versions,
    write_marker,
    write_page,
    write_record,
)
from bkgpipe.core.product import ProductHeader
from bkgpipe.core.seal import Seal
from bkgpipe.errors import DamagedFileError
from bkgpipe.stages.count.data import Conservation
from bkgpipe.stages.report.summary import Summary

_SUMMARY = Summary(
    store="/out/store",
    models=("models/bkg_3d_7.fits",),
    n_used=1,
    hours=0.4,
    refused={8: "run 8: too short", 9: "run 9: \N{DEGREE SIGN} missing"},
    left_out={10: "zenith"},
    timing={"count": 1.25},
    conservation=Conservation(n_read=3, n_kept=3),
)

_SEALS = [
    Seal(name="store/a.fits", size=2880, sha256="ab12"),
    Seal(name="b.ecsv", size=0, sha256="cd34"),
]


@pytest.fixture
def record(tmp_path: Path, header: ProductHeader) -> Path:
    path = tmp_path / "production.json"
    write_record(
        path,
        header,
        summary=_SUMMARY,
        settings={"mask": {"radius": "0.35 deg"}},
        versions={"numpy": "2.4"},
    )
    return path


def test_record_comes_back(record: Path, header: ProductHeader) -> None:
    assert read_record_header(record) == header
    assert read_refused(record) == _SUMMARY.refused


def test_record_is_complete_json(record: Path) -> None:
    content = json.loads(record.read_text(encoding="utf-8"))

    parts = {"header", "summary", "settings", "versions", "content_sha256"}
    assert set(content) == parts
    assert content["summary"]["conservation"]["n_kept"] == 3
    assert content["summary"]["models"] == ["models/bkg_3d_7.fits"]
    assert content["settings"] == {"mask": {"radius": "0.35 deg"}}
    assert content["versions"] == read_versions(record) == {"numpy": "2.4"}


def test_marker_comes_back(tmp_path: Path, header: ProductHeader) -> None:
    path = tmp_path / "store.json"

    write_marker(path, header, files=_SEALS)

    assert read_record_header(path) == header
    assert read_marked_files(path) == _SEALS


def test_a_marker_of_names_alone_is_made_again(tmp_path: Path, header: ProductHeader):
    path = tmp_path / "store.json"
    write_marker(path, header, files=_SEALS)
    content = json.loads(path.read_text(encoding="utf-8"))
    del content["content_sha256"]
    content["files"] = ["store/a.fits"]
    module._write_json(path, content)

    with pytest.raises(DamagedFileError, match=r"store\.json: .*made anew"):
        read_marked_files(path)


@pytest.mark.parametrize("page", ["<html></html>", "<p>\n\n", "", "<!-- bkgpipe -->"])
def test_header_of_a_page_comes_back(
    tmp_path: Path, header: ProductHeader, page: str
) -> None:
    path = tmp_path / "index.html"

    write_page(path, header, page)

    assert read_page_header(path) == header
    assert path.read_text(encoding="utf-8").startswith(page.rstrip())


@pytest.mark.parametrize(
    "content",
    [b"", b"words", b"[1, 2]", b"{}", b'{"header": 3}', b'{"header": {}}', b"\xff\xfe"],
)
@pytest.mark.parametrize("read", [read_record_header, read_page_header])
def test_damaged_record_or_page(tmp_path: Path, content: bytes, read) -> None:
    path = tmp_path / "production.json"
    path.write_bytes(content)

    with pytest.raises(DamagedFileError, match=r"production\.json: .*Run the prod"):
        read(path)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"summary": 3}'])
def test_damaged_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "production.json"
    path.write_bytes(content)

    with pytest.raises(DamagedFileError, match=r"production\.json: .*set aside"):
        read_refused(path)


def test_truncated_record_and_page(record: Path, header: ProductHeader) -> None:
    record.write_bytes(record.read_bytes()[:-20])
    with pytest.raises(DamagedFileError, match="is not what was written"):
        read_record_header(record)

    write_page(record, header, "<html></html>")
    record.write_bytes(record.read_bytes()[:-20])
    with pytest.raises(DamagedFileError, match="is not what was written"):
        read_page_header(record)


def test_edited_record_and_page(record: Path, header: ProductHeader) -> None:
    record.write_text(record.read_text().replace("0.35 deg", "0.36 deg"))
    for read in (read_record_header, read_refused):
        with pytest.raises(DamagedFileError, match="is not what was written"):
            read(record)

    write_page(record, header, "<p>7 events</p>")
    record.write_text(record.read_text().replace("7 events", "8 events"))
    with pytest.raises(DamagedFileError, match="is not what was written"):
        read_page_header(record)


def test_missing_record(tmp_path: Path) -> None:
    with pytest.raises(DamagedFileError, match=r"none\.json"):
        read_record_header(tmp_path / "none.json")
