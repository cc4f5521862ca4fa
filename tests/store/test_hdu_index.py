from __future__ import annotations

from pathlib import Path

from astropy.io import fits
from astropy.table import Table

from bkgpipe.store.hdu_index import IndexRow, index_hdu, index_rows

_NAMES = ("OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME")


def _write(path: Path, *rows: tuple[object, ...]) -> Path:
    Table(rows=rows, names=_NAMES).write(path, format="fits")
    return path


def test_rows_of_some_runs(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "hdu-index.fits",
        (7, "EVENTS", "events", "a", "7.fits", "EVENTS"),
        (8, "events", "events", "a", "8.fits", "EVENTS"),
        (7, "bkg", "bkg_2d", "b", "7.fits", "BKG2"),
        (7, "bkg", "bkg_3d", "b", "7.fits", "BKG3"),
    )
    assert index_rows(path, [7]) == [
        IndexRow(7, "events", "events", "a/7.fits", "EVENTS"),
        IndexRow(7, "bkg", "bkg_2d", "b/7.fits", "BKG2"),
        IndexRow(7, "bkg", "bkg_3d", "b/7.fits", "BKG3"),
    ]


def test_of_two_rows_for_one_thing_the_first_is_taken(tmp_path: Path) -> None:
    path = _write(
        tmp_path / "hdu-index.fits",
        (7, "events", "events", "a", "7.fits", "EVENTS"),
        (7, "events", "other", "b", "7.fits", "EVENTS"),
        (7, "aeff", "aeff_2d", "a", "7.fits", "AEFF"),
        (7, "aeff", "aeff_2d", "b", "7.fits", "AEFF"),
    )
    assert [row.file for row in index_rows(path, [7])] == ["a/7.fits", "a/7.fits"]


def test_a_new_index_reads_back(tmp_path: Path) -> None:
    rows = [
        IndexRow(7, "events", "events", "data/läuf_7.fits", "EVENTS"),
        IndexRow(7, "aeff", "aeff_2d", "aeff.fits", ""),
    ]
    path = tmp_path / "hdu-index.fits"
    fits.HDUList([fits.PrimaryHDU(), index_hdu(rows)]).writeto(path)

    assert index_rows(path, [7]) == rows
