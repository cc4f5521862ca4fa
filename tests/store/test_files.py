from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.errors import InputError
from bkgpipe.store import files
from bkgpipe.store.files import inflate, locate, open_fits, read_content
from bkgpipe.store.store_folder import is_inside, store_folder

_NOISE = np.random.default_rng(1).bytes(9000)
TEXT = b"SIMPLE  = " * 1000


def test_inside() -> None:
    assert is_inside("/data/store", "/data/store")
    assert is_inside("/data/store", "/data/store/a/b")
    assert is_inside("/", "/data")
    assert not is_inside("/data/store", "/data/store2/a")
    assert not is_inside("/data/store", "/data")


def test_locate_follows_links_within_the_store(tmp_path: Path) -> None:
    (tmp_path / "a.fits").touch()
    (tmp_path / "b.fits").symlink_to(tmp_path / "a.fits")
    expected = (tmp_path / "a.fits").resolve()
    assert locate(tmp_path, "b.fits", where="run 7") == expected


def test_locate_allows_a_store_that_is_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "a.fits").touch()
    (tmp_path / "store").symlink_to(tmp_path / "real")
    assert locate(tmp_path / "store", "a.fits", where="run 7").is_file()


@pytest.mark.parametrize("file", ["../secret", "/etc/hostname", "data/link"])
def test_locate_stays_in_the_store(tmp_path: Path, file: str) -> None:
    store = tmp_path / "store"
    (store / "data").mkdir(parents=True)
    (tmp_path / "secret").touch()
    (store / "data" / "link").symlink_to(tmp_path / "secret")
    told = r"run 7: .*outside the store.*set \[data\] allow = /"
    with pytest.raises(InputError, match=told):
        locate(store, file, where="run 7")


def test_locate_goes_where_it_is_allowed_to(tmp_path: Path) -> None:
    for name in ("store", "archive", "secrets"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.fits").touch()
    (tmp_path / "archive" / "out.fits").symlink_to(tmp_path / "secrets" / "a.fits")
    store = store_folder(tmp_path / "store", allow=[tmp_path / "archive"])

    found = locate(store, "../archive/a.fits", where="run 7")

    assert found == tmp_path / "archive" / "a.fits"
    for file in ("../secrets/a.fits", "../archive/out.fits"):
        with pytest.raises(InputError, match=rf"allow = {tmp_path / 'secrets'}\.$"):
            locate(store, file, where="run 7")


def test_locate_without_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run 7: .*names no such file.*Add the run"):
        locate(tmp_path, "", where="run 7")


def test_content_is_read_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "a.fits"
    path.write_bytes(TEXT)
    assert read_content(path, where="run 7") == TEXT


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"run 7: .*No such file.*exclude the run"):
        read_content(tmp_path / "a.fits", where="run 7")
    with pytest.raises(InputError, match=r"run 7: .*cannot be read"):
        read_content(tmp_path, where="run 7")


@pytest.mark.parametrize(
    "content",
    [
        TEXT,
        gzip.compress(TEXT, mtime=0),
        gzip.compress(TEXT[:3000], mtime=0) + gzip.compress(TEXT[3000:], mtime=0),
        gzip.compress(TEXT, mtime=0) + b"\0" * 512,
    ],
    ids=["plain", "gzip", "two members", "padded"],
)
@pytest.mark.parametrize("is_fast", [True, False])
def test_inflate(
    monkeypatch: pytest.MonkeyPatch, content: bytes, is_fast: bool
) -> None:
    if not is_fast:
        monkeypatch.setattr(files, "_zlib", zlib)
    assert inflate(content, where="run 7") == TEXT


def _flip(content: bytes, position: int) -> bytes:
    spoilt = bytearray(content)
    spoilt[position] ^= 0x55
    return bytes(spoilt)


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (gzip.compress(TEXT, mtime=0)[:-1], "truncated"),
        (gzip.compress(TEXT, mtime=0)[:30], "truncated"),
        (gzip.compress(TEXT, mtime=0)[:3], "truncated"),
        (_flip(gzip.compress(TEXT, mtime=0), -7), "damaged"),
        (_flip(gzip.compress(_NOISE, mtime=0), 12), "damaged"),
        (gzip.compress(TEXT, mtime=0) + b"garbage", "(damaged|truncated)"),
    ],
)
@pytest.mark.parametrize("is_fast", [True, False])
def test_damaged_gzip(
    monkeypatch: pytest.MonkeyPatch, content: bytes, what: str, is_fast: bool
) -> None:
    if not is_fast:
        monkeypatch.setattr(files, "_zlib", zlib)
    with pytest.raises(InputError, match=rf"run 7: the gzip file is {what}.*exclude"):
        inflate(content, where="run 7")


def test_too_large(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(files, "MAX_BYTES", 9_999)
    path = tmp_path / "a.fits"
    path.write_bytes(TEXT)
    half = gzip.compress(TEXT[:5_000], mtime=0)

    with pytest.raises(InputError, match=r"run 7: .*9999 bytes.*exclude the run"):
        inflate(gzip.compress(TEXT, mtime=0), where="run 7")
    with pytest.raises(InputError, match=r"run 7: .*9999 bytes"):
        inflate(half + half, where="run 7")
    with pytest.raises(InputError, match=r"run 7: .*9999 bytes"):
        read_content(path, where="run 7")
    assert len(inflate(half, where="run 7")) == 5_000


@pytest.fixture
def fits_content(make_events: Callable[..., fits.HDUList]) -> bytes:
    buffer = BytesIO()
    make_events(3000).writeto(buffer)
    return buffer.getvalue()


def test_open_fits(fits_content: bytes) -> None:
    with open_fits(fits_content, where="run 7") as hdus:
        assert len(hdus["EVENTS"].data) == 3000


@pytest.mark.parametrize("n_bytes", [0, 100, 2880 * 5 + 7, 2880 * 12])
def test_truncated_fits(fits_content: bytes, n_bytes: int) -> None:
    def read() -> None:
        with open_fits(fits_content[:n_bytes], where="run 7") as hdus:
            hdus["EVENTS"].data.field("ENERGY").sum()

    with pytest.raises(InputError, match=r"run 7: .*damaged or truncated.*exclude the"):
        read()


def test_own_errors_pass() -> None:
    def read(content: bytes) -> None:
        with open_fits(content, where="run 7"):
            raise InputError(what="is odd", where="here", fix="Leave it")

    buffer = BytesIO()
    fits.PrimaryHDU().writeto(buffer)
    with pytest.raises(InputError, match=r"here: is odd\. Leave it"):
        read(buffer.getvalue())
