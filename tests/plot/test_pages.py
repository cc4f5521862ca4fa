from __future__ import annotations

import base64
import hashlib
import re

import pytest

from bkgpipe.plot.pages import Table, number, paged, render, step_links, word


def _table(n_rows: int) -> Table:
    rows = tuple((number(i), word(f"x{i}")) for i in range(n_rows))
    return Table(name="Things", columns=("number", "word"), rows=rows)


def _page(table: Table) -> str:
    return render(
        "report_list.html", title="T", links=[], found=table, words="", is_broad=True
    )


@pytest.mark.parametrize(
    ("n_rows", "sizes"), [(0, [0]), (200, [200]), (401, [200, 200, 1])]
)
def test_no_page_is_longer_than_200_rows(n_rows: int, sizes: list[int]):
    parts = paged(_table(n_rows))
    assert [len(part.rows) for part in parts] == sizes
    assert [cell.text for part in parts for cell, _ in part.rows] == [
        str(i) for i in range(n_rows)
    ]


def test_numbers_are_sorted_by_value_and_unknown_ones_are_dashes():
    cell = number(12345.678, ",.1f")
    assert (cell.text, cell.value, cell.kind) == ("12,345.7", 12345.678, "number")
    assert (number(float("nan")).text, number(float("inf")).value) == ("-", None)
    assert word("").text == "-"


def test_columns_of_numbers_are_known_by_their_first_row():
    assert _table(2).is_number(0)
    assert not _table(2).is_number(1)
    assert not _table(0).is_number(0)


def test_the_page_itself_is_marked_among_the_links():
    links = step_links(["a-1.html", "a-2.html"], 1, ["first", "second"])
    assert [link.file for link in links] == ["index.html", "a-1.html", "a-2.html"]
    assert [link.is_here for link in links] == [False, False, True]


def test_the_only_script_is_ours_and_its_hash_is_allowed():
    page = _page(_table(1))
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    assert f"script-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy


def test_words_of_others_stay_words():
    hostile = "</td><script>alert(1)</script>"
    table = Table(name=hostile, columns=(hostile,), rows=((word(hostile),),))
    assert "<script>alert" not in _page(table)


def test_headings_are_buttons_with_an_order():
    page = _page(_table(3))
    assert page.count('aria-sort="none"><button type="button">') == 2
    assert 'data-value="2"' in page
