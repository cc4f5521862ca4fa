from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from bkgpipe.settings import (
    STAGES,
    read_settings,
    settings_page,
    settings_template,
    settings_text,
)
from bkgpipe.settings.parse import read_texts
from bkgpipe.settings.sections import SECTIONS

_UNUSUAL = (
    "mask.circles=Crab: 83.63 22.01 0.5, other: 1 2 3",
    "select.obs_ids=5, 3, 20136-20151",
    "select.time_min=2004-03-26T10:00:00",
    "select.conditions=MUONEFF > 0.8, N_TELS >= 3",
    "binning.energy_edges=0.1, 0.35, 1.1 TeV",
    "rank.max_azimuth_difference=20 deg",
    "rank.own=true",
)


def test_written_settings_read_the_same_elsewhere(make_settings, tmp_path):
    settings = make_settings(*_UNUSUAL)
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)

    (folder / "frozen.cfg").write_text(settings_text(settings))
    again = read_settings(folder / "frozen.cfg")

    assert again.data == settings.data
    assert again.rank == settings.rank
    assert again.select.conditions == ("MUONEFF > 0.8", "N_TELS >= 3")
    for stage in STAGES:
        assert again.folder(stage) == settings.folder(stage)


def test_template_has_every_key_and_reads(tmp_path, make_settings):
    text = settings_template({"data.store": "store", "mask.catalogs": ""})

    path = tmp_path / "luigi.cfg"
    path.write_text(text)

    for section in SECTIONS.values():
        for key in fields(section):
            assert f"\n#{key.name} =" in text or f"\n{key.name} =" in text
    assert read_settings(path).binning == make_settings().binning
    assert "task_failed = 30" in text


def test_page_documents_every_key():
    page = settings_page()

    for name, section in SECTIONS.items():
        assert f"## [{name}]" in page
        for key in fields(section):
            assert f"| `{key.name}` |" in page


def test_page_in_the_docs_is_up_to_date():
    page = Path(__file__).parents[2] / "docs" / "settings.md"

    assert page.read_text(encoding="utf-8") == settings_page()


def test_example_of_the_repository_is_up_to_date():
    example = Path(__file__).parents[2] / "luigi.cfg"
    texts = read_texts(example, fix="")
    given = {
        f"{name}.{key}": text
        for name in SECTIONS
        for key, text in texts.get(name, {}).items()
    }

    settings = read_settings(example, ["mask.catalogs="])

    assert settings.store.name == "store-1"
    assert example.read_text(encoding="utf-8").endswith(settings_template(given))


@pytest.mark.parametrize("name", list(SECTIONS))
def test_defaults_in_the_template_are_the_defaults(name, tmp_path, make_settings):
    text = settings_template({"data.store": "store", "mask.catalogs": ""})
    lines = text.splitlines()
    bare = [
        line[1:] if line[:1] == "#" and line[1:2] != " " else line for line in lines
    ]
    path = tmp_path / "luigi.cfg"
    path.write_text("\n".join(bare))

    again = read_settings(
        path, ["data.store=" + str(tmp_path / "store"), "mask.catalogs="]
    )

    if name == "data":
        assert again.data.chunk_size == make_settings().data.chunk_size
    else:
        assert str(getattr(again, name)) == str(getattr(make_settings(), name))


def test_reasons_stand_beside_their_keys():
    text = settings_template(
        {"binning.energy_min": "0.02 TeV"},
        {
            "binning.energy_min": "the lowest safe energy is 0.03 TeV",
            "binning.fov_bins": "0.25 deg each",
        },
    )

    assert (
        "# Chosen: the lowest safe energy is 0.03 TeV\nenergy_min = 0.02 TeV\n" in text
    )
    assert "# Default kept: 0.25 deg each\n#fov_bins = 20\n" in text
    assert text.count("# Chosen: ") == text.count("# Default kept: ") == 1
