from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.table import Table
from gammapy.data import DataStore

from bkgpipe.store.make_index import survey_folder, write_hdu_table, write_obs_table


def _events(number: object = 7, **keywords: object) -> fits.BinTableHDU:
    column = fits.Column(name="TIME", format="D", unit="s", array=[1.0, 2.0])
    hdu = fits.BinTableHDU.from_columns([column], name="EVENTS")
    hdu.header["HDUCLAS1"] = "EVENTS"
    known = {"OBS_ID": number, "RA_PNT": 83.6, "DEC_PNT": 22.0, "MJDREFI": 51910}
    hdu.header.update(known | {"TSTART": 100.0, "TSTOP": 160.0} | keywords)
    return hdu


def _response(name: str, *columns: str, **keywords: object) -> fits.BinTableHDU:
    cells = [fits.Column(name=word, format="D", array=[1.0]) for word in columns]
    hdu = fits.BinTableHDU.from_columns(cells, name=name)
    hdu.header.update(keywords)
    return hdu


def _write(path: Path, *hdus: fits.BinTableHDU) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    fits.HDUList([fits.PrimaryHDU(), *hdus]).writeto(path)


def _kinds(folder: Path, number: int) -> dict[str, tuple[str, str, str]]:
    rows = survey_folder(folder).rows
    return {
        row.hdu_type: (row.hdu_class, row.file, row.hdu_name)
        for row in rows
        if row.obs_id == number
    }


def test_classes_say_what_an_hdu_is(tmp_path: Path) -> None:
    classes = {"HDUCLAS1": "RESPONSE", "HDUCLAS2": "RPSF", "HDUCLAS4": "PSF_3GAUSS"}
    _write(tmp_path / "a.fits", _events(), _response("ANY", "A", **classes))

    assert _kinds(tmp_path, 7) == {
        "events": ("events", "a.fits", "EVENTS"),
        "psf": ("psf_3gauss", "a.fits", "ANY"),
    }


@pytest.mark.parametrize(
    ("name", "column", "kind", "hdu_class"),
    [
        ("AEFF", "EFFAREA", "aeff", "aeff_2d"),
        ("ENERGY DISPERSION", "MATRIX", "edisp", "edisp_2d"),
        ("PSF", "RPSF", "psf", "psf_table"),
        ("POINT SPREAD FUNCTION", "GAMMA", "psf", "psf_king"),
        ("PSF", "SIGMA_1", "psf", "psf_3gauss"),
        ("BACKGROUND", "DETX_LO", "bkg", "bkg_3d"),
        ("BKG", "THETA_LO", "bkg", "bkg_2d"),
        ("RAD_MAX", "RAD_MAX", "rad_max", "rad_max_2d"),
        ("GTI", "START", "gti", "gti"),
        ("POINTING", "TIME", "pointing", "pointing"),
    ],
)
def test_names_and_columns_say_it_where_there_is_no_class(
    tmp_path: Path, *, name: str, column: str, kind: str, hdu_class: str
) -> None:
    _write(tmp_path / "a.fits", _events(), _response(name, column))

    assert _kinds(tmp_path, 7)[kind] == (hdu_class, "a.fits", name)


def test_responses_are_of_their_run_or_of_all(tmp_path: Path) -> None:
    area = {"HDUCLAS2": "EFF_AREA"}
    for number in (7, 8):
        _write(tmp_path / "data" / f"{number}.fits.gz", _events(str(number)))
    _write(tmp_path / "own.fits", _response("AEFF", "A", OBS_ID=8, **area))
    _write(tmp_path / "irfs.fits", _response("AEFF", "A", **area))

    assert _kinds(tmp_path, 7)["aeff"][1] == "irfs.fits"
    assert _kinds(tmp_path, 8)["aeff"][1] == "own.fits"
    assert _kinds(tmp_path, 8)["events"][1] == "data/8.fits.gz"


def test_what_is_left_out_has_a_reason(tmp_path: Path) -> None:
    area = {"HDUCLAS2": "EFF_AREA"}
    store = tmp_path / "store"
    _write(store / "good.fits", _events(7))
    for name in ("one.fits", "two.fits"):
        _write(store / name, _events(8))
        _write(store / f"area-{name}", _response("AEFF", "A", **area))
    _write(store / "other.fits", _response("AEFF", "A", OBS_ID=9, **area))
    _write(store / "nameless.fits", _events("a night"))
    _write(tmp_path / "outside.fits", _events(10))
    (store / "link.fits").symlink_to(tmp_path / "outside.fits")
    (store / "words.fits").write_text("no FITS")
    _write(store / "table.fits", _response("TABLE", "A"))
    unpointed = _events(11)
    del unpointed.header["DEC_PNT"]
    _write(store / "unpointed.fits", unpointed)

    survey = survey_folder(store)

    assert list(survey.headers) == [7]
    assert [row.hdu_type for row in survey.rows] == ["events"]
    expected = {
        "area-one.fits": "area-one.fits and area-two.fits have aeff of no run",
        "area-two.fits": "area-one.fits and area-two.fits have aeff of no run",
        "link.fits": "it is no file of this folder",
        "nameless.fits": "expected a whole number",
        "one.fits": "run 8 is in one.fits and in two.fits; keep one",
        "other.fits": "there are no events of its run 9",
        "table.fits": "it has no HDU of GADF",
        "two.fits": "run 8 is in one.fits and in two.fits; keep one",
        "unpointed.fits": "the header of its events has no DEC_PNT",
        "words.fits": "cannot be used",
    }
    assert list(survey.left_out) == list(expected)
    for file, reason in expected.items():
        assert reason in survey.left_out[file]


def test_times_are_on_the_clock_of_the_first_run(tmp_path: Path) -> None:
    _write(tmp_path / "7.fits", _events(7, ALT_PNT=60.0, GEOLON=16.5))
    _write(tmp_path / "8.fits", _events(8, MJDREFI=51911, OBJECT="Crab"))
    path = tmp_path / "obs-index.fits.gz"

    write_obs_table(path, survey_folder(tmp_path))

    table = Table.read(path, mask_invalid=False)
    assert table["OBS_ID"].tolist() == [7, 8]
    assert table["TSTART"].tolist() == pytest.approx([100.0, 86500.0])
    np.testing.assert_array_equal(table["ZEN_PNT"], [30.0, np.nan])
    assert [str(word).strip() for word in table["OBJECT"]] == ["", "Crab"]
    assert (table.meta["MJDREFI"], table.meta["GEOLON"]) == (51910, 16.5)
    assert "LIVETIME" not in table.colnames


def test_gammapy_finds_what_the_first_index_named(
    simulate_archive: Callable[..., Path], tmp_path: Path
) -> None:
    store = simulate_archive(duration=60, seed=3)
    other = tmp_path / "index"
    other.mkdir()

    survey = survey_folder(store)
    write_obs_table(other / "obs-index.fits.gz", survey)
    write_hdu_table(other / "hdu-index.fits.gz", survey, origin=str(store))

    first, second = DataStore.from_dir(store), DataStore.from_dir(other)
    assert second.obs_ids.tolist() == first.obs_ids.tolist()
    for number in first.obs_ids:
        one, two = (each.obs(number, required_irf=[]) for each in (first, second))
        assert two.available_irfs == one.available_irfs
        np.testing.assert_array_equal(two.events.time.mjd, one.events.time.mjd)
        np.testing.assert_array_equal(two.gti.table["STOP"], one.gti.table["STOP"])
        for name in one.available_irfs:
            np.testing.assert_array_equal(
                getattr(two, name).data, getattr(one, name).data
            )
