"""Damaged events files: what is said of each, and that all other runs go on.

All cases are runs of one store and of one production: none may disturb another.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import luigi
import numpy as np
import pytest
from click.testing import CliRunner
from spoilt import RUNS

from bkgpipe.chain.inputs import forget
from bkgpipe.cli.check import check_settings
from bkgpipe.cli.main import main
from bkgpipe.settings import read_settings, settings_template
from bkgpipe.simulate.archive.data import Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.count.files import COUNTS

_FIRST = 1001


_OBS_IDS = {name: _FIRST + i for i, name in enumerate(RUNS)}
# the last runs are whole
_WHOLE = range(_FIRST + len(RUNS), _FIRST + len(RUNS) + 6)


class Outcome(NamedTuple):
    """What a production made of the store."""

    exit_code: int
    refused: dict[int, str]
    counts: dict[int, RunCounts]
    before: dict[int, RunCounts]
    models: list[str]
    stderr: str
    problems: tuple[str, ...]


def _call(*words: str) -> tuple[int, dict[str, Any], str]:
    forget()
    luigi.configuration.get_config().reload()
    result = CliRunner().invoke(main, [*words, "--json"], catch_exceptions=False)
    (line,) = [line for line in result.stdout.splitlines() if line[:1] == "{"]
    return result.exit_code, json.loads(line), result.stderr


def _read_counts() -> dict[int, RunCounts]:
    found: dict[int, RunCounts] = {}
    for path in sorted(Path("out").glob("count-*/count_*.h5")):
        found |= COUNTS.read(path).records
    return found


def _leave_logging(*, verbose: bool) -> None:
    """Stand in for `set_up_logging`."""


@pytest.fixture(scope="module")
def outcome(tmp_path_factory: pytest.TempPathFactory) -> Outcome:
    folder = tmp_path_factory.mktemp("damage")
    n_runs = len(RUNS) + len(_WHOLE)
    simulation = Simulation(n_runs=n_runs, first_obs_id=_FIRST, duration=60, seed=5)
    # without checksums, which would show every change before it is looked at
    with pytest.MonkeyPatch.context() as plain:
        plain.setattr("bkgpipe.store.fits_file.with_sums", bytes)
        write_simulated_store(folder / "store", simulation=simulation, truth=Truth())
    given = {
        "data.store": "store",
        "data.output": "out",
        "data.chunk_size": "20",
        "mask.catalogs": "",
        "binning.per_decade": "3",
        "binning.fov_bins": "10",
        "binning.offset_bins": "5",
        "smooth.method": "gaussian",
        "stack.min_hours": "0 h",
        "stack.min_counts": "0",
        "stack.zenith_edges": "0, 90 deg",
        "stack.azimuth_edges": "0, 360 deg",
        "select.min_livetime": "0 min",
    }
    (folder / "luigi.cfg").write_text(settings_template(given))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("bkgpipe.cli.logs.set_up_logging", _leave_logging)
        patch.delenv("GAMMAPY_DATA", raising=False)
        assert _call("run", "count")[0] == 0
        before = _read_counts()
        shutil.rmtree("out")
        for name, case in RUNS.items():
            case.spoil(folder / "store", _OBS_IDS[name])
        forget()
        problems = check_settings(read_settings(Path("luigi.cfg"))).problems
        exit_code, answer, stderr = _call("run", "export")
        refused = {int(key): told for key, told in answer["runs"]["refused"].items()}
        allowed, again, _ = _call("run", "export", "--set", "run.allow_refused=true")
        assert (allowed, again["runs"]) == (0, answer["runs"])
        counts = _read_counts()
    forget()
    return Outcome(
        exit_code, refused, counts, before, answer["models"], stderr, problems
    )


@pytest.mark.parametrize("name", [name for name, case in RUNS.items() if case.told])
def test_a_run_is_refused_in_words(outcome: Outcome, name: str):
    obs_id = _OBS_IDS[name]

    told = outcome.refused[obs_id]

    assert re.search(RUNS[name].told, told), told
    assert told.startswith((f"run {obs_id} (", f"run {obs_id}: "))
    assert told.count(f"run {obs_id}") == 1
    assert ".." not in told.replace("../", "")
    assert (obs_id in outcome.counts) == RUNS[name].is_counted


def test_check_names_the_same_runs_in_the_same_words(outcome: Outcome):
    assert sorted(outcome.problems) == sorted(outcome.refused.values())


@pytest.mark.parametrize("name", [n for n, case in RUNS.items() if not case.told])
def test_a_run_is_used_all_the_same(outcome: Outcome, name: str):
    obs_id, case = _OBS_IDS[name], RUNS[name]

    assert obs_id not in outcome.refused, outcome.refused[obs_id]
    found, expected = outcome.counts[obs_id], outcome.before[obs_id]
    assert found.ontime == pytest.approx(expected.ontime, abs=1e-3)
    if case.n_gone:
        assert found.conservation.n_read == found.counts_3d.sum() == 0
        return
    assert found.conservation.n_read == expected.conservation.n_read
    assert found.conservation.n_invalid == case.n_invalid
    moved = np.abs(found.counts_3d - expected.counts_3d).sum()
    # energies as words or in another unit may round to the other side of an edge
    assert moved <= case.n_invalid + 2


def test_all_others_go_on(outcome: Outcome):
    assert outcome.exit_code == 1
    assert "could not be used" in outcome.stderr
    assert "Traceback" not in outcome.stderr
    refused = {_OBS_IDS[name] for name, case in RUNS.items() if case.told}
    assert outcome.refused.keys() == refused
    counted = {_OBS_IDS[name] for name, case in RUNS.items() if case.is_counted}
    every = set(_OBS_IDS.values()) | set(_WHOLE)
    assert outcome.counts.keys() == every - refused | counted
    assert len(outcome.models) == 2 * len(every - refused)
    for obs_id in _WHOLE:
        found, expected = outcome.counts[obs_id], outcome.before[obs_id]
        np.testing.assert_array_equal(found.counts_3d, expected.counts_3d)
        assert found.checksum == expected.checksum
