from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.coordinates import SkyCoord
from astropy.table import MaskedColumn, QTable, Table

from bkgpipe.errors import InputError, SettingsError
from bkgpipe.stages.mask.catalogs import read_catalog
from bkgpipe.stages.mask.data import ExclusionRegion


def _find(regions: tuple[ExclusionRegion, ...], name: str) -> ExclusionRegion:
    return next(region for region in regions if region.name == name)


def _separation(region: ExclusionRegion, ra: float, dec: float) -> float:
    place = SkyCoord(region.ra, region.dec, unit="deg")
    return float(place.separation(SkyCoord(ra, dec, unit="deg")).deg)


def test_gammacat(gammapy_data: Path) -> None:
    regions = read_catalog("gammacat", gammapy_data=gammapy_data)

    assert len(regions) == 162
    assert all(np.isfinite([region.ra, region.dec]).all() for region in regions)
    assert all(np.isnan(region.radius) for region in regions)
    assert all(region.extension >= 0 for region in regions)
    crab = _find(regions, "Crab nebula")
    assert _separation(crab, 83.633, 22.0145) < 0.05
    assert (crab.extension, crab.origin) == (0.0, "gammacat")
    # 0.48 by 0.36 deg: the larger counts
    vela = _find(regions, "Vela X")
    assert vela.extension == pytest.approx(0.48)


def test_3hwc(gammapy_data: Path) -> None:
    regions = read_catalog("3HWC", gammapy_data=gammapy_data)

    assert len(regions) == 65
    crab = _find(regions, "3HWC J0534+220")
    assert _separation(crab, 83.63, 22.02) < 0.01
    assert crab.extension == 0.0
    assert _find(regions, "3HWC J0621+382").extension == 0.5
    assert sum(region.extension > 0 for region in regions) == 6


def test_hgps(gammapy_data: Path) -> None:
    regions = read_catalog("hgps", gammapy_data=gammapy_data)

    assert len(regions) == 78
    vela = _find(regions, "HESS J0835-455")
    assert vela.extension == pytest.approx(0.585, abs=1e-3)
    assert sum(region.extension > 0 for region in regions) == 55


def test_stars(gammapy_data: Path) -> None:
    regions = read_catalog("stars", gammapy_data=gammapy_data)

    assert len(regions) == 41057
    assert {region.radius for region in regions} == {0.35}
    assert {region.origin for region in regions} == {"stars"}
    brighter = read_catalog("stars", gammapy_data=gammapy_data, star_magnitude=5.0)
    assert 1000 < len(brighter) < 2000
    sirius = _find(regions, "HIP 32349")
    assert _separation(sirius, 101.287, -16.716) < 0.01
    assert sirius.extension == 0.0


def _write_stars(folder: Path, *lines: str) -> None:
    path = folder / "veritas/crab-point-like-ED/Hipparcos_MAG8_1997.dat"
    path.parent.mkdir(parents=True)
    header = "#_RAJ2000\t_DEJ2000\tHIP\tVmag\tB-V"
    path.write_text("\n".join([header, *lines]) + "\n")


def test_faint_stars_are_left_out(tmp_path: Path) -> None:
    _write_stars(
        tmp_path,
        "10.5\t-20.5\t  3\t 6.61\t-0.019",
        "11.5\t-21.5\t  4\t 8.00\t 0.5",
        "12.5\t-22.5\t  5\t 7.99\t",  # no colour
    )

    first, second = read_catalog("Stars", gammapy_data=tmp_path)

    assert (first.name, first.ra, first.dec) == ("HIP 3", 10.5, -20.5)
    assert second.name == "HIP 5"


def test_stars_have_a_radius_and_a_limit_of_their_own(tmp_path: Path) -> None:
    _write_stars(tmp_path, "1\t2\t 3\t 4.99\t0.1", "3\t4\t 5\t 5.00\t0.1")

    (star,) = read_catalog(
        "stars", gammapy_data=tmp_path, star_radius=0.2, star_magnitude=5.0
    )

    assert (star.name, star.radius, star.extension) == ("HIP 3", 0.2, 0.0)


def test_damaged_stars(tmp_path: Path) -> None:
    _write_stars(tmp_path, "10.5\t-20.5\tx\t 6.61\t-0.019")
    with pytest.raises(
        InputError, match=r"1997\.dat: .*stars cannot.*Restore the file"
    ):
        read_catalog("stars", gammapy_data=tmp_path)


def test_missing_stars(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"1997\.dat: .*leave stars out of \[mask\]"):
        read_catalog("stars", gammapy_data=tmp_path)


