from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.flow.count import AllCounts
from bkgpipe.stages.count.files import COUNTS


@pytest.fixture
def count(production, build):
    """Count with some settings; return the products and reasons of all runs."""

    def run(**changes: str):
        task = production(data__chunk_size="100", **changes)
        assert build(task.sibling(AllCounts))
        (path,) = task.settings.folder("count").glob("count_*.h5")
        return COUNTS.read(path)

    return run


@pytest.fixture
def without_table(tmp_path):
    """Take the safe energies out of the observation table."""

    def drop() -> None:
        path = tmp_path / "store" / "obs-index.fits.gz"
        with fits.open(path) as hdus:
            hdus[1].data["SAFE_ENERGY_LO"] = np.nan
            hdus.writeto(path, overwrite=True)

    return drop


@pytest.mark.parametrize(
    ("changes", "origin"),
    [
        ({"count__safe_energy_min": "1 TeV"}, "setting"),
        ({"count__safe_energy": "auto"}, "table"),
        ({"count__safe_energy": "table"}, "table"),
        ({"count__safe_energy": "aeff"}, "aeff"),
        ({"count__safe_energy": "none"}, "none"),
    ],
)
def test_origin_of_the_safe_energy(count, changes, origin):
    chunk = count(**changes)

    assert len(chunk.records) == 8
    for counts in chunk.records.values():
        assert counts.safe_energy_origin == origin
        assert not counts.safe_counts_3d[~counts.is_safe].any()
        where = counts.conservation
        assert counts.counts_3d.sum() == where.n_below_safe + where.n_kept
        assert (counts.safe_energy_min > 0) == (origin != "none")


@pytest.mark.parametrize(("word", "origin"), [("auto", "aeff"), ("none", "none")])
def test_a_store_without_safe_energies(count, without_table, word, origin):
    without_table()

    chunk = count(count__safe_energy=word)

    assert {each.safe_energy_origin for each in chunk.records.values()} == {origin}


def test_a_safe_energy_that_is_not_there_refuses_the_run(count, without_table):
    without_table()

    chunk = count(count__safe_energy="table")

    assert chunk.records == {}
    assert len(chunk.refused) == 8
    assert chunk.refused[1001] == (
        "run 1001: has no safe energy from [count] safe_energy = table. "
        "Set [count] safe_energy = auto, or safe_energy_min."
    )


def test_exposure_from_events_changes_nothing_but_the_exposure(count):
    geometry = count().records
    events = count(count__exposure="events").records

    assert geometry.keys() == events.keys()
    for obs_id, one in geometry.items():
        other = events[obs_id]
        np.testing.assert_array_equal(one.counts_3d, other.counts_3d)
        np.testing.assert_array_equal(one.counts_2d, other.counts_2d)
        assert repr(one.control) == repr(other.control)
        np.testing.assert_array_equal(
            one.mask_effect.solid_angle_2d, other.mask_effect.solid_angle_2d
        )
    # the source in each field has more events than its part of the field
    kept = [
        np.mean([counts.kept_fraction for counts in records.values()])
        for records in (geometry, events)
    ]
    assert kept[1] < kept[0] - 0.01


def test_events_outside_good_time_are_not_counted(
    count, tmp_path, halve_good_time, caplog
):
    whole = count().records
    for number in (1002, 1007):
        (path,) = (tmp_path / "store" / "data").glob(f"*{number}*")
        halve_good_time(path)

    found = count().records

    for obs_id, run in found.items():
        is_cut = obs_id in {1002, 1007}
        assert bool(run.conservation.n_outside_time) == is_cut
        assert run.conservation.n_lost == 0
        assert run.clock.is_doubtful == is_cut
        assert (f"Run {obs_id}: its times differ by up to 100" in caplog.text) == is_cut
        rates = [each.counts_2d.sum() / each.livetime for each in (run, whole[obs_id])]
        assert rates[0] == pytest.approx(rates[1], rel=0.15)
