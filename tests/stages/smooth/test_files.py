from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.data import Conditions


def test_rates_come_back(
    tmp_path: Path, header: ProductHeader, binning: Binning
) -> None:
    path = tmp_path / "smooth_0.h5"
    rng = np.random.default_rng(2)
    model = RateModel(
        stack_id=3,
        binning=binning,
        method="gaussian",
        rate_3d=rng.random(binning.shape_3d) * 1e-7,
        exposure_3d=rng.random(binning.shape_3d),
        rate_2d=np.zeros(binning.shape_2d),
        exposure_2d=rng.random(binning.shape_2d),
        n_runs=2,
        livetime=3000.0,
        conditions=Conditions(
            zenith=1.0, azimuth=2.0, cos_zenith=3.0, deadc=4.0, muon_efficiency=5.0
        ),
        error_3d=rng.random(binning.shape_3d),
        error_2d=np.empty(0),
        systematic=0.07,
    )

    MODELS.write(path, header, Chunk(records={3: model}))
    found = MODELS.read(path).records[3]

    assert (found.stack_id, found.method, found.n_runs) == (3, "gaussian", 2)
    assert found.conditions == model.conditions
    assert found.systematic == 0.07
    arrays = ("rate_3d", "exposure_3d", "rate_2d", "exposure_2d")
    for name in (*arrays, "error_3d", "error_2d"):
        np.testing.assert_array_equal(getattr(found, name), getattr(model, name))


def test_damaged_file(tmp_path: Path) -> None:
    path = tmp_path / "smooth_0.h5"
    path.write_bytes(b"\x89HDF")
    with pytest.raises(DamagedFileError, match=r"smooth_0\.h5: .*Run the stage again"):
        MODELS.read(path)
