from __future__ import annotations

from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.table import Table
from gammapy.irf import (
    IRF,
    PSF3D,
    EffectiveAreaTable2D,
    EnergyDependentMultiGaussPSF,
    EnergyDispersion2D,
    PSFKing,
    RadMax2D,
)

from bkgpipe.errors import InputError
from bkgpipe.simulate.archive.layouts import LAYOUTS
from bkgpipe.simulate.archive.responses import (
    BUILT_IN,
    built_in_responses,
    find_responses,
    response_rows,
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


def test_the_directional_cut_comes_along(tmp_path: Path) -> None:
    kinds = ("rad_max", "aeff", "edisp", "psf")
    _write_index(tmp_path / "real", {7: kinds, 8: ("rad_max", "aeff", "psf")})
    found = find_responses(tmp_path / "real", [7], store=tmp_path / "new")
    assert [row.hdu_type for row in found[7]] == list(kinds)
    with pytest.raises(InputError, match=r"1 runs .*\[8\]"):
        find_responses(tmp_path / "real", [8], store=tmp_path / "new")


def test_rows_of_a_layout_name_its_files() -> None:
    assert response_rows() == BUILT_IN
    rows = response_rows(LAYOUTS["split"])
    assert [row.file for row in rows] == [
        f"irf/{kind}.fits" for kind in ("aeff", "edisp", "psf")
    ]
    assert rows[2].hdu_class == "psf_king"
    assert [row.hdu_type for row in response_rows(LAYOUTS["magic"])] == [
        "aeff",
        "edisp",
    ]


@pytest.mark.parametrize(
    ("kind", "layout"),
    [
        (PSF3D, "hess"),
        (EnergyDependentMultiGaussPSF, "cta-1dc"),
        (PSFKing, "veritas"),
    ],
)
def test_each_point_spread_is_as_wide(
    kind: type[IRF], layout: str, tmp_path: Path
) -> None:
    (row,) = [row for row in response_rows(LAYOUTS[layout]) if row.hdu_type == "psf"]
    write_responses(tmp_path / "psf.fits", [row])
    found = kind.read(tmp_path / "psf.fits", hdu=row.hdu_name)
    radius = found.containment_radius(
        fraction=0.393, energy_true=1 * u.TeV, offset=1 * u.deg
    )
    assert radius.to_value("deg") == pytest.approx(0.07, rel=0.05)


def test_responses_with_a_cut_are_point_like(tmp_path: Path) -> None:
    layout = LAYOUTS["lst"]
    rows = response_rows(layout)
    path = tmp_path / "irfs.fits.gz"
    write_responses(path, rows, given=layout.responses)
    area = EffectiveAreaTable2D.read(path, hdu="EFFECTIVE AREA")
    assert area.is_pointlike
    assert area.meta["RAD_MAX"] == 0.2
    cut = RadMax2D.read(path, hdu="RAD_MAX")
    assert cut.quantity.shape == (18, 2)
    assert 0.2 < cut.quantity.min().to_value("deg") < cut.quantity.max().value


def test_the_area_of_a_low_threshold_rises_for_two_decades() -> None:
    area = built_in_responses("cta")["aeff"]
    energy = area.axes["energy_true"].center.to_value("TeV")
    values = area.quantity.to_value("m2")[:, 0]

    share = np.interp([0.03, 0.3, 3.0], energy, values / values.max())

    assert share[0] < 0.04
    assert 0.2 < share[1] < 0.4
    assert 0.75 < share[2] < 0.85


def test_responses_of_a_single_offset_have_one_bin(tmp_path: Path) -> None:
    layout = LAYOUTS["cta-like-point"]
    path = tmp_path / "irfs.fits.gz"
    write_responses(path, response_rows(layout), given=layout.responses)

    area = EffectiveAreaTable2D.read(path, hdu="AEFF")

    assert area.is_pointlike
    assert area.axes["offset"].center.to_value("deg") == pytest.approx([0.5])
    assert RadMax2D.read(path, hdu="RAD_MAX").axes["offset"].nbin == 1
