"""Plain Luigi does the same as ``bkgpipe run``, which a site's Luigi does not reach."""

from __future__ import annotations

import json

import pytest

from bkgpipe.settings import settings_template

_WORDS = (
    "--module",
    "bkgpipe.flow",
    "MakeProduction",
    "--local-scheduler",
    "--workers",
    "2",
)


def test_plain_luigi_runs_the_chain(folder, start):
    process = start(folder, "luigi", *_WORDS)
    _, stderr = process.communicate(timeout=180)

    assert process.returncode == 0, stderr
    record = json.loads((folder / "out" / "production.json").read_text())
    assert len(record["summary"]["models"]) == 16
    assert record["summary"]["refused"] == {}
    assert not list((folder / "out").rglob(".*"))


def test_refused_runs_are_an_exit_code_that_is_not_zero(folder, start, find_events):
    find_events(folder / "store", 1003).unlink()

    process = start(folder, "luigi", *_WORDS)
    _, stderr = process.communicate(timeout=180)

    assert process.returncode == 30, stderr
    assert "task_failed = 30" in settings_template({})
    assert "1 run(s) could not be used" in stderr
    record = json.loads((folder / "out" / "production.json").read_text())
    assert list(record["summary"]["refused"]) == ["1003"]
    assert len(record["summary"]["models"]) == 14


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("LUIGI_CONFIG_PARSER", "toml"),
        ("LUIGI_CONFIG_PARSER", "nonsense"),
        ("LUIGI_CONFIG_PATH", "of_the_site.cfg"),
        ("LUIGI_CONFIG_PATH", "missing.cfg"),
    ],
)
def test_luigi_settings_of_a_site_do_not_reach_us(
    folder, start, monkeypatch, *, name, value
):
    (folder / "of_the_site.cfg").write_text("[worker]\nwait_interval = -1\n")
    monkeypatch.setenv(name, value)

    process = start(folder, "bkgpipe", "run", "select")
    stdout, stderr = process.communicate(timeout=180)

    assert process.returncode == 0, stderr
    assert stdout.startswith("Done in ")
    assert "Traceback" not in stderr
    assert "arn" not in stderr


@pytest.mark.parametrize("spoilt", ["\ufeff[data]\n", "[data]\nno value\n"])
def test_settings_that_luigi_cannot_read_are_told_in_words(folder, start, spoilt):
    (folder / "fine.cfg").write_text((folder / "luigi.cfg").read_text())
    (folder / "luigi.cfg").write_text(spoilt, encoding="utf-8")

    process = start(folder, "bkgpipe", "plan", "--config", "fine.cfg")
    _, stderr = process.communicate(timeout=180)

    assert process.returncode == 2
    assert "Traceback" not in stderr
    assert "luigi.cfg of this folder: Luigi cannot read it" in stderr
    assert "without a byte order mark" in stderr
