from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.stages.rank.data import REASONS, Candidates, Ranking
from bkgpipe.stages.rank.files import CANDIDATES, RANKINGS


def _make_ranking(n_runs: int) -> Ranking:
    return Ranking(
        obs_id=7,
        obs_ids=np.arange(n_runs)[::-1] + 20_000_000_000,
        divergence=np.arange(n_runs) * 0.01,
        livetime=np.full(n_runs, 1500.0),
        scale=np.full(n_runs, 1.25),
        reason=(np.arange(n_runs) >= 2).astype(int),
        n_by_reason=np.arange(len(REASONS)),
        widened=1.5,
        is_short=n_runs < 2,
    )


@pytest.mark.parametrize("n_runs", [5, 1, 0])
def test_rankings_come_back(tmp_path: Path, header: ProductHeader, n_runs: int) -> None:
    path = tmp_path / "rank_0.h5"
    expected = _make_ranking(n_runs)

    RANKINGS.write(path, header, Chunk(records={7: expected}, refused={8: "short"}))
    chunk = RANKINGS.read(path)

    found = chunk.records[7]
    assert chunk.refused == {8: "short"}
    assert (found.obs_id, found.widened) == (7, 1.5)
    assert found.counted == expected.counted
    assert found.scales == expected.scales
    assert found.is_short is expected.is_short
    np.testing.assert_array_equal(found.taken, expected.taken)
    for name in ("obs_ids", "divergence", "livetime", "is_taken", "scale"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))


def test_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "rank_0.h5"
    path.write_bytes(b"x")
    with pytest.raises(DamagedFileError, match=r"rank_0\.h5: .*Run the stage again"):
        RANKINGS.read(path)


def test_candidates_come_back(tmp_path, header):
    path, rng = tmp_path / "candidates.h5", np.random.default_rng(4)
    names = [name for name in Candidates.__dataclass_fields__ if name[-3:] != "_2d"]
    expected = Candidates(
        counts_2d=rng.poisson(300.0, (7, 3, 2)),
        exposure_2d=rng.uniform(size=(7, 3, 2)).astype(np.float32),
        **{name: rng.integers(0, 2, 7) for name in names if name != "is_unfit"},
        is_unfit=np.arange(7) == 5,
    )

    CANDIDATES.write_one(path, header, expected)

    found = CANDIDATES.read_one(path)
    for name in Candidates.__dataclass_fields__:
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.exposure_2d.dtype == np.float32
    assert found.unfit == {int(expected.obs_ids[5])}
    path.write_bytes(path.read_bytes()[:-99])
    with pytest.raises(DamagedFileError, match=r"candidates\.h5"):
        CANDIDATES.read_one(path)
