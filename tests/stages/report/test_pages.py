from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest

from bkgpipe.core.run import RunTable
from bkgpipe.stages.count.data import Conservation
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.rank.data import Ranking
from bkgpipe.stages.report.data import Report
from bkgpipe.stages.report.dependence import Dependence, RunRate
from bkgpipe.stages.report.pages import make_figures, make_pages
from bkgpipe.stages.validate.axes_data import AxesSummary, AxisRow
from bkgpipe.stages.validate.data import ScoreSummary, ValidationSummary

_HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)>&"
_EMPTY_TAGS = {"meta", "img", "br", "link"}


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
        if not {"style", "script"} & set(self.open):
            self.text += " ".join(data.split()) + " "


def make_report(report: Report) -> str:
    return make_pages(report)["index.html"]


@pytest.fixture(scope="module")
def full(report: Report, ranking: Ranking) -> Report:
    rate = RunRate(
        obs_id=23523,
        stack_id=3,
        safe_energy_min=0.5,
        kept_fraction=0.9,
        checksum="ab12",
        n_events=900,
        counts=400,
        exposure=10.0,
        predicted=500.0,
    )
    score = ScoreSummary(
        name="this production",
        n_runs=3,
        n_events=1500,
        deviance=(1.1, 1.05, 1.0),
        noise=(0.99, 0.98, 0.97),
        ratio=1.01,
        ratio_spread=0.1,
        pull=-0.2,
        pull_spread=1.3,
        n_unpredicted=0,
    )
    region = ExclusionRegion(name="Crab", origin="gc", ra=83.6, dec=22.0, radius=0.3)
    axis = AxisRow(
        model="this production",
        energies="above the safe energy",
        axis="32",
        oversampling=1,
        n_runs=105,
        n_events=150_000,
        n_uncovered=0,
        total=1.002,
        rms=0.074,
        worst=0.24,
        worst_energy=0.38,
        chi2=3033.0,
        n_bins=69,
        floor_total=1.001,
        floor_chi2=71.5,
        scatter=0.21,
        scatter_median=0.056,
    )
    return replace(
        report,
        dependence=Dependence(energy_min=0.7, runs=(rate,)),
        rankings=(ranking,),
        regions=(region,),
        n_masks=1,
        n_all_masks=2,
        field_radius=2.5,
        validation=ValidationSummary(
            models=(score,),
            n_folds=5,
            kept_together="night",
            energy_min=0.5,
            energy_max=30.0,
            n_left_out=2,
        ),
        axes=AxesSummary(rows=(axis,), offset_max=2.0, inside_offset=1.25),
        folders={"count": "count-3fa9c1"},
        inputs="0123456789abcdef",
    )


@pytest.fixture(scope="module")
def pages(full: Report) -> dict[str, str]:
    return make_pages(full)


@pytest.fixture(scope="module")
def html(report: Report) -> str:
    return make_report(report)


@pytest.fixture(scope="module")
def page(html: str) -> _Page:
    return _Page(html)


def test_pages_are_well_formed(pages: dict[str, str]):
    for text in pages.values():
        page = _Page(text)
        assert page.open == []
        assert page.elements[0] == ("html", {"lang": "en"})


def test_pages_load_nothing_but_the_images_beside_them(
    full: Report, pages: dict[str, str]
):
    files = {*pages, *make_figures(full), "validation.png", "axes.png"}
    files |= {"model-3.html", "model-3.png"}
    for html in pages.values():
        assert "http:" not in html
        assert "https:" not in html
        assert not re.search(r"url\(|@import", html)
        page = _Page(html)
        assert not {tag for tag, _ in page.elements} & {"iframe", "object", "form"}
        for tag, attributes in page.elements:
            assert not [name for name in attributes if name.startswith("on")]
            address = attributes.get("href") or attributes.get("src") or ""
            if address and not address.startswith(("#", "data:")):
                assert address in files, tag


def test_images_have_words(pages: dict[str, str]):
    images = [
        attributes
        for tag, attributes in _Page(pages["index.html"]).elements
        if tag == "img"
    ]
    assert [image["src"] for image in images] == [
        "sky.png",
        "dependence.png",
        "validation.png",
        "axes.png",
        "rankings.png",
        "ranking.png",
        "model-3.png",
    ]
    assert all(len(str(image["alt"])) > 60 for image in images)


def test_figures_are_those_that_there_is_something_for(full: Report, report: Report):
    assert list(make_figures(report)) == ["sky.png"]
    figures = make_figures(full)
    assert list(figures) == ["sky.png", "dependence.png", "rankings.png", "ranking.png"]
    for draw in figures.values():
        draw().draw_without_rendering()


def test_the_index_comes_last(pages: dict[str, str]):
    assert list(pages) == [
        "runs-1.html",
        "regions-1.html",
        "models-1.html",
        "index.html",
    ]


def test_many_runs_are_on_many_pages(report: Report, make_crab):
    table = RunTable(runs=tuple(make_crab(obs_id=i) for i in range(1, 452)))
    pages = make_pages(replace(report, table=table))
    names = [name for name in pages if name.startswith("runs")]
    assert names == ["runs-1.html", "runs-2.html", "runs-3.html"]
    last = " ".join(_Page(pages["runs-3.html"]).text.split())
    assert "Runs, page 3" in last
    assert "451 in all, 51 on this page" in last
    assert "1\N{EN DASH}200 201\N{EN DASH}400 401\N{EN DASH}451" in last
    assert len(pages["index.html"]) < 50_000