@pytest.mark.parametrize("name", ["gammacat", "HGPS", "3hwc", "stars"])
def test_name_without_folder(name: str) -> None:
    with pytest.raises(SettingsError, match=r"\[mask\] catalogs: .*Set GAMMAPY_DATA"):
        read_catalog(name, gammapy_data=None)


@pytest.mark.parametrize("suffix", [".fits", ".fits.gz", ".ecsv"])
def test_own_table(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sources{suffix}"
    table = Table({"Name": ["A", "B"], "RA": [10.0, 20.0], "Dec": [-5.0, 5.0]})
    table["Extension"] = [0.0, 30.0] * u.arcmin
    table.write(path)

    first, second = read_catalog(str(path), gammapy_data=None)

    assert (first.name, first.ra, first.dec, first.extension) == ("A", 10.0, -5.0, 0.0)
    assert second.extension == pytest.approx(0.5)
    assert second.origin == str(path)
    assert second.pixels.size == 0


@pytest.mark.parametrize(
    "names",
    [("RAJ2000", "DEJ2000"), ("_RAJ2000", "_DEJ2000"), ("raj2000", "decj2000")],
)
def test_names_of_positions(tmp_path: Path, names: tuple[str, str]) -> None:
    path = tmp_path / "sources.ecsv"
    Table({names[0]: [10.0], names[1]: [-5.0]}).write(path)

    (region,) = read_catalog(str(path), gammapy_data=None)

    assert (region.ra, region.dec) == pytest.approx((10.0, -5.0))
    assert (region.name, region.extension) == ("row 1", 0.0)


def test_galactic_positions(tmp_path: Path) -> None:
    path = tmp_path / "sources.ecsv"
    Table({"glon": [184.5575], "glat": [-5.7843]}).write(path)
    (region,) = read_catalog(str(path), gammapy_data=None)
    assert _separation(region, 83.633, 22.0145) < 0.01


def test_positions_in_other_units(tmp_path: Path) -> None:
    path = tmp_path / "sources.ecsv"
    QTable({"ra": [np.pi] * u.rad, "dec": [0.0] * u.rad}).write(path)
    (region,) = read_catalog(str(path), gammapy_data=None)
    assert region.ra == pytest.approx(180.0)


def test_missing_values(tmp_path: Path) -> None:
    path = tmp_path / "sources.ecsv"
    table = Table({"source_name": ["A", "B", "C"], "dec": [1.0, 2.0, np.nan]})
    table["ra"] = MaskedColumn([1.0, 2.0, 3.0], mask=[True, False, False])
    table["sigma"] = MaskedColumn([1.0, 2.0, 3.0], mask=[False, True, False])
    table.write(path)

    regions = read_catalog(str(path), gammapy_data=None)

    assert [(region.name, region.extension) for region in regions] == [("B", 0.0)]


def test_no_sources(tmp_path: Path) -> None:
    path = tmp_path / "sources.ecsv"
    Table({"ra": np.empty(0), "dec": np.empty(0)}).write(path)
    assert read_catalog(str(path), gammapy_data=None) == ()


def test_no_position(tmp_path: Path) -> None:
    path = tmp_path / "sources.ecsv"
    Table({"x": [1.0], "dec": [2.0]}).write(path)
    with pytest.raises(InputError, match=r"sources\.ecsv: .*x, dec.*Name the columns"):
        read_catalog(str(path), gammapy_data=None)


def test_position_in_wrong_unit(tmp_path: Path) -> None:
    path = tmp_path / "sources.ecsv"
    QTable({"ra": [1.0] * u.m, "dec": [0.0] * u.deg}).write(path)
    with pytest.raises(InputError, match=r"column ra: has unit 'm'.*Correct the unit"):
        read_catalog(str(path), gammapy_data=None)


@pytest.mark.parametrize("name", ["absent.fits", "absent.ecsv", "gammacats"])
def test_missing_table(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}: .*cannot be read.*gammacat, 3hwc"):
        read_catalog(str(tmp_path / name), gammapy_data=tmp_path)


@pytest.mark.parametrize("suffix", [".fits", ".ecsv"])
def test_damaged_table(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sources{suffix}"
    path.write_text("not a table")
    with pytest.raises(InputError, match=r"sources.*cannot be read.*\[mask\] catalogs"):
        read_catalog(str(path), gammapy_data=None)


def test_a_table_with_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "sources.ecsv"
    table = Table({"name": ["a"], "ra": [10.0], "dec": [20.0]})
    table.write(path, format="ascii.ecsv")
    path.write_text(path.read_text(), encoding="utf-8-sig")

    (region,) = read_catalog(str(path), gammapy_data=None)

    assert (region.name, region.ra) == ("a", 10.0)
