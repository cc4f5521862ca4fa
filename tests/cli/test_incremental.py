"""What a change of the store repeats, and that `plan` says so beforehand."""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from astropy.table import Table

from bkgpipe.stages.rank.files import RANKINGS
from bkgpipe.stages.stack.files import read_groups

_RUNS = [1001, 1002, 1003, 1004, 1005, 1006, 1007, 1008]
_ONCE = {"runs.ecsv", "store.json", "index.html", "production.json"}
_PRODUCTS = (".h5", ".ecsv", ".json", ".html")
# what goes with its product: tables with the store, pages with the report's index
_BESIDE = re.compile(r"(.*/)?bg_|report-[^/]*/(?!index\.html)|contents\.json")


def _products(made: set[str]) -> set[str]:
    return {
        name for name in made if name.endswith(_PRODUCTS) and not _BESIDE.match(name)
    }


class Archive:
    """A store of which runs come and go, with a production of it."""

    def __init__(self, folder: Path, bkgpipe, find_events) -> None:
        self.out = folder / "out"
        self._index = folder / "store" / "obs-index.fits.gz"
        self._whole = Table.read(self._index)
        self._bkgpipe = bkgpipe
        self._find_events = find_events

    def keep(self, *obs_ids: int) -> None:
        kept = self._whole[[obs_id in obs_ids for obs_id in self._whole["OBS_ID"]]]
        for key in ("CHECKSUM", "DATASUM"):  # of what it was
            kept.meta.pop(key, None)
        kept.write(self._index, overwrite=True)

    def change(self, obs_id: int) -> None:
        """Write the same events in other bytes."""
        path = self._find_events(self._index.parent, obs_id)
        content = path.read_bytes()
        is_packed = content.startswith(b"\x1f\x8b")
        plain = gzip.decompress(content) if is_packed else content
        level = 1 if gzip.compress(plain, 1) != content else 2
        path.write_bytes(gzip.compress(plain, level))

    def plan(self) -> list[dict[str, object]]:
        answer = json.loads(self._bkgpipe("plan", "--json").stdout)
        return list(answer["to_do"])

    def run(self) -> set[str]:
        """Run; return the names of the products made, having checked the plan."""
        planned = self.plan()
        before = _look(self.out)
        result = self._bkgpipe("run")
        assert result.exit_code == 0, result.output
        made = {
            name for name, seen in _look(self.out).items() if before.get(name) != seen
        }
        products = _products(made)
        certain = {str(each["file"]) for each in planned if each["certain"]}
        assert certain <= products <= {str(each["file"]) for each in planned}
        assert self.plan() == []
        return {name.rpartition("/")[2] for name in made if not _BESIDE.match(name)}


def _look(out: Path) -> dict[str, tuple[int, int]]:
    paths = [path for path in out.rglob("*") if path.is_file()] if out.exists() else []
    return {
        str(path.relative_to(out)): (path.stat().st_ino, path.stat().st_mtime_ns)
        for path in paths
        if path.parent.name != "settings"
    }


def _chunks(*stages: str, of: int) -> set[str]:
    return {f"{stage}_{of}.h5" for stage in stages}


@pytest.fixture
def made_of_seven(folder: Path, bkgpipe, find_events) -> Callable[..., Archive]:
    """Make a production of all runs but 1007."""

    def make(**changes: str) -> Archive:
        values = [f"{key.replace('__', '.')}={text}" for key, text in changes.items()]

        def command(*words: str):
            overrides = [word for value in values for word in ("--set", value)]
            return bkgpipe(*words, *overrides)

        found = Archive(folder, command, find_events)
        found.keep(*(obs_id for obs_id in _RUNS if obs_id != 1007))
        found.run()
        return found

    return make


def test_own_models_repeat_the_chunk_of_a_run_only(made_of_seven):
    own = made_of_seven(stack__strategy="own", data__chunk_size="2")
    stages = ("mask", "count", "stack", "smooth", "nodes", "export")

    own.keep(*_RUNS)
    made = own.run()
    assert _products(made) == _ONCE | _chunks(*stages, of=503)
    assert {"bkg_3d_1006.fits", "bkg_3d_1007.fits"} <= made
    assert "bkg_3d_1008.fits" not in made

    own.keep(*(obs_id for obs_id in _RUNS if obs_id != 1003))
    # mask and count of a run that was withdrawn stay, for who takes it again
    assert _products(own.run()) == _ONCE | _chunks(*stages[2:], of=501)
    assert not list(own.out.rglob("*_1003.fits"))

    own.change(1005)
    made = own.run()
    assert _products(made) == _ONCE | _chunks(*stages, of=502)
    assert "run_1004.fits" in made
    assert "run_1008.fits" not in made


def test_a_regression_is_fitted_again_when_its_runs_change(made_of_seven):
    fit = made_of_seven(
        smooth__method="regression",
        binning__per_decade="5",
        data__chunk_size="2",
        export__obs_ids="1001, 1002",
        select__conditions="OBS_ID != 1001, OBS_ID != 1007",
    )
    stages = ("smooth", "nodes", "export")
    of_all = _chunks(*stages, of=500) | _chunks(*stages, of=501)

    # a run that is neither in the fit nor gets a model changes neither
    fit.keep(*_RUNS)
    assert _products(fit.run()) == _ONCE

    # one that only gets a model leaves the fit and other chunks alone
    fit.change(1001)
    assert _products(fit.run()) == _ONCE | _chunks("mask", "count", *stages, of=500)

    fit.keep(*(obs_id for obs_id in _RUNS if obs_id != 1006))
    made = _products(fit.run())
    assert made == _ONCE | of_all | {"fit.h5"}


