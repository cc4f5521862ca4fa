from __future__ import annotations

import codecs
from pathlib import Path

import pytest

from bkgpipe.settings.run_lists import parse_run_list, read_run_list


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ()),
        ("3, 1 2;1", (1, 2, 3)),
        ("20136-20151", ((20136, 20151),)),
        ("20136 - 20151, 7", (7, (20136, 20151))),
        ("20136\N{EN DASH}20151", ((20136, 20151),)),
        ("7-7", (7,)),
        ("1 # night one, 5\n# all\n2-3", (1, (2, 3))),
    ],
)
def test_numbers_ranges_and_comments(text: str, expected: tuple[object, ...]) -> None:
    assert parse_run_list(text) == expected


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("1 one", "expected run numbers or ranges such as 20136-20151, found 'one'"),
        ("1.5", "found '1.5'"),
        ("5-3", "the range 5-3 ends before it starts"),
        ("1-", "found '1-'"),
        ("9" * 50, f"found '{'9' * 40}'"),
        ("a\x1b[2J", r"found 'a\\x1b\[2J'"),
    ],
)
def test_a_wrong_word_is_named(text: str, found: str) -> None:
    with pytest.raises(ValueError, match=found):
        parse_run_list(text)


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
    ],
)
def test_files_of_other_programs(mark: bytes, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "runs.txt"
    path.write_bytes(mark + "1001\r\n1003-1005 # Größe\r\n".encode(encoding))
    assert read_run_list(path) == (1001, (1003, 1005))


def test_a_wrong_word_in_a_file_is_named_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "runs.txt"
    path.write_text("# my runs\n1001\nobs_id\n")
    with pytest.raises(ValueError, match=r"runs\.txt, line 3: .*found 'obs_id'"):
        read_run_list(path)


def test_what_is_no_file_of_text(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="no such file"):
        read_run_list(tmp_path)
    path = tmp_path / "runs.fits"
    path.write_bytes(b"\x80\x81")
    with pytest.raises(ValueError, match=r"runs\.fits is no text in UTF-8"):
        read_run_list(path)
