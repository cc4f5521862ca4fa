from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.core.clock import Clock
from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.errors import DamagedFileError, InputError
from bkgpipe.stages.count.data import Conservation, MaskEffect, RunCounts
from bkgpipe.stages.count.files import (
    COUNTS,
    read_each,
    read_heads,
    read_mask_effects,
    read_shapes,
    read_tallies,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "count_0.h5"


@pytest.fixture
def written(
    path: Path, header: ProductHeader, make_counts: Callable[[int], RunCounts]
) -> Path:
    records = {obs_id: make_counts(obs_id) for obs_id in (7, 8)}
    COUNTS.write(path, header, Chunk(records=records, refused={9: "no events"}))
    return path


def test_counts_come_back(
    written: Path, make_counts: Callable[[int], RunCounts]
) -> None:
    chunk = COUNTS.read(written)

    found, expected = chunk.records[8], make_counts(8)
    assert chunk.refused == {9: "no events"}
    for name in ("counts_3d", "counts_2d", "solid_angle_3d", "solid_angle_2d"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_array_equal(found.is_safe, expected.is_safe)
    assert found.is_safe.dtype == bool
    assert repr(found.control) == repr(expected.control)
    assert found.exposure_3d.sum() == expected.exposure_3d.sum()
    found.binning.require_same(expected.binning, where="test")


def test_run_counts_are_those_of_the_chunk(written: Path) -> None:
    found = COUNTS.read_one(written, 8)

    expected = COUNTS.read(written).records[8]
    assert found.obs_id == 8
    np.testing.assert_array_equal(found.counts_3d, expected.counts_3d)


def test_refused_run_says_why(written: Path) -> None:
    with pytest.raises(InputError, match=r"count_0\.h5: .*no events.*Leave it out"):
        COUNTS.read_one(written, 9)


def test_shapes_are_those_of_the_counts(written: Path) -> None:
    chunk = read_shapes(written)

    assert chunk.refused == {9: "no events"}
    for obs_id, counts in COUNTS.read(written).records.items():
        found, expected = chunk.records[obs_id], counts.shape
        assert repr(found.run) == repr(expected.run)
        assert found.livetime == expected.livetime
        assert found.kept_fraction == expected.kept_fraction
        np.testing.assert_array_equal(found.counts_2d, expected.counts_2d)
        np.testing.assert_array_equal(found.exposure_2d, expected.exposure_2d)
        assert counts.counts_2d[~counts.is_safe].any()
        assert not found.counts_2d[~counts.is_safe].any()


def test_shapes_do_not_read_the_cubes(written: Path) -> None:
    with h5py.File(written, "r+") as file:
        del file["records/counts_3d"]

    assert read_shapes(written).records[7].n_events > 0
    with pytest.raises(DamagedFileError, match="Run the stage again"):
        COUNTS.read(written)


def test_heads_are_the_counts_without_the_cubes(written: Path) -> None:
    chunk = read_heads(written)

    assert chunk.refused == {9: "no events"}
    for obs_id, counts in COUNTS.read(written).records.items():
        head = chunk.records[obs_id]
        assert head.control.counts_outer == counts.control.counts_outer
        assert head.position_angle == counts.position_angle
        np.testing.assert_array_equal(head.is_safe, counts.is_safe)
        assert head.counts_3d.shape == counts.counts_3d.shape
        assert not head.counts_3d.any()
        assert not head.solid_angle_3d.any()


def test_tallies_are_those_of_the_counts(written: Path) -> None:
    found = read_tallies(written)

    counts = COUNTS.read(written).records
    assert found == {obs_id: run.tally for obs_id, run in counts.items()}
    assert found[8].conservation == Conservation(n_read=10, n_invalid=1, n_kept=9)
    assert found[8].n_events == counts[8].safe_counts_2d.sum() > 0
    assert found[8].kept_fraction == counts[8].kept_fraction
    assert found[8].has_exposure is True


def test_empty_and_fully_masked_run(
    path: Path, header: ProductHeader, make_counts: Callable[[int], RunCounts]
) -> None:
    counts = make_counts(7)
    empty = replace(
        counts,
        counts_3d=np.zeros_like(counts.counts_3d),
        counts_2d=np.zeros_like(counts.counts_2d),
        solid_angle_3d=np.zeros_like(counts.solid_angle_3d),
        solid_angle_2d=np.zeros_like(counts.solid_angle_2d),
        conservation=Conservation(),
    )

    COUNTS.write(path, header, Chunk(records={7: empty}))

    found = COUNTS.read(path).records[7]
    assert found.counts_3d.sum() == 0
    assert found.kept_fraction == 0.0
    assert read_shapes(path).records[7].n_events == 0


def test_single_bin(
    path: Path, header: ProductHeader, make_counts: Callable[[int], RunCounts]
) -> None:
    edges = np.array([1.0, 2.0])
    binning = Binning(
        energy_edges=edges,
        fov_lon_edges=edges,
        fov_lat_edges=edges,
        offset_edges=edges - 1.0,
    )
    single = replace(
        make_counts(7),
        binning=binning,
        counts_3d=np.array([[[3]]]),
        counts_2d=np.array([[3]]),
        solid_angle_3d=np.array([[1e-4]]),
        solid_angle_2d=np.array([1e-4]),
        is_safe=np.array([True]),
    )

    COUNTS.write(path, header, Chunk(records={7: single}))

    assert COUNTS.read(path).records[7].counts_3d.tolist() == [[[3]]]
    assert read_shapes(path).records[7].n_events == 3


def test_damaged_file(path: Path) -> None:
    for read in (COUNTS.read, read_shapes, read_tallies):
        with pytest.raises(DamagedFileError, match=r"count_0\.h5: .*Run the stage"):
            read(path)


def test_mask_effects_come_back(
    path: Path, header: ProductHeader, make_counts: Callable[[int], RunCounts]
) -> None:
    counts = make_counts(7)
    effect = MaskEffect(
        events_3d=counts.counts_3d.sum(axis=0) + 3,
        events_2d=counts.counts_2d.sum(axis=0) + 2,
        solid_angle_2d=counts.solid_angle_2d,
    )
    COUNTS.write(path, header, Chunk(records={7: replace(counts, mask_effect=effect)}))

    (found,) = read_mask_effects(path).records.values()

    assert sorted(found) == ["binning", "counts_2d", "is_safe", "mask_effect", "run"]
    assert found["run"].obs_id == 7
    np.testing.assert_array_equal(found["counts_2d"], counts.counts_2d)
    np.testing.assert_array_equal(found["is_safe"], counts.is_safe)
    for name in ("events_3d", "events_2d", "solid_angle_2d"):
        np.testing.assert_array_equal(
            getattr(found["mask_effect"], name), getattr(effect, name)
        )


def test_some_runs_of_a_file(written):
    found = COUNTS.read(written, keys=[8])

    assert list(found.records) == [8]
    whole = COUNTS.read_one(written, 8)
    np.testing.assert_array_equal(found.records[8].counts_3d, whole.counts_3d)
    np.testing.assert_array_equal(found.records[8].solid_angle_2d, whole.solid_angle_2d)
    assert found.records[8].checksum == whole.checksum


def test_many_runs_come_in_the_order_asked_for(tmp_path, header, make_counts):
    places = []
    for number, obs_ids in ((0, range(1, 11)), (1, (12, 11))):
        path = tmp_path / f"count_{number}.h5"
        records = {obs_id: make_counts(obs_id) for obs_id in obs_ids}
        COUNTS.write(path, header, Chunk(records=records))
        places += [(path, obs_id) for obs_id in obs_ids]

    found = list(read_each(places))

    assert [run.obs_id for run in found] == [*range(1, 11), 12, 11]
    for run, (_, obs_id) in zip(found, places, strict=True):
        np.testing.assert_array_equal(run.counts_3d, make_counts(obs_id).counts_3d)


def test_a_run_that_is_not_there(written):
    with pytest.raises(InputError, match="has no record 9"):
        list(read_each([(written, 9)]))


def test_the_clock_comes_back(path, header, make_counts):
    clock = Clock(ontime=1600.0, good_time=800.0)
    counts = replace(make_counts(7), clock=clock)

    COUNTS.write(path, header, Chunk(records={7: counts, 8: make_counts(8)}))

    for found in (COUNTS.read(path).records, read_tallies(path)):
        assert repr(found[7].clock) == repr(clock)
        assert found[7].clock.is_doubtful
        assert not found[8].clock.is_doubtful
