from __future__ import annotations

import pytest

from bkgpipe.chain.picture import FORMS, ChainLink, draw_chain

_LINKS = (
    ChainLink(word="select", does="choose runs", parents=(), n_done=1, n_total=1),
    ChainLink(word="count", does="counts of runs", parents=(), n_done=2, n_total=11),
    ChainLink(word="smooth", does="rates", parents=("select", "count")),
)


def test_text_is_a_table():
    assert draw_chain(_LINKS, "text").splitlines() == [
        "select  1 of 1   choose runs",
        "count   2 of 11  counts of runs",
        "smooth           rates           from select, count",
    ]


def test_dot_has_a_box_for_each_stage_and_an_arrow_for_each_parent():
    drawn = draw_chain(_LINKS, "dot")

    assert drawn.startswith("digraph bkgpipe {")
    assert drawn.endswith("}")
    assert r'count [label = "count\ncounts of runs\n2 of 11"];' in drawn
    assert drawn.count("->") == 2
    assert "  select -> smooth;" in drawn


def test_mermaid_is_a_flowchart():
    drawn = draw_chain(_LINKS, "mermaid")

    assert drawn.startswith("flowchart LR")
    assert 'smooth["smooth<br>rates"]' in drawn
    assert "  count --> smooth" in drawn


@pytest.mark.parametrize("form", FORMS)
def test_a_single_stage(form):
    assert "select" in draw_chain(_LINKS[:1], form)
