from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.core.product import Chunk, ProductHeader
from bkgpipe.core.seal import Seal
from bkgpipe.errors import DamagedFileError
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.export.files import ENTRIES, NODES, read_seals, write_entries
from bkgpipe.stages.smooth.data import NodeModel
from bkgpipe.stages.stack.data import Conditions

_ENTRY = ExportEntry(
    obs_id=7,
    stack_id=2,
    bkg_3d="models/bkg_3d_7.fits",
    bkg_2d="",
    events="data/run_7.fits",
    n_runs=3,
    hours=1.25,
    deadc=0.9,
    n_filled_3d=12,
    n_filled_2d=0,
)
_SEALS = [
    Seal(name="store/models/bkg_3d_7.fits", size=5760, sha256="ab12"),
    Seal(name="store/data/run_7.fits", size=2**33, sha256="cd34"),
]


def test_entries_come_back(tmp_path: Path, header: ProductHeader) -> None:
    path = tmp_path / "export_0.h5"
    chunk = Chunk(
        records={7: _ENTRY, 9: replace(_ENTRY, obs_id=9, events="")},
        refused={8: "run 8: has no stack"},
    )

    write_entries(path, header, chunk, seals=_SEALS)
    found = ENTRIES.read(path)

    assert found.records == chunk.records
    assert found.refused == chunk.refused
    assert read_seals(path) == _SEALS


def test_node_models_come_back(
    tmp_path: Path, header: ProductHeader, binning: Binning
) -> None:
    path = tmp_path / "nodes_0.h5"
    rng = np.random.default_rng(4)
    model = NodeModel(
        stack_id=3,
        obs_id=-1,
        binning=binning,
        bkg_3d=rng.random(binning.shape_3d) * 1e-7,
        bkg_2d=rng.random(binning.shape_2d),
        n_filled_3d=5,
        n_filled_2d=0,
        fov_alignment="ALTAZ",
        n_runs=2,
        livetime=3000.0,
        conditions=Conditions(
            zenith=1.0, azimuth=2.0, cos_zenith=3.0, deadc=4.0, muon_efficiency=5.0
        ),
        error_3d=rng.random(binning.shape_3d),
        error_2d=rng.random(binning.shape_2d),
    )

    NODES.write(path, header, Chunk(records={3: model}, refused={4: "no events"}))
    chunk = NODES.read(path)

    found = chunk.records[3]
    assert chunk.refused == {4: "no events"}
    for name in ("stack_id", "obs_id", "fov_alignment", "n_filled_3d", "conditions"):
        assert getattr(found, name) == getattr(model, name)
    assert np.isnan(found.systematic)
    for name in ("bkg_3d", "bkg_2d", "error_3d", "error_2d"):
        np.testing.assert_array_equal(getattr(found, name), getattr(model, name))
    for name in ("energy", "fov_lon", "fov_lat", "offset"):
        np.testing.assert_array_equal(
            getattr(found.binning, f"{name}_edges"),
            getattr(binning, f"{name}_edges"),
        )


@pytest.mark.parametrize("read", [ENTRIES.read, NODES.read])
def test_damaged_file(tmp_path: Path, read) -> None:
    path = tmp_path / "export_0.h5"
    path.write_bytes(b"\x89HDF")
    with pytest.raises(DamagedFileError, match=r"export_0\.h5: .*Run the stage again"):
        read(path)


def test_a_file_of_another_kind_is_refused(
    tmp_path: Path, header: ProductHeader
) -> None:
    path = tmp_path / "export_0.h5"
    write_entries(path, header, Chunk(records={7: _ENTRY}), seals=_SEALS)

    with pytest.raises(DamagedFileError, match=r"export_0\.h5: "):
        NODES.read(path)


def test_a_chunk_without_runs(tmp_path: Path, header: ProductHeader) -> None:
    path = tmp_path / "export_0.h5"
    write_entries(path, header, Chunk(), seals=[])

    found = ENTRIES.read(path)

    assert (found.records, found.refused) == ({}, {})
    assert read_seals(path) == []
