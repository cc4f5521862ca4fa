from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from click.testing import Result

from bkgpipe.simulate.archive.data import Simulation
from bkgpipe.simulate.archive.make import write_simulated_store
from bkgpipe.simulate.archive.truth_data import Truth
from bkgpipe.store.store import read_events, read_runs

Call = Callable[..., Result]

_BINS = ("--time-bin", "1 min", "--energy-edges", "0.01, 0.6, 200 TeV")


@pytest.fixture(scope="module")
def cloudy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Store of 12 runs: a cloud in 1003, a burst in 1005, a gap in 1007, 1009 dim."""
    store = tmp_path_factory.mktemp("cloudy") / "store"
    truth = Truth()
    simulation = Simulation(n_runs=12, first_obs_id=1001, duration=1500, seed=2)
    write_simulated_store(store, simulation=simulation, truth=truth)
    rng = np.random.default_rng(1)
    factors = {
        1003: lambda minutes: np.where(abs(minutes - 12.5) < 2.5, 0.6, 1.0),
        1005: lambda minutes: np.where(abs(minutes - 4.0) < 2.0, 1.0, 0.6),
        1007: lambda minutes: np.where(minutes < 20, 1.0, 0.0),
        1009: lambda minutes: np.full(minutes.shape, 0.4),
    }
    for run in read_runs(store).runs:
        if run.obs_id in factors:
            events, _ = read_events(store, run)
            share = factors[run.obs_id]((events.time - run.time_start) * 1440)
            kept = rng.uniform(size=events.n_events) < share
            _keep_events(store / run.events_file, kept)
    return store


def _keep_events(path: Path, kept: np.ndarray) -> None:
    with fits.open(path) as hdus:
        copies = [hdu.copy() for hdu in hdus]
    (events,) = (hdu for hdu in copies if hdu.name == "EVENTS")
    events.data = events.data[kept]
    fits.HDUList(copies).writeto(path, overwrite=True, checksum=True)


def _answer(result: Result) -> dict[str, object]:
    assert result.exit_code == 0, result.output
    return dict(json.loads(result.stdout))


def test_what_was_put_in_is_found(bkgpipe: Call, cloudy: Path, tmp_path: Path) -> None:
    table, rates, plot = (tmp_path / name for name in ("a.ecsv", "b.ecsv", "c.png"))
    outputs = ("--table", table, "--rates", rates, "--plot", plot)
    answer = _answer(bkgpipe("monitor", cloudy, *_BINS, *outputs, "--json"))
    assert answer["runs"] == 12
    found = {change["obs_id"]: change for change in answer["changes"]}
    assert {key: change["kind"] for key, change in found.items()} == {
        1003: "drop",
        1005: "burst",
        1007: "gap",
    }
    cloud = found[1003]
    assert cloud["start_minute"] == pytest.approx(10, abs=1.01)
    assert cloud["stop_minute"] == pytest.approx(15, abs=1.01)
    assert cloud["change"] == pytest.approx(-0.4, abs=3 * cloud["error"])
    assert found[1005]["change"] == pytest.approx(2 / 3, abs=3 * found[1005]["error"])
    assert found[1007]["start_minute"] == pytest.approx(20, abs=0.1)
    assert found[1007]["stop_minute"] == pytest.approx(25, abs=1e-3)
    low = {level["obs_id"]: level for level in answer["levels"]["outliers"]}
    # simulated runs do not scatter: what drops for minutes is low as a whole as well
    assert set(low) == {1003, 1005, 1009}
    assert low[1009]["change"] == pytest.approx(-0.6, abs=0.05)
    kinds = ["drop", "burst", "gap", "low", "low", "low"]
    assert Table.read(table)["kind"].tolist() == kinds
    assert Table.read(rates)["counts"].sum() == answer["events"]
    assert plot.stat().st_size > 1000


def test_words_do_not_depend_on_the_workers(bkgpipe: Call, cloudy: Path) -> None:
    results = [
        bkgpipe("monitor", cloudy, *_BINS, "--workers", number) for number in "13"
    ]
    assert [result.exit_code for result in results] == [0, 0]
    assert results[0].stdout == results[1].stdout
    assert "1003" in results[0].stdout
    assert "1 run with drops, 1 run with bursts, 1 run with gaps" in results[0].stdout


def test_some_runs_alone_can_be_asked_for(bkgpipe: Call, cloudy: Path) -> None:
    answer = _answer(bkgpipe("monitor", cloudy, "--runs", "1001, 1007", "--json"))
    assert answer["runs"] == 2
    assert answer["levels"] == {"exponent": None, "scatter": None, "outliers": []}
    assert [change["obs_id"] for change in answer["changes"]] == [1007]


def test_a_store_of_links_may_lead_where_it_is_allowed_to(
    bkgpipe: Call, cloudy: Path, tmp_path: Path
) -> None:
    store, archive = tmp_path / "store", tmp_path / "archive"
    shutil.copytree(cloudy, store)
    (store / "data").rename(archive)
    (store / "data").symlink_to(archive)

    refused = bkgpipe("monitor", store, "--runs", "1002")
    allowed = bkgpipe("monitor", store, "--runs", "1002", "--allow", archive)

    assert refused.exit_code == 1
    assert f"{archive}/run_1002.fits.gz, outside the store. " in refused.stderr
    assert "Check the files of the store, --allow, " in refused.stderr
    assert allowed.exit_code == 0, allowed.output


def test_columns_of_mixed_events_do_not_matter(
    bkgpipe: Call, archive_copy: Path
) -> None:
    before = _answer(bkgpipe("monitor", archive_copy, "--json"))
    (path,) = (archive_copy / "data").glob("*1001*")
    with fits.open(path) as hdus:
        columns = [c for c in hdus["EVENTS"].columns if c.name != "BKG_TYPE"]
        kinds = np.arange(len(hdus["EVENTS"].data)) % 5
        columns.append(fits.Column(name="BKG_TYPE", format="I", array=kinds))
        header = hdus["EVENTS"].header
        events = fits.BinTableHDU.from_columns(columns, header=header)
        others = [hdu.copy() for hdu in hdus if hdu.name != "EVENTS"]
    changed = fits.HDUList([others[0], events, *others[1:]])
    changed.writeto(path, overwrite=True, checksum=True)
    assert _answer(bkgpipe("monitor", archive_copy, "--json")) == before


@pytest.fixture
def archive_copy(folder: Path) -> Path:
    return folder / "store"


def test_runs_that_cannot_be_read_are_left_out(
    bkgpipe: Call, archive_copy: Path, find_events: Callable[[Path, int], Path]
) -> None:
    find_events(archive_copy, 1002).unlink()
    path = find_events(archive_copy, 1004)
    path.write_bytes(path.read_bytes()[:500])
    _keep_events(find_events(archive_copy, 1006), np.empty(0, dtype=int))
    result = bkgpipe("monitor", archive_copy)
    assert result.exit_code == 0, result.output
    assert "Left out: 3 runs" in result.stdout
    reasons = result.stdout.split("Left out")[1].splitlines()[1:]
    assert [reason.split(":")[0].strip() for reason in reasons] == [
        "1002",
        "1004",
        "1006",
    ]
    assert "no event in the bins, of 0 in the file" in reasons[2]


def test_a_store_of_which_no_run_can_be_read_is_refused(
    bkgpipe: Call, archive_copy: Path
) -> None:
    result = bkgpipe("monitor", archive_copy, "--energy-edges", "500, 900 TeV")
    assert result.exit_code == 1
    assert "no run can be looked at" in result.stderr
    assert "--energy-edges" in result.stderr


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (("--time-bin", "2 deg"), 2, "--time-bin"),
        (("--time-bin", "0 s"), 2, "above zero"),
        (("--time-bin", "none"), 2, "above zero"),
        (("--min-gap", "long"), 2, "--min-gap"),
        (("--energy-edges", "1, 0.5 TeV"), 2, "increase"),
        (("--offset-edges", "-1, 2 deg"), 2, "from zero on"),
        (("--offset-edges", "2 deg"), 2, "two or more"),
        (("--runs", "1001, x"), 2, "run numbers"),
        (("--runs", "1001, 77"), 1, "77"),
        (("--time-bin", "1 ms"), 1, "time bins"),
    ],
)
def test_what_makes_no_sense_is_refused(
    bkgpipe: Call, archive_copy: Path, *, words: tuple[str, ...], code: int, told: str
) -> None:
    result = bkgpipe("monitor", archive_copy, *words)
    assert result.exit_code == code, result.output
    assert told in result.stderr


def test_real_runs_have_their_known_flaws(bkgpipe: Call, hess_store: Path) -> None:
    answer = _answer(bkgpipe("monitor", hess_store, "--json"))
    assert answer["runs"] == 105
    assert answer["left_out"] == {}
    found = {(change["obs_id"], change["kind"]) for change in answer["changes"]}
    # the events of 20283 end long before its good time does
    assert {(20283, "gap"), (20561, "drop"), (33790, "gap")} <= found
    assert len(found) < 8
    low = {level["obs_id"] for level in answer["levels"]["outliers"]}
    assert {23246, 29118} <= low
