from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.errors import InputError
from bkgpipe.store.fits_summary import read_fits_summary


@pytest.fixture
def hdus() -> fits.HDUList:
    image = fits.ImageHDU(np.arange(6.0).reshape(2, 3) - 1, name="IMAGE")
    columns = [
        fits.Column(name="ENERG_LO", format="2E", unit="TeV", array=[[0.5, 2.0]]),
        fits.Column(name="BKG", format="6E", dim="(3,2)", array=np.ones((1, 2, 3))),
        fits.Column(name="NAME", format="4A", array=["Crab"]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="BACKGROUND")
    table.header["HDUCLAS4"] = "BKG_3D"
    table.header["OBS_ID"] = 7
    return fits.HDUList([fits.PrimaryHDU(), image, table])


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_every_hdu_with_data_is_described(
    tmp_path: Path, hdus: fits.HDUList, name: str
) -> None:
    hdus.writeto(tmp_path / name)

    lines = read_fits_summary(tmp_path / name).splitlines()

    assert lines == [
        "HDU IMAGE",
        "  shape (2, 3) from -1 to 4",
        "HDU BACKGROUND",
        "  HDUCLAS4 BKG_3D, OBS_ID 7",
        "  1 rows",
        "  ENERG_LO [TeV] (2,) from 0.5 to 2",
        "  BKG (2, 3) from 1 to 1",
        "  NAME ",
    ]


def test_the_errors_of_a_background_are_told(
    tmp_path: Path, hdus: fits.HDUList
) -> None:
    error = [[[0.1, 0.2, 0.3], [0.4, 0.6, 1.5]]]
    column = fits.Column(name="BKG_ERR", format="6E", dim="(3,2)", array=error)
    hdus.append(fits.BinTableHDU.from_columns([column], name="BACKGROUND_ERROR"))
    hdus["BACKGROUND"].header["SYSERR"] = 0.07
    hdus.writeto(tmp_path / "a.fits")

    lines = read_fits_summary(tmp_path / "a.fits").splitlines()

    assert "  HDUCLAS4 BKG_3D, OBS_ID 7, SYSERR 0.07" in lines
    assert lines[-1] == (
        "Statistical error: 10.00% to 150.00% of the rate, median 35.00%"
    )


def test_an_image_in_the_first_hdu(tmp_path: Path) -> None:
    fits.PrimaryHDU(np.zeros((2, 3), dtype=np.int16)).writeto(tmp_path / "a.fits")

    assert read_fits_summary(tmp_path / "a.fits") == (
        "HDU PRIMARY\n  shape (2, 3) from 0 to 0"
    )


def test_a_table_without_rows_has_no_range(tmp_path: Path) -> None:
    column = fits.Column(name="ENERGY", format="D", unit="TeV", array=[])
    hdu = fits.BinTableHDU.from_columns([column], name="EVENTS")
    hdu.writeto(tmp_path / "a.fits")

    lines = read_fits_summary(tmp_path / "a.fits").splitlines()

    assert lines[1:] == ["  0 rows", "  ENERGY [TeV] "]


def test_values_that_are_no_numbers_are_left_out_of_the_range(tmp_path: Path) -> None:
    column = fits.Column(name="NSB", format="D", array=[np.nan, 2.0, 3.0])
    fits.BinTableHDU.from_columns([column]).writeto(tmp_path / "a.fits")

    assert read_fits_summary(tmp_path / "a.fits").endswith("  NSB  from 2 to 3")


def test_a_column_without_any_number(tmp_path: Path) -> None:
    column = fits.Column(name="NSB", format="D", array=[np.nan, np.nan])
    fits.BinTableHDU.from_columns([column]).writeto(tmp_path / "a.fits")

    assert "  NSB" in read_fits_summary(tmp_path / "a.fits")


_CUT = "(is not whole FITS|the gzip file is truncated)"


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
def test_text_is_not_fits(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("words")

    with pytest.raises(InputError, match=rf"{name}: {_CUT}"):
        read_fits_summary(tmp_path / name)


@pytest.mark.parametrize("name", ["a.fits", "a.fits.gz"])
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_a_truncated_file(
    tmp_path: Path, hdus: fits.HDUList, name: str, share: float
) -> None:
    path = tmp_path / name
    hdus.writeto(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(share * len(content))])

    with pytest.raises(InputError, match=rf"{name}: {_CUT}"):
        read_fits_summary(path)


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.fits: the file cannot be read"):
        read_fits_summary(tmp_path / "none.fits")


def test_what_a_background_rests_on_is_readable(
    tmp_path: Path, hdus: fits.HDUList
) -> None:
    header = hdus["BACKGROUND"].header
    header["EFITLO"], header["EFITHI"], header["ESAFELO"] = 0.5, 30.0, 1 / 3
    header["HOURS"] = 2.100000000244472
    header["EXCURS1"] = "zenith angle 65 (fit: 5 to 45)"
    header["EXCURS2"] = "time 1 (fit: 2 to 3)"
    bits = np.array([[[0, 1, 5], [8, 12, 0]]], dtype=np.uint8)
    column = fits.Column(name="QUALITY", format="6B", dim="(3,2)", array=bits)
    hdus.append(fits.BinTableHDU.from_columns([column], name="BACKGROUND_QUALITY"))
    hdus.writeto(tmp_path / "a.fits")

    text = read_fits_summary(tmp_path / "a.fits")

    assert (
        "  HDUCLAS4 BKG_3D, OBS_ID 7, HOURS 2.1\n"
        "  Energies with events: EFITLO 0.5 to EFITHI 30 TeV\n"
        "  Safe from ESAFELO 0.333333 TeV on\n"
        "  Beyond the fit: zenith angle 65 (fit: 5 to 45)\n"
        "  Beyond the fit: time 1 (fit: 2 to 3)\n"
    ) in text
    assert text.splitlines()[-4:] == [
        "  bit 1 in 2 of 6 bins (below the safe energy of the run)",
        "  bit 2 in 0 of 6 bins (filled: no counts or no exposure)",
        "  bit 4 in 2 of 6 bins (a condition of the run is beyond the fit)",
        "  bit 8 in 2 of 6 bins (no events at this energy)",
    ]
