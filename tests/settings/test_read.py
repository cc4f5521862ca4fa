from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bkgpipe.errors import SettingsError
from bkgpipe.settings import read_settings


def test_defaults_and_relative_paths(config):
    settings = read_settings(config)

    assert settings.store == config.parent / "store"
    assert settings.data.output == config.parent / "out"
    assert settings.mask.radius == 0.35
    assert settings.export.format == ("bkg_3d", "bkg_2d")
    assert settings.binning.axes.shape_3d == (24, 20, 20)
    assert settings.binning.axes.energy_edges[[0, -1]] == pytest.approx([0.1, 100])


def test_overrides_win_and_their_paths_start_here(config, monkeypatch, tmp_path):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)

    settings = read_settings(config, ["data.output=here", "mask.radius=30 arcmin"])

    assert settings.data.output == elsewhere / "here"
    assert settings.mask.radius == pytest.approx(0.5)


def test_all_problems_are_listed_at_once_with_the_nearest_name(config):
    overrides = [
        "smoth.sigma=2",
        "mask.raduis=1 deg",
        "mask.radius=-1 deg",
        "mask.nside=many",
        "binning.per_decade=500",
        "select.max_zenith=3 TeV",
        "stack.strategy=best",
        "no equals sign",
    ]

    with pytest.raises(SettingsError) as caught:
        read_settings(config, overrides)

    text = str(caught.value)
    assert text.startswith(f"{config}: 8 problem(s)")
    assert "did you mean smooth?" in text
    assert "did you mean radius?" in text
    assert "-1 deg is below the least value 0" in text
    assert "expected a whole number, found 'many'" in text
    assert "500 is above the largest value 100" in text
    assert "expected a unit such as deg" in text
    assert "expected one of groups, ranked, own" in text
    assert "not of the form section.key=value" in text
    assert "bkgpipe init" in caught.value.fix


def test_keys_of_the_regression_have_a_section_of_their_own(config):
    config.write_text(config.read_text() + "\n[smooth]\nridge = 3\n")

    with pytest.raises(SettingsError) as caught:
        read_settings(config, ["smooth.max_points=50", "fit.penlty=2"])

    text = str(caught.value)
    assert "[smooth] ridge is now [fit] ridge" in text
    assert "[smooth] max_points is now [fit] max_points" in text
    assert "[fit] penlty is not a key (did you mean penalty?)" in text


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("data.store=", "store is missing"),
        ("count.control_offset=1 deg", "control_offset is below"),
        ("sky.nside=1000", "nside must be a power of two, found 1000"),
        ("sky.energy_edges=3 TeV, 1 TeV", "energy_edges must be positive and increase"),
        ("sky.energy_edges=1 TeV", "at least two values"),
        ("sky.radii=", "radii must have a value"),
        ("sky.radii=0.02 deg", r"none below \[sky\] pixel"),
        ("sky.radii=0.1 deg, 6 deg", "or above 5 deg"),
        ("binning.energy_min=200 TeV", "energy_min must be below energy_max"),
        ("binning.energy_edges=1, 1, 2 TeV", "energy_edges must increase"),
        ("binning.energy_max=0.12 TeV", "fewer than two energy bins"),
        ("binning.fov_bins=24", "could not tell the axes apart"),
        ("mask.nside=1000", "power of two"),
        ("mask.max_radius=0.1 deg", "max_radius is below radius"),
        ("mask.regions=nowhere.reg", "regions: no such file"),
        ("mask.masks=nowhere.fits", "masks: no such file"),
        ("mask.catalogs=nowhere.fits", "catalogs: no such file"),
        ("stack.zenith_edges=40, 20 deg", "zenith_edges must increase"),
        ("stack.strategy=ranked", "set method = gaussian or none"),
        ("stack.method=michi", r"or \[stack\] method = sum"),
    ],
)
def test_contradictions(config, override, message):
    with pytest.raises(SettingsError, match=message):
        read_settings(config, [override])


def test_michi_takes_no_exposure_from_events(config):
    given = ["smooth.method=none", "stack.method=michi"]
    assert read_settings(config, given).stack.method == "michi"
    with pytest.raises(SettingsError, match=r"michi takes no kept .* = geometry"):
        read_settings(config, [*given, "count.exposure=events"])


