from __future__ import annotations

import json

import pytest

CONFIG = """
[mixing]
store = store
runs = 1001 1004
per_decade = 8
pixel = 0.25 deg
[component:cosmic]
type = electron
rate = 0.5
"""


@pytest.fixture
def config(folder):
    path = folder / "mixing.cfg"
    path.write_text(CONFIG, encoding="utf-8")
    return path


def test_a_table_compares_expected_with_drawn(bkgpipe, config, folder):
    result = bkgpipe("simulate", "mixing", folder / "out", "--config", config)

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].startswith("mixing: 2 runs of ")
    assert lines[2].split()[:5] == ["component", "type", "runs", "expected", "drawn"]
    assert lines[3].split()[:4] == ["cosmic", "2", "2", "240.0"]
    assert (folder / "out" / "mixing.json").is_file()
    assert f"Record: {folder / 'out' / 'mixing.json'}" in result.stdout


def test_a_machine_may_read_the_answer(bkgpipe, config, folder):
    result = bkgpipe(
        *("simulate", "mixing", folder / "out", "--config", config, "--json"),
        *("--set", "component:cosmic.rate=0", "--workers", "2"),
    )

    answer = json.loads(result.stdout)
    assert (answer["method"], answer["runs"]) == ("mixing", 2)
    (total,) = answer["components"]
    assert (total["expected"], total["drawn"], total["p_value"]) == (0.0, 0, None)


def test_problems_are_one_error(bkgpipe, config, folder):
    result = bkgpipe(
        *("simulate", "mixing", folder / "out", "--config", config),
        *("--set", "mixing.runs=1001 5", "--set", "mixing.keep_events=true"),
    )

    assert result.exit_code == 2
    assert "[mixing] runs: 5 is not in the store" in result.stderr
    assert "keep_events, but" in result.stderr
    assert not (folder / "out").exists()
