from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from bkgpipe.datamodel import Conservation, Report, RunTable
from bkgpipe.view import make_report

_HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&"
_EMPTY_TAGS = {"meta", "img", "br"}


class _Page(HTMLParser):
    """Elements of a page, checking that they are closed in order."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in _EMPTY_TAGS:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text += " ".join(data.split()) + " "


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return make_report(report)


@pytest.fixture(scope="module")
def page(html: str) -> _Page:
    return _Page(html)


def test_page_is_well_formed(page: _Page):
    assert page.open == []
    assert page.elements[0] == ("html", {"lang": "en"})


def test_page_loads_and_runs_nothing(html: str, page: _Page):
    assert "http:" not in html
    assert "https:" not in html
    assert not re.search(r"url\(|@import", html)
    tags = {tag for tag, _ in page.elements}
    assert not tags & {"script", "link", "iframe", "object", "a", "form"}
    for tag, attributes in page.elements:
        assert not [name for name in attributes if name.startswith("on")]
        if tag == "img":
            assert str(attributes["src"]).startswith("data:image/png;base64,")


def test_images_have_words(page: _Page):
    (image,) = [attributes for tag, attributes in page.elements if tag == "img"]
    assert str(image["alt"]).startswith("Background rate of stack 3: images")


def test_page_suits_phones_and_the_dark(html: str):
    assert 'name="viewport" content="width=device-width' in html
    assert "prefers-color-scheme: dark" in html


def test_summary_counts(page: _Page):
    # one of three runs is not selected, one is refused
    assert "0.44 h live time" in page.text
    assert "1 runs used" in page.text
    assert "1 runs refused" in page.text
    assert "3 runs in the store" in page.text
    assert "4 model files" in page.text


def test_refused_and_left_out_runs_have_reasons(page: _Page):
    assert re.search(r"20136\s+OFF\s+truncated events file", page.text)
    assert re.search(r"20137\s+Crab Nebula\s+zenith 61.0 deg > 60 deg", page.text)


def test_conservation_is_shown_with_its_sum(report: Report, page: _Page):
    conservation = report.conservation
    assert "excluded by the mask 600" in re.sub(r"\s+", " ", page.text)
    assert f"Read: {conservation.n_read:,}, which is the sum" in page.text


def test_lost_events_are_shouted(report: Report):
    lost = replace(report, models=(), conservation=Conservation(n_read=10, n_kept=7))
    assert "3 events are in no line" in _Page(make_report(lost)).text


def test_bars_are_relative_to_the_largest(html: str):
    assert 'style="width: 5.0%"' in html
    assert 'style="width: 100.0%"' in html


def test_groups_settings_and_versions(page: _Page):
    text = re.sub(r"\s+", " ", page.text)
    assert "2 3 1.33 23,456 24.5 12.5 20 to 30 -90 to 90" in text
    assert "zenith 0-20 azimuth -90-90" in text
    assert "[smooth] method gaussian sigma 1" in text
    assert "bkgpipe 0.1.0 numpy 2.4" in text


def test_geometry_stands_beside_events(page: _Page):
    text = re.sub(r"\s+", " ", page.text)
    assert "The exposure of this production is from the geometry." in text
    assert "23523 Crab Nebula 0.25 to 0.50 1,000 480 0.750 0.480 +56%" in text
    assert "20136 OFF 1.00 to 1.50 3 0 0.900 0.000 +inf%" in text


def test_empty_production_makes_a_page():
    empty = Report(
        title="nothing",
        table=RunTable(runs=()),
        conservation=Conservation(),
        refused={},
        timing={},
        groups=(),
        models=(),
        n_models=0,
    )
    page = _Page(make_report(empty))
    assert "No run was refused." in page.text
    assert "Time per stage" not in page.text
    assert "geometry beside events" not in page.text


@pytest.mark.parametrize("where", ["target", "reason", "title", "setting", "store"])
def test_hostile_words_stay_words(report: Report, make_run, where: str):
    hostile = {
        "target": {"table": RunTable(runs=(make_run(obs_id=20136, target=_HOSTILE),))},
        "reason": {"refused": {20136: _HOSTILE}},
        "title": {"title": _HOSTILE},
        "setting": {"settings": {_HOSTILE: {_HOSTILE: _HOSTILE}}},
        "store": {"store": _HOSTILE},
    }
    html = make_report(replace(report, models=(), **hostile[where]))
    page = _Page(html)
    assert not [tag for tag, _ in page.elements if tag in {"script", "img"}]
    assert " ".join(_HOSTILE.split()) in page.text
