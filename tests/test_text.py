from __future__ import annotations

import codecs

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.text import decode_text, printable


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Crab Nebula", "Crab Nebula"),
        ("Größe 5°", "Größe 5°"),
        ("a\tb\r\nc", "a b  c"),
        ("\x1b[31mred\x07", "\ufffd[31mred\ufffd"),
        ("\x9b31m\u202egnp", "\ufffd31m\ufffdgnp"),
        ("one\u2028two", "one two"),
    ],
)
def test_what_would_command_a_terminal_is_replaced(text: str, expected: str) -> None:
    assert printable(text) == expected


def test_line_breaks_may_stay() -> None:
    assert printable("a\nb\tc", keep="\n") == "a\nb c"


@given(st.text())
def test_any_text_can_be_printed(text: str) -> None:
    assert printable(text).isprintable()
    assert printable(printable(text)) == printable(text)


@pytest.mark.parametrize(
    ("mark", "encoding"),
    [
        (b"", "utf-8"),
        (codecs.BOM_UTF8, "utf-8"),
        (codecs.BOM_UTF16_LE, "utf-16-le"),
        (codecs.BOM_UTF16_BE, "utf-16-be"),
        (codecs.BOM_UTF32_LE, "utf-32-le"),
    ],
)
def test_marks_say_how_a_text_is_encoded(mark: bytes, encoding: str) -> None:
    assert decode_text(mark + "1001\n# Größe".encode(encoding)) == "1001\n# Größe"


def test_what_is_no_text_is_refused() -> None:
    with pytest.raises(UnicodeDecodeError):
        decode_text(b"\x80\x81")
