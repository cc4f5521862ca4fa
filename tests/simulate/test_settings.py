from __future__ import annotations

from pathlib import Path

import pytest

from bkgpipe.errors import SettingsError
from bkgpipe.simulate.archive.data import Distribution, Field, Simulation
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.simulate.settings import (
    read_simulate_settings,
    simulate_page,
    simulate_template,
)
from bkgpipe.store.store_folder import store_folder

_TEXT = """\
[simulation]
runs = 12
duration = 28 min
gaps = 2
gap = 30 s
like = real
irfs = real/23523
fields = Crab: 83.63 22.01, PKS 2155-304: 329.7 -30.2
zenith = normal 30, 5 deg
time_start = 2004-03-26T20:00:00
[truth]
norm = 0.03 s-1 GeV-1 deg-2
gradient_lat = 6 rad-1
epoch_steps = 2004-06-01: 0.9, 2005-01-01T12:00:00: 0.8
[source:sky]
model = models.yaml
[source:dot]
rate = 6 min-1
"""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "simulate.cfg"
    path.write_text(_TEXT, encoding="utf-8")
    return path


def test_defaults_are_those_of_the_dataclasses() -> None:
    settings = read_simulate_settings(None)
    assert settings.truth.make() == Truth(
        epoch_reference=settings.truth.epoch_reference
    )
    made, expected = settings.simulation.make(), Simulation(seed=1)
    for name in ("n_runs", "duration", "zenith", "azimuth", "deadc", "safe_energy_min"):
        assert getattr(made, name) == getattr(expected, name), name
    assert made.time_start == pytest.approx(expected.time_start, abs=1e-6)
    assert not settings.sources


def test_values_have_their_units(path: Path) -> None:
    settings = read_simulate_settings(path)
    simulation = settings.simulation.make()
    assert simulation.duration == 1680.0
    assert simulation.ontime == 1620.0
    assert simulation.zenith == Distribution(law="normal", values=(30.0, 5.0))
    assert simulation.fields == (
        Field(name="Crab", ra=83.63, dec=22.01),
        Field(name="PKS 2155-304", ra=329.7, dec=-30.2),
    )
    truth = settings.truth.make()
    assert truth.norm == pytest.approx(0.03 * 1000 * 3282.806, rel=1e-6)
    assert truth.gradient_lat == pytest.approx(6 / 57.29578)
    assert [factor for _, factor in truth.epoch_steps] == [0.9, 0.8]
    assert truth.epoch_steps[1][0] == pytest.approx(53371.5007, abs=1e-3)


def test_paths_start_at_the_file(path: Path) -> None:
    settings = read_simulate_settings(path)
    assert settings.simulation.like == path.parent / "real"
    assert settings.simulation.irfs == str(path.parent / "real" / "23523")
    assert settings.sources["sky"].model == path.parent / "models.yaml"


@pytest.mark.parametrize(
    ("section", "store"),
    [("mixing", "store"), ("overlay", "store"), ("overlay", "off_store")],
)
def test_stores_know_where_they_may_lead(section: str, store: str) -> None:
    given = [f"{section}.{store}=/a/store", f"{section}.allow=/b, /c"]

    settings = read_simulate_settings(None, given)

    found = getattr(getattr(settings, section), store)
    assert found == store_folder(Path("/a/store"), allow=(Path("/b"), Path("/c")))
    assert found != store_folder(Path("/a/store"))


def test_sources_have_the_names_that_they_were_given(path: Path) -> None:
    settings = read_simulate_settings(path, ["source:more.rate=2 s-1"])
    assert settings.sources.keys() == {"sky", "dot", "more"}
    assert settings.sources["dot"].make().rate == pytest.approx(0.1)
    assert settings.sources["more"].make().rate == 2.0


@pytest.mark.parametrize(
    ("given", "n_runs"), [("0 h", 12), ("3 h", 7), ("2.25 h", 5), ("1 s", 1)]
)
def test_hours_are_turned_into_runs(path: Path, given: str, n_runs: int) -> None:
    settings = read_simulate_settings(path, [f"simulation.hours={given}"])
    assert settings.simulation.n_runs == n_runs


def test_all_problems_are_told_at_once(path: Path) -> None:
    given = [
        "simulation.zenith=uniform 50, 5 deg",
        "simulation.irfs=real",
        "simulation.fields=Crab",
        "truth.epoch_steps=2004: much",
        "source:dot.rat=1 s-1",
        "sorce:x.rate=1 s-1",
    ]
    with pytest.raises(SettingsError) as caught:
        read_simulate_settings(path, given)
    text = caught.value.what
    assert "6 problem(s)" in text
    for part in ("zenith: expected", "STORE/OBS_ID", "name: value", "2004-03-26: 0.9"):
        assert part in text
    assert "did you mean rate?" in text
    assert "did you mean source:?" in text


def test_values_that_do_not_go_together_are_refused() -> None:
    settings = read_simulate_settings(
        None, ["simulation.gaps=9", "simulation.gap=100 s"]
    )
    with pytest.raises(SettingsError, match=r"gap: .*Leave time"):
        settings.simulation.make()


def test_the_template_has_all_sections_and_reads_back(tmp_path: Path) -> None:
    text = simulate_template()
    for name in ("[simulation]", "[truth]", "#[source:NAME]", "#[component:NAME]"):
        assert f"\n{name}\n" in text
    path = tmp_path / "template.cfg"
    path.write_text(text, encoding="utf-8")
    assert read_simulate_settings(path).truth == read_simulate_settings(None).truth


def test_the_page_in_the_docs_is_up_to_date() -> None:
    page = Path(__file__).parents[2] / "docs" / "simulate_settings.md"

    assert page.read_text(encoding="utf-8") == simulate_page()
    for name in ("[simulation]", "[truth]", "[source:NAME]", "[component:NAME]"):
        assert f"\n## {name}\n" in page.read_text(encoding="utf-8")
