from __future__ import annotations

import gzip
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.coordinates import EarthLocation
from astropy.io import fits
from astropy.table import Table

from bkgpipe.store.headers import read_header
from bkgpipe.store.store import read_runs

EventsMaker = Callable[..., fits.HDUList]
StoreMaker = Callable[..., Path]
WriteMaker = Callable[..., Path]

_KNOWN = {
    "ALT_PNT": 60.0,
    "AZ_PNT": 120.0,
    "ONTIME": 1600.0,
    "LIVETIME": "1440.",
    "GEOLON": "16.5",
    "GEOLAT": -23.27,
    "ALTITUDE": 1835.0,
    "OBJECT": "Crab ",
    "TELLIST": "1,2",
    "MUONEFF": 0.9,
}


@pytest.fixture
def make(
    make_store: StoreMaker,
    make_events: EventsMaker,
    observations: Table,
    hdu_rows: Table,
) -> WriteMaker:
    """Factory: a store with the events of run 7, headers and columns as given."""

    def _make(header: dict[str, Any], **columns: Any) -> Path:
        for name, values in columns.items():
            observations[name] = values
        store = make_store(observations, hdu_rows)
        make_events(header=header).writeto(store / "data" / "run_7.fits")
        return store

    return _make


def test_headers_tell_what_the_table_does_not(make: WriteMaker) -> None:
    run = read_runs(make(_KNOWN)).runs[0]

    assert (run.zenith, run.azimuth) == (30.0, 120.0)
    assert (run.ontime, run.livetime, run.deadc) == (1600.0, 1440.0, 0.9)
    assert (run.longitude, run.latitude, run.altitude) == (16.5, -23.27, 1835.0)
    assert (run.target, run.telescopes, run.muon_efficiency) == ("Crab", "1,2", 0.9)


def test_the_table_comes_first(make: WriteMaker) -> None:
    store = make(
        _KNOWN,
        ZEN_PNT=[10.0, 20.0, 30.0],
        LIVETIME=[1.0, 2.0, 3.0],
        OBJECT=["a", "b", "c"],
    )

    run = read_runs(store).runs[0]

    assert (run.zenith, run.livetime, run.target) == (20.0, 2.0, "b")
    assert (run.azimuth, run.deadc) == (120.0, 0.9)


def test_the_place_of_one_run_is_that_of_all(make: WriteMaker) -> None:
    runs = read_runs(make(_KNOWN)).runs

    assert [run.longitude for run in runs] == [16.5] * 3
    assert np.isnan([run.zenith for run in runs[1:]]).all()


def test_half_a_place_is_none(make: WriteMaker) -> None:
    run = read_runs(make(_KNOWN | {"GEOLAT": "unknown"})).runs[0]

    assert np.isnan([run.longitude, run.latitude, run.altitude]).all()


def test_the_place_from_the_centre_of_the_earth(make: WriteMaker) -> None:
    place = EarthLocation.from_geodetic(16.5, -23.27, 1835.0)
    header = {
        f"OBSGEO-{axis}": float(getattr(place, axis.lower()).to_value("m"))
        for axis in "XYZ"
    }

    run = read_runs(make(header)).runs[0]

    found = (run.longitude, run.latitude, run.altitude)
    assert found == pytest.approx((16.5, -23.27, 1835.0), abs=1e-6)


def test_blank_undefined_and_odd_values_are_unknown(
    make: WriteMaker, caplog: pytest.LogCaptureFixture
) -> None:
    odd = {"ALT_PNT": "high", "AZ_PNT": "", "LIVETIME": fits.card.Undefined()}

    run = read_runs(make(_KNOWN | odd)).runs[0]

    assert np.isnan([run.zenith, run.azimuth, run.livetime]).all()
    assert (run.ontime, run.longitude) == (1600.0, 16.5)
    assert "run 7 (data/run_7.fits): ALT_PNT is 'high', expected a num" in caplog.text


def test_words_hold_no_control_characters(make: WriteMaker) -> None:
    store = make(_KNOWN | {"OBJECT": "CrabxNebula", "TELLIST": "1,2x"})
    path = store / "data" / "run_7.fits"
    content = path.read_bytes().replace(b"CrabxNebula", b"Crab\tNebula")
    path.write_bytes(content.replace(b"1,2x", b"1,2\x07"))

    run = read_runs(store).runs[0]

    assert (run.target, run.telescopes) == ("Crab Nebula", "1,2?")


def test_what_no_header_says_stays_unknown(make: WriteMaker) -> None:
    run = read_runs(make({})).runs[0]

    assert np.isnan([run.zenith, run.livetime, run.deadc, run.longitude]).all()
    assert (run.target, run.telescopes) == ("", "")


def test_no_file_is_opened_when_the_table_says_enough(
    make: WriteMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [1.0, 2.0, 3.0]
    store = make(
        _KNOWN, ZEN_PNT=full, AZ_PNT=full, LIVETIME=full, DEADC=[0.9, 0.9, 0.9]
    )
    opened: list[Path] = []
    monkeypatch.setattr(
        "bkgpipe.store.headers.read_header", lambda path, _: opened.append(path) or {}
    )
    read_runs(store)
    assert len(opened) == 1  # for the place

    table = Table.read(store / "obs-index.fits")
    table.meta |= {"GEOLON": 1.0, "GEOLAT": 2.0}
    table.write(store / "obs-index.fits", overwrite=True)
    read_runs(store)
    assert len(opened) == 1


@pytest.mark.parametrize(
    "damage",
    [
        lambda _: b"",
        lambda _: b"no FITS at all",
        lambda content: content[:2000],
        lambda content: gzip.compress(content)[:300],
        lambda content: content.replace(b"EVENTS", b"OTHERS"),
    ],
    ids=["empty", "words", "cut", "cut gzip", "no events"],
)
def test_a_bad_file_leaves_its_run_unknown(
    damage: Callable[[bytes], bytes], make: WriteMaker
) -> None:
    store = make(_KNOWN)
    path = store / "data" / "run_7.fits"
    path.write_bytes(damage(path.read_bytes()))

    run = read_runs(store).runs[0]

    assert np.isnan([run.zenith, run.livetime]).all()


@pytest.mark.parametrize("compress", [False, True])
def test_a_header_behind_other_hdus(compress: bool, tmp_path: Path) -> None:
    image = fits.PrimaryHDU(np.ones((40, 50)))
    first = fits.BinTableHDU(Table({"a": np.arange(5000)}), name="GTI")
    second = fits.BinTableHDU(Table({"b": [1]}), name="Events")
    second.header["ALT_PNT"] = 12.5
    buffer = BytesIO()
    fits.HDUList([image, first, second]).writeto(buffer)
    content = buffer.getvalue()
    path = tmp_path / "run"
    path.write_bytes(gzip.compress(content) if compress else content)

    assert read_header(path, "EVENTS")["ALT_PNT"] == 12.5
    with pytest.raises((OSError, EOFError)):
        read_header(path, "POINTING")