def test_groups_without_changed_runs_keep_their_models(made_of_seven):
    groups = made_of_seven(stack__strategy="groups", data__chunk_size="1")
    once = _ONCE | {"groups.ecsv", "stack_0.h5", "smooth_0.h5", "nodes_0.h5"}

    for change, obs_id in (("new", 1007), ("touched", 1004), ("gone", 1004)):
        if change == "touched":
            groups.change(obs_id)
        else:
            groups.keep(*(each for each in _RUNS if change != "gone" or each != obs_id))
        mates = _find_mates(groups.out, obs_id)
        made = groups.run()
        mates |= _find_mates(groups.out, obs_id)

        present = set() if change == "gone" else {obs_id}
        exported = {int(name[7:-3]) for name in made if name.startswith("export_")}
        if change != "touched":
            assert exported == mates - {obs_id} | present
        assert 0 < len(exported) < 7
        assert present <= exported
        counted = {
            f"{stage}_{each}.h5" for stage in ("mask", "count") for each in present
        }
        assert _products(made) == once | counted | {
            f"export_{each}.h5" for each in exported
        }
        written = {int(name[7:11]) for name in made if name.startswith("bkg_3d_1")}
        assert written == exported


def _find_mates(out: Path, obs_id: int) -> set[int]:
    """Runs that share a group with a run, itself among them."""
    (path,) = out.glob("stack-*/groups.ecsv")
    groups = [set(group.obs_ids.tolist()) for group in read_groups(path)]
    return next((group for group in groups if obs_id in group), set())


def test_a_ranking_that_takes_the_same_runs_keeps_its_stack(made_of_seven):
    ranked = made_of_seven(stack__strategy="ranked", data__chunk_size="1")
    after = ("stack", "smooth", "nodes", "export")
    spared = 0

    for gone in ((), (1003,)):
        before = _read_taken(ranked.out)
        ranked.keep(*(obs_id for obs_id in _RUNS if obs_id not in gone))
        made = ranked.run()

        taken = _read_taken(ranked.out)
        changed = {each for each in taken if taken[each] != before.get(each)} - {*gone}
        spared += len(taken) - len(changed)
        expected = {f"rank_{each}.h5" for each in taken if each not in gone}
        expected |= {f"{stage}_{each}.h5" for stage in after for each in changed}
        if not gone:
            expected |= _chunks("mask", "count", of=1007)
        assert _products(made) == _ONCE | {"candidates.h5"} | expected
    assert spared > 0


def _read_taken(out: Path) -> dict[int, dict[int, float]]:
    return {
        obs_id: ranking.scales
        for path in out.glob("rank-*/rank_*.h5")
        for obs_id, ranking in RANKINGS.read(path).records.items()
    }


def test_a_run_whose_events_changed_repeats_the_stacks_that_take_it(made_of_seven):
    ranked = made_of_seven(stack__strategy="ranked", data__chunk_size="1")
    takers = {each for each, taken in _read_taken(ranked.out).items() if 1002 in taken}

    ranked.change(1002)
    made = ranked.run()

    exported = {int(name[7:-3]) for name in made if name.startswith("export_")}
    assert exported == takers | {1002}
    assert 0 < len(takers) < 6


def test_a_chunk_without_runs_is_used_no_more(made_of_seven):
    own = made_of_seven(stack__strategy="own", data__chunk_size="1")

    own.keep(1001, 1002, 1004)
    own.run()

    (index,) = own.out.glob("export-*/store/obs-index.fits.gz")
    assert list(Table.read(index)["OBS_ID"]) == [1001, 1002, 1004]
    (record,) = own.out.glob("production.json")
    summary = json.loads(record.read_text())["summary"]
    assert summary["n_used"] == 3
    assert len(summary["models"]) == 6
    (export,) = own.out.glob("export-*")
    assert len(list((export / "store" / "data").iterdir())) == 3


@pytest.mark.parametrize(
    "name",
    [
        "report-*/index.html",
        "export-*/store.json",
        "export-*/store/models/bkg_2d_1002.fits",
        "export-*/store/data/run_1004.fits",
        "export-*/store/hdu-index.fits.gz",
        "export-*/groups/group_1_table.fits.gz",
        "export-*/bg_observation_groups.ecsv",
    ],
)
def test_what_was_deleted_is_made_again(made, bkgpipe, name):
    folder = made
    (path,) = (folder / "out").glob(name)
    content = path.read_bytes()
    path.unlink()
    planned = json.loads(bkgpipe("plan", "--json").stdout)["to_do"]
    before = _look(folder / "out")

    result = bkgpipe("run")

    assert result.exit_code == 0
    assert "Nothing to do." not in result.stdout
    assert len(path.read_bytes()) == pytest.approx(len(content), abs=200)
    after = _look(folder / "out")
    checked = _products({each for each in after if before.get(each) != after[each]})
    assert checked == {str(each["file"]) for each in planned}
    assert len(checked) == 1
    assert bkgpipe("run").stdout.startswith("Nothing to do.")


def test_a_deleted_checkpoint_is_not_missed_while_what_it_led_to_is_there(
    made, bkgpipe
):
    folder = made
    for path in (folder / "out").glob("*/*_334.h5"):
        if not path.name.startswith("export"):
            path.unlink()

    assert bkgpipe("run").stdout.startswith("Nothing to do.")
    assert json.loads(bkgpipe("plan", "--json").stdout)["to_do"] == []

    (folder / "out" / "production.json").unlink()
    planned = json.loads(bkgpipe("plan", "--json").stdout)["to_do"]
    names = {str(each["file"]).rpartition("/")[2] for each in planned}
    assert names == {"mask_334.h5", "count_334.h5", "production.json"}
    assert bkgpipe("run").exit_code == 0
    record = json.loads((folder / "out" / "production.json").read_text())
    assert record["summary"]["n_used"] == 8
