from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest

from bkgpipe.stages.report.data import note_model
from bkgpipe.stages.report.model import ModelPlace, make_model_page, model_picture
from bkgpipe.stages.smooth.data import RateModel


def _text(page: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", page.split("<main>")[1]).split())


def test_page_leads_to_its_neighbours(rate_model: RateModel):
    page = make_model_page(
        rate_model, ModelPlace(kind="group", previous=2, following=5)
    )
    assert page.count('<a href="model-2.html">previous: group 2</a>') == 2
    assert page.count('<a href="model-5.html">next: group 5</a>') == 2
    assert page.count('href="index.html"') == 2


def test_first_and_last_pages_have_one_neighbour_or_none(rate_model: RateModel):
    page = make_model_page(rate_model, ModelPlace(kind="run"))
    assert set(re.findall(r'href="([^"]*html)"', page)) == {"index.html"}


def test_page_shows_the_picture_with_words(rate_model: RateModel):
    page = make_model_page(rate_model, ModelPlace(kind="group"))
    assert 'src="model-3.png" alt="Background rate of group 3: images' in page


def test_numbers_are_those_of_the_model(rate_model: RateModel):
    error = np.full(rate_model.rate_2d.shape, 0.05)
    model = replace(rate_model, error_2d=error, systematic=0.04)
    text = _text(make_model_page(model, ModelPlace(kind="group")))
    assert "live time 5.00 h zenith angle 31.25 deg" in text
    assert "bins (energy x lon x lat) 7 x 5 x 4" in text
    assert "its statistical error, at most 5.00%" in text
    assert "scatter of single runs 4.00%" in text


def test_what_is_unknown_is_said(rate_model: RateModel):
    unseen = replace(
        rate_model,
        exposure_2d=np.zeros_like(rate_model.exposure_2d),
        rate_2d=np.zeros_like(rate_model.rate_2d),
    )
    text = _text(make_model_page(unseen, ModelPlace(kind="group")))
    assert "lowest energy unknown" in text
    assert "scatter of single runs unknown" in text


def test_bands_add_up_to_the_rate_of_the_note(rate_model: RateModel):
    text = _text(make_model_page(rate_model, ModelPlace(kind="group")))
    rows = re.findall(r"[\d.]+ to [\d.]+ TeV ([\d.e+]+)", text.split("Energy bands")[1])
    total = sum(float(value) for value in rows)
    assert total == pytest.approx(note_model(rate_model).rate, rel=1e-3)


def test_runs_of_a_group_are_listed(rate_model: RateModel):
    page = make_model_page(rate_model, ModelPlace(kind="group", obs_ids=(4711, 4712)))
    assert "Runs behind it" in page
    assert ">4712<" in page


def test_caption_tells_of_the_scatter_only_if_known(rate_model: RateModel):
    assert "scatter" not in model_picture(note_model(rate_model), kind="run").caption
    known = note_model(replace(rate_model, systematic=0.04))
    caption = model_picture(known, kind="run").caption
    assert caption.endswith("with the scatter of single runs of 4.0%.")


def test_bands_without_events_are_marked(rate_model: RateModel):
    is_fitted = np.array([False, False, False, True, True, True, False])
    model = replace(rate_model, is_fitted=is_fitted)
    text = _text(make_model_page(model, ModelPlace(kind="run")))
    edges = rate_model.binning.energy_edges
    assert f"energies with events {edges[3]:.4g} to {edges[6]:.4g} TeV" in text
    table = text.split("Energy bands")[1]
    names = re.findall(r"[\d.]+ to [\d.]+ TeV", table)
    assert names[0] == f"{edges[0]:.3g} to {edges[3]:.3g} TeV"
    assert names[-1] == f"{edges[6]:.3g} to {edges[7]:.3g} TeV"
    assert len(names) == 5
    assert table.count("no events") == 2
    assert f"lowest energy {edges[3]:.3g} TeV" in text
    rates = re.findall(r"TeV ([\d.e+]+)", table)
    total = sum(float(rate) for rate in rates[1:-1])
    assert total == pytest.approx(note_model(model).rate, rel=1e-3)


def test_conditions_beyond_the_fit_are_among_the_numbers(rate_model: RateModel):
    beyond = ("zenith angle 65 (fit: 5 to 45)", "time 1 (fit: 2 to 3)")
    page = make_model_page(
        replace(rate_model, excursions=beyond), ModelPlace(kind="run")
    )
    assert f"beyond the fit {beyond[0]}; {beyond[1]}" in _text(page)
    assert "beyond the fit" not in make_model_page(rate_model, ModelPlace(kind="run"))
