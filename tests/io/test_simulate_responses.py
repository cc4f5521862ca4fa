from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.table import Table
from gammapy.irf import PSF3D, EffectiveAreaTable2D, EnergyDispersion2D

from bkgpipe.errors import InputError
from bkgpipe.io.simulate_responses import (
    BUILT_IN,
    built_in_responses,
    find_responses,
    write_responses,
)


def _write_index(store: Path, kinds: dict[int, tuple[str, ...]]) -> None:
    store.mkdir()
    names = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")
    rows = [
        (number, kind.upper(), f"{kind}_2d", "data", f"{number}.fits", f"my {kind}")
        for number, found in kinds.items()
        for kind in found
    ]
    Table(rows=rows, names=names).write(store / "hdu-index.fits.gz")


def test_built_in_responses_survive_the_file(tmp_path: Path) -> None:
    write_responses(tmp_path / "irfs.fits.gz")
    for row, kind in zip(
        BUILT_IN, (EffectiveAreaTable2D, EnergyDispersion2D, PSF3D), strict=True
    ):
        found = kind.read(tmp_path / "irfs.fits.gz", hdu=row.hdu_name)
        expected = built_in_responses()[row.hdu_type]
        np.testing.assert_allclose(found.quantity.value, expected.quantity.value)


def test_responses_of_a_store_are_found_from_another_folder(tmp_path: Path) -> None:
    kinds = ("events", "aeff", "edisp", "psf", "bkg")
    _write_index(tmp_path / "real", {7: kinds, 8: kinds})
    found = find_responses(tmp_path / "real", [8], store=tmp_path / "new" / "store")
    assert found.keys() == {8}
    assert [row.hdu_type for row in found[8]] == ["aeff", "edisp", "psf"]
    assert found[8][0].file == "../../real/data/8.fits"
    assert found[8][0].hdu_name == "my aeff"


def test_runs_without_all_responses_are_named(tmp_path: Path) -> None:
    _write_index(
        tmp_path / "real", {7: ("events", "aeff", "edisp", "psf"), 8: ("psf",)}
    )
    with pytest.raises(InputError, match=r"2 runs .*\[8, 9\].*irfs = built-in"):
        find_responses(tmp_path / "real", [7, 8, 9], store=tmp_path / "new")


def test_a_folder_that_is_no_store_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="hdu-index"):
        find_responses(tmp_path, [7], store=tmp_path / "new")


def test_a_path_that_fits_cannot_hold_is_named(tmp_path: Path) -> None:
    _write_index(tmp_path / "größe", {7: ("aeff", "edisp", "psf")})
    with pytest.raises(InputError, match=r"cannot hold the path.*ASCII names"):
        find_responses(tmp_path / "größe", [7], store=tmp_path / "new")
