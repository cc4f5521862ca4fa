from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.mask.files import MASKS


def _make_mask(obs_id: int, n_regions: int, n_pixels: int) -> ExclusionMask:
    return ExclusionMask(
        obs_id=obs_id,
        nside=2048,
        excluded_pixels=np.arange(n_pixels) * 3 + 30_000_000,
        region_names=tuple(f"source {number}" for number in range(n_regions)),
        region_origins=("gammacat",) * n_regions,
        region_circles=np.arange(4.0 * n_regions).reshape(n_regions, 4),
        region_capped=np.arange(n_regions) % 2 == 0,
    )


@pytest.mark.parametrize(
    ("n_regions", "n_pixels"),
    [(2, 5), (0, 0), (3000, 7000)],
    ids=["few", "nothing excluded", "more text than an attribute holds"],
)
def test_masks_come_back(
    tmp_path: Path, header: ProductHeader, n_regions: int, n_pixels: int
) -> None:
    path = tmp_path / "mask_0.h5"
    expected = _make_mask(7, n_regions, n_pixels)

    MASKS.write(path, header, Chunk(records={7: expected}, refused={8: "no pointing"}))
    chunk = MASKS.read(path)

    found = chunk.records[7]
    assert chunk.refused == {8: "no pointing"}
    assert (found.obs_id, found.nside) == (7, 2048)
    assert found.region_names == expected.region_names
    assert found.region_origins == expected.region_origins
    for name in ("excluded_pixels", "region_circles", "region_capped"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    assert found.excluded_pixels.dtype == np.int64


def test_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "mask_0.h5"
    path.write_bytes(b"")
    with pytest.raises(DamagedFileError, match=r"mask_0\.h5: .*Run the stage again"):
        MASKS.read(path)