def test_of_a_large_index_the_runs_that_were_selected_are_listed(
    report: Report, make_crab
):
    used = [make_crab(obs_id=i) for i in (3, 9000)]
    others = [
        make_crab(obs_id=i, selected=False, exported=False, reason="no")
        for i in range(10, 2010)
    ]
    folders = {"select": "select-1a2b3c"}
    table = RunTable(runs=(*used, *others))
    pages = make_pages(replace(report, table=table, folders=folders))

    assert [name for name in pages if name.startswith("runs")] == [
        *("runs-1.html", "runs-2.html")
    ]
    text = " ".join(_Page(pages["runs-1.html"]).text.split())
    assert "202 in all" in text
    assert "1,800 more runs that were not selected are not listed" in text
    assert "select-1a2b3c/runs.ecsv has all of them" in text
    assert "9000" in pages["runs-2.html"]
    assert "runs in the store" in pages["index.html"]


def test_validation_is_shown_with_what_it_was(pages: dict[str, str]):
    text = re.sub(r"\s+", " ", _Page(pages["index.html"]).text)
    assert "5 folds by night, 0.5 to 30 TeV, 2 runs not scored" in text
    assert "this production 3 1,500 1.1000" in text


def test_other_axes_are_shown(pages: dict[str, str]):
    text = re.sub(r"\s+", " ", _Page(pages["index.html"]).text)
    assert "Offsets to 2 deg, to 1.25 deg below the safe energy" in text
    assert (
        "above the safe energy 32 105 150,000 1.002 7.4% +24.0% 0.38 3033 / 69" in text
    )


def test_conditions_and_provenance(pages: dict[str, str]):
    text = re.sub(r"\s+", " ", _Page(pages["index.html"]).text)
    assert "Events kept above 0.7 TeV" in text
    assert "23523 Crab Nebula 45.7 400 500 0.800 -4.5 3" in text
    assert "count count-3fa9c1" in text
    assert "0123456789abcdef" in text


def test_models_without_a_page_are_told_how_to_get_one(page: _Page, full: Report):
    assert "1 of 2 have a page: bkgpipe report --models all" in page.text
    whole = _Page(make_report(replace(full, n_rates=1))).text
    assert "1 of 1 have a page ." in whole.replace("page.", "page .")
    assert "--models all" not in whole


def test_page_suits_phones_and_the_dark(html: str):
    assert 'name="viewport" content="width=device-width' in html
    assert "prefers-color-scheme: dark" in html
    assert "@media print" in html


def test_summary_counts(page: _Page):
    # one of three runs is not selected, one is refused
    assert "0.44 h live time" in page.text
    assert "1 runs used" in page.text
    assert "1 runs refused" in page.text
    assert "3 runs in the store" in page.text
    assert "4 model files" in page.text
    assert "1 runs not selected" in page.text


def test_reasons_are_summed_up(page: _Page):
    assert "1 refused, 0 counted but not stacked" in page.text
    assert re.search(r"1\s+truncated events file", page.text)
    assert re.search(r"1\s+zenith 61.0 deg > 60 deg", page.text)


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


def test_times_that_differ_are_listed_the_largest_first(page: _Page):
    text = re.sub(r"\s+", " ", page.text)
    first = text.index("20136 100.0% 300.0 600.0")
    assert first < text.index("23523 13.3% 1500.0 1700.0")
    assert "The sum of the good time intervals is used" in text
    assert "outside good time 9" in text


def test_counts_and_fit_of_each_energy_are_shown(report: Report, fit):
    page = make_report(replace(report, regression=fit))
    assert "Counts and fit of each energy" in page
    assert "does not follow" not in page
    residual = np.array([[700.0, 1.0, 0.0, 0.0], [500.0, 1.0, 0.0, 0.0]])
    page = make_report(replace(report, regression=replace(fit, residual=residual)))
    assert "at 0.3 to 1 TeV (counted/expected 1.400, +8.9 sigma)" in page


def test_other_methods_have_no_fit_to_compare(html: str):
    assert "Counts and fit" not in html


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
    assert "All runs were used." in page.text
    assert "Time per stage" not in page.text
    assert "geometry beside events" not in page.text
    assert "Times that differ" not in page.text


@pytest.mark.parametrize("where", ["target", "reason", "title", "setting", "store"])
def test_hostile_words_stay_words(report: Report, make_crab, where: str):
    hostile = {
        "target": {"table": RunTable(runs=(make_crab(obs_id=20136, target=_HOSTILE),))},
        "reason": {"refused": {20136: _HOSTILE}},
        "title": {"title": _HOSTILE},
        "setting": {"settings": {_HOSTILE: {_HOSTILE: _HOSTILE}}},
        "store": {"store": _HOSTILE},
    }
    pages = make_pages(replace(report, models=(), **hostile[where]))
    found = [_Page(html) for html in pages.values()]
    tags = [tag for page in found for tag, _ in page.elements]
    # one script each, and the map
    assert tags.count("script") == len(found)
    assert tags.count("img") == 1
    assert any(" ".join(_HOSTILE.split()) in page.text for page in found)


def test_runs_with_conditions_beyond_the_fit_are_listed(full: Report):
    assert "beyond the fit" not in make_pages(full)["index.html"]
    beyond = ("zenith angle 65 (fit: 5 to 45)", "time 1 (fit: 2 to 3)")
    some = replace(full, excursions={23523: beyond, 20136: beyond[:1]})
    page = make_pages(some)["index.html"]
    assert "The models of 2 runs extrapolate." in " ".join(page.split())
    assert page.count(beyond[0]) == 2
    assert page.count(beyond[1]) == 1
    assert "of them are listed" not in page


def test_of_many_runs_beyond_the_fit_some_are_listed(full: Report):
    many = dict.fromkeys(range(60), ("muon efficiency 2 (fit: 0 to 1)",))
    page = make_pages(replace(full, excursions=many))["index.html"]
    assert page.count("muon efficiency 2") == 50
    assert "The first 50 of them are listed." in " ".join(page.split())
