from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from bkgpipe.errors import SettingsError
from bkgpipe.settings.keys import key
from bkgpipe.settings.kinds import INTEGER, PATH, quantity
from bkgpipe.settings.parse import Grammar, parse_sections, read_texts, refuse
from bkgpipe.settings.write import section_template


@dataclass(frozen=True, kw_only=True)
class _Telescope:
    """A telescope."""

    n_mirrors: int = key(INTEGER, "3", "Mirrors", minimum=1, maximum=9)
    focus: float = key(quantity("deg"), "2 deg", "Focus")
    camera: Path | None = key(PATH, "", "Folder of its camera")  # noqa: RUF009


_GRAMMAR = Grammar(
    sections={"main": _Telescope},
    families={"small:": _Telescope},
    ignored=frozenset({"core"}),
)


def _parse(texts, *overrides: str, folder: Path = Path()):
    problems: list[str] = []
    values = parse_sections(
        texts, overrides, grammar=_GRAMMAR, folder=folder, problems=problems
    )
    return values, problems


def test_defaults_stand_where_nothing_is_given():
    values, problems = _parse({})
    assert values == {"main": {"n_mirrors": 3, "focus": 2.0, "camera": None}}
    assert not problems


def test_members_of_a_family_come_by_name():
    values, problems = _parse(
        {"small:b": {"n_mirrors": "5"}, "core": {"anything": "goes"}},
        "small:a.focus=60 arcmin",
    )
    assert list(values) == ["main", "small:a", "small:b"]
    assert values["small:a"]["focus"] == pytest.approx(1.0)
    assert values["small:b"]["n_mirrors"] == 5
    assert not problems


def test_relative_paths_start_where_they_were_written(tmp_path: Path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    texts = {"main": {"camera": "one"}, "small:a": {"camera": "one"}}
    values, _ = _parse(texts, "main.camera=two", folder=tmp_path)
    assert values["main"]["camera"] == elsewhere / "two"
    assert values["small:a"]["camera"] == tmp_path / "one"


@pytest.mark.parametrize(
    ("texts", "override", "problem"),
    [
        ({"mian": {}}, "main.focus=1 deg", r"\[mian\] .*did you mean main\?"),
        ({"smal:a": {}}, "main.focus=1 deg", r"\[smal:a\] is not a section"),
        ({"small:": {}}, "main.focus=1 deg", r"\[small:\] is not a section"),
        ({"small:a": {"fokus": "1"}}, "main.focus=1 deg", r"did you mean focus\?"),
        ({"main": {"n_mirrors": "10"}}, "main.focus=1 deg", "above the largest"),
        ({"main": {"n_mirrors": "0"}}, "main.focus=1 deg", "below the least"),
        ({}, "main.focus=1 kg", r"\[main\] focus: expected a unit"),
        ({}, "focus", "'focus' is not of the form section.key=value"),
    ],
)
def test_each_problem_is_noted_once(texts, override: str, problem: str):
    _, problems = _parse(texts, override)
    assert len(problems) == 1
    with pytest.raises(SettingsError, match=problem) as caught:
        refuse(problems, where="a file", fix="Mend it")
    assert caught.value.where == "a file"
    assert caught.value.fix == "Mend it"


def test_nothing_is_refused_without_a_problem():
    refuse([], where="a file", fix="Mend it")


def test_a_file_that_is_not_there_says_what_to_do(tmp_path: Path):
    with pytest.raises(SettingsError, match=r"cannot be read .*Name another"):
        read_texts(tmp_path / "no.cfg", fix="Name another")


def test_a_file_that_is_no_settings_file_is_refused(tmp_path: Path):
    (tmp_path / "a.cfg").write_text("just words\n", encoding="utf-8")
    with pytest.raises(SettingsError, match="is not a settings file"):
        read_texts(tmp_path / "a.cfg", fix="Name another")


def test_a_section_reads_back_as_it_was_written(tmp_path: Path):
    path = tmp_path / "a.cfg"
    lines = section_template("main", _Telescope, {"main.n_mirrors": "7"})
    path.write_text("\n".join(lines), encoding="utf-8")
    values, problems = _parse(read_texts(path, fix=""))
    assert not problems
    assert values["main"]["n_mirrors"] == 7
    assert values["main"]["focus"] == 2.0


def test_a_section_that_nobody_asked_for_is_a_comment():
    lines = section_template("small:NAME", _Telescope, {}, is_asked=False)
    assert "#[small:NAME]" in lines
    assert not [line for line in lines if line and not line.startswith("#")]