def test_catalogues_need_gammapy_data(config, monkeypatch):
    monkeypatch.delenv("GAMMAPY_DATA", raising=False)

    with pytest.raises(SettingsError, match="set GAMMAPY_DATA"):
        read_settings(config, ["mask.catalogs=gammacat"])

    monkeypatch.setenv("GAMMAPY_DATA", str(config.parent))
    settings = read_settings(config, ["mask.catalogs=gammacat"])
    assert settings.data.gammapy_data == config.parent


def test_stars_are_a_catalogue_in_either_case(config, monkeypatch):
    monkeypatch.setenv("GAMMAPY_DATA", str(config.parent))
    assert read_settings(config, ["mask.catalogs=Stars"]).mask.catalogs == ("stars",)


def test_sections_of_luigi_pass(config):
    config.write_text(config.read_text() + "[retcode]\ntask_failed = 30\n[worker]\n")

    assert read_settings(config).smooth.method == "regression"


def test_missing_file():
    with pytest.raises(SettingsError, match="cannot be read") as caught:
        read_settings(Path("nowhere.cfg"))
    assert "bkgpipe init" in caught.value.fix


def test_not_a_settings_file(tmp_path):
    path = tmp_path / "luigi.cfg"
    path.write_text("just words\n")

    with pytest.raises(SettingsError, match="not a settings file"):
        read_settings(path)


def test_lists_of_runs(config):
    (config.parent / "runs.txt").write_text("3 1  # night one\n2, 3\n")

    settings = read_settings(
        config,
        [f"select.obs_ids=@{config.parent / 'runs.txt'}", "export.obs_ids=9 8, 1-7"],
    )

    assert settings.select.obs_ids == (1, 2, 3)
    assert settings.export.obs_ids == ((1, 7), 8, 9)
    with pytest.raises(SettingsError, match="no such file"):
        read_settings(config, ["select.obs_ids=@nowhere"])
    with pytest.raises(SettingsError, match="run numbers"):
        read_settings(config, ["select.obs_ids=one"])


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_settings_file_with_a_byte_order_mark(config, encoding):
    expected = read_settings(config).data
    config.write_text(config.read_text(), encoding=encoding)

    assert read_settings(config).data == expected


def test_circles_dates_and_limits(config):
    settings = read_settings(
        config,
        [
            "mask.circles=Crab: 83.63 22.01 0.5, 10 -5 1",
            "select.time_min=2004-03-26",
            "rank.max_zenith_difference=inf",
            "rank.same_telescopes=yes",
        ],
    )

    crab, other = settings.mask.circles
    assert (crab.name, crab.ra, crab.dec, crab.radius) == ("Crab", 83.63, 22.01, 0.5)
    assert other.name == "circle"
    assert settings.select.cuts.time_min == pytest.approx(53090.00074, abs=1e-4)
    assert np.isinf(settings.select.cuts.time_max)
    assert np.isinf(settings.rank.criteria.limits.zenith)
    assert settings.rank.criteria.limits.same_telescopes


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("mask.circles=Crab: 1 2", "expected 'name: ra dec radius'"),
        ("select.time_min=yesterday", "expected a date"),
        ("rank.own=perhaps", "expected true or false"),
        ("smooth.sigma=wide", "expected a number"),
        ("smooth.sigma=nan", "is not a number"),
        ("mask.radius=1", "expected a unit"),
        ("mask.radius=one deg", "expected a number with a unit"),
        ("stack.zenith_edges=0, 20", "expected a unit after the last number"),
        ("export.format=bkg_4d", "expected some of bkg_3d, bkg_2d"),
        ("data.output=$NOT_SET_ANYWHERE/x", "environment variable"),
    ],
)
def test_values_that_are_refused(config, override, message):
    with pytest.raises(SettingsError, match=message):
        read_settings(config, [override])


def test_given_energy_edges_with_one_unit(config):
    settings = read_settings(config, ["binning.energy_edges=100, 300, 1000 GeV"])

    assert settings.binning.axes.energy_edges == pytest.approx([0.1, 0.3, 1.0])


def test_offset_bins_have_equal_solid_angle(config):
    axes = read_settings(config, ["binning.offset_bins=7"]).binning.axes

    assert axes.solid_angle_2d == pytest.approx(np.full(7, axes.solid_angle_2d.mean()))
    assert axes.offset_max == 2.5
