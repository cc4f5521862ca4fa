from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import DamagedFileError, OutputError
from bkgpipe.product.ecsv import Column, read_rows, read_table_header, write_rows

COLUMNS = {
    "number": Column(int, "", "a number"),
    "value": Column(float, "deg", "a value"),
    "word": Column(str, "", ""),
    "flag": Column(bool, "", "a flag"),
}
VALUES: dict[str, list[Any]] = {
    "number": [10**12, -1],
    "value": [float("nan"), 0.1],
    "word": ["", 'MSH 15-52, "the hand"  x'],
    "flag": [True, False],
}


READERS = [read_table_header, lambda path: read_rows(path, COLUMNS, dict)]


@pytest.fixture
def path(tmp_path: Path, header: ProductHeader) -> Path:
    path = tmp_path / "table.ecsv"
    write_rows(path, header, columns=COLUMNS, values=VALUES)
    return path


def test_rows_come_back_as_plain_values(path: Path) -> None:
    rows = read_rows(path, COLUMNS, dict)

    columns = {name: [row[name] for row in rows] for name in COLUMNS}
    assert repr(columns) == repr(VALUES)


def test_single_row_of_empty_words(tmp_path: Path, header: ProductHeader) -> None:
    path = tmp_path / "table.ecsv"
    columns = {"word": COLUMNS["word"]}
    write_rows(path, header, columns=columns, values={"word": [""]})
    assert read_rows(path, columns, dict) == [{"word": ""}]


def test_no_rows(tmp_path: Path, header: ProductHeader) -> None:
    path = tmp_path / "table.ecsv"
    write_rows(path, header, columns=COLUMNS, values=dict.fromkeys(COLUMNS, ()))
    assert read_rows(path, COLUMNS, dict) == []
    assert read_table_header(path) == header


def test_lost_rows(path: Path) -> None:
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:-1]) + "\n")
    with pytest.raises(DamagedFileError, match=r"table\.ecsv: .*checksum.*made anew"):
        read_rows(path, COLUMNS, dict)


@pytest.mark.parametrize(
    "content",
    [
        "",
        "# %ECSV 1.0\n# ---\n# {",
        "obs_id\n7\n",
        "# %ECSV 1.0\n# ---\n# meta: 3\nx\n",
    ],
)
def test_other_content(path: Path, content: str) -> None:
    path.write_text(content)
    with pytest.raises(DamagedFileError, match=r"table\.ecsv: .*Run the stage again"):
        read_table_header(path)
    with pytest.raises(DamagedFileError, match=r"table\.ecsv: .*Run the stage again"):
        read_rows(path, COLUMNS, dict)


@pytest.mark.parametrize("read", READERS)
def test_no_flipped_bit_is_silent(path: Path, read: Callable[[Path], object]) -> None:
    content = path.read_bytes()
    for place in range(len(content)):
        flipped = bytearray(content)
        flipped[place] ^= 1 << (place % 7)
        path.write_bytes(flipped)
        with pytest.raises(DamagedFileError, match=r"checksum"):
            read(path)


def test_missing_column(path: Path) -> None:
    columns = COLUMNS | {"other": COLUMNS["word"]}
    with pytest.raises(DamagedFileError, match="other"):
        read_rows(path, columns, dict)


def test_unwritable(tmp_path: Path, header: ProductHeader) -> None:
    with pytest.raises(OutputError, match=r"absent.*existing folder"):
        write_rows(
            tmp_path / "absent" / "t.ecsv", header, columns=COLUMNS, values=VALUES
        )
