from __future__ import annotations

import numpy as np
import pytest

from bkgpipe.flow.archive import read_archive
from bkgpipe.flow.count import AllCounts
from bkgpipe.stages.count.files import COUNTS


@pytest.fixture
def counts(production, build, tmp_path):
    """Tasks of all chunks of `count`, done; run 1003 has no file."""
    next((tmp_path / "store" / "data").glob("*1003*")).unlink()
    task = production(select__exclude_obs_ids="1005", export__obs_ids="1004, 1005")
    all_counts = task.sibling(AllCounts)
    assert build(all_counts)
    return all_counts.chunks()


def test_every_run_is_counted_or_refused(counts):
    archive = read_archive(counts, min_kept_fraction=0.2)

    assert sorted(archive.shapes) == [1001, 1002, 1004, 1005, 1006, 1007, 1008]
    assert set(archive.refused) == {1003}
    assert "1003" in archive.refused[1003]
    assert archive.unfit == {}


def test_runs_that_are_not_selected_are_no_candidates(counts):
    archive = read_archive(counts, min_kept_fraction=0.2)

    ids = [shape.obs_id for shape in archive.candidates]
    assert ids == [1001, 1002, 1004, 1006, 1007, 1008]


def test_runs_of_which_too_little_is_kept_are_no_candidates(counts):
    archive = read_archive(counts, min_kept_fraction=1.0)

    assert archive.candidates == []
    assert archive.unfit.keys() == archive.shapes.keys()
    assert all("keeps" in reason for reason in archive.unfit.values())


def test_shapes_are_those_of_the_counts(counts):
    archive = read_archive(counts, min_kept_fraction=0.2)

    whole = {
        i: run for each in counts for i, run in COUNTS.read(each.path).records.items()
    }
    assert archive.shapes.keys() == whole.keys()
    for obs_id, run in whole.items():
        shape = archive.shapes[obs_id]
        np.testing.assert_array_equal(shape.counts_2d, run.safe_counts_2d)
        np.testing.assert_allclose(shape.exposure_2d, run.safe_exposure_2d, rtol=1e-7)
        assert shape.n_events > 0
