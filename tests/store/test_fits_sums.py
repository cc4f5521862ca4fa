from __future__ import annotations

import warnings
from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.errors import InputError
from bkgpipe.store.files import open_fits
from bkgpipe.store.fits_sums import require_sums, with_sums


def _content(*, n_rows: int, checksum: bool = False) -> bytes:
    rng = np.random.default_rng(n_rows)
    columns = [
        fits.Column(name="ENERGY", format="E", array=rng.random(n_rows)),
        fits.Column(name="TELS", format="PJ()", array=[[1, 2]] * n_rows),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    table.header.update({f"KEY{i}": i for i in range(n_rows % 40)})
    image = fits.ImageHDU(rng.random((3, 5)), name="IMAGE")
    buffer = BytesIO()
    hdus = fits.HDUList([fits.PrimaryHDU(), table, image])
    hdus.writeto(buffer, checksum=checksum)
    return buffer.getvalue()


def _events_in(content: bytes) -> fits.BinTableHDU:
    with fits.open(BytesIO(bytes(content))) as hdus:
        return hdus["EVENTS"]


@pytest.mark.parametrize("n_rows", [0, 1, 7, 29, 35, 36, 1000])
def test_astropy_finds_our_sums_right(n_rows):
    plain = _content(n_rows=n_rows)

    content = with_sums(plain)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with fits.open(BytesIO(content), checksum=True) as hdus:
            assert all("DATASUM" in hdu.header for hdu in hdus)
            hdus.verify("exception")
            with fits.open(BytesIO(plain)) as others:
                for hdu, other in zip(hdus, others, strict=True):
                    header = hdu.header.copy()
                    del header["CHECKSUM"], header["DATASUM"]
                    assert header == other.header
                    assert str(hdu.data) == str(other.data)
    require_sums(content, where="run 7")


def test_equal_content_gives_equal_files_and_right_sums_stay():
    content = with_sums(_content(n_rows=9))

    assert content == with_sums(_content(n_rows=9)) == with_sums(content)
    others = _content(n_rows=9, checksum=True)
    assert with_sums(others) == others


def test_sums_of_astropy_are_right_and_none_are_needed():
    require_sums(_content(n_rows=9, checksum=True), where="run 7")
    require_sums(_content(n_rows=9), where="run 7")
    require_sums(b"no FITS", where="run 7")


@pytest.mark.parametrize("key", ["DATASUM", "CHECKSUM"])
def test_a_wrong_sum_names_file_and_hdu(key):
    content = bytearray(with_sums(_content(n_rows=9)))
    place = content.index(b"'EVENTS") + 1
    if key == "DATASUM":
        place = _events_in(content).fileinfo()["datLoc"]
    content[place] ^= 1

    name = "EVENTS" if key == "DATASUM" else "DVENTS"
    told = rf"run 7: the {key} of HDU {name} is wrong.* Restore the file"
    with pytest.raises(InputError, match=told):
        require_sums(bytes(content), where="run 7")


def test_no_flipped_bit_passes_as_other_content():
    content = with_sums(_content(n_rows=200))
    with fits.open(BytesIO(content)) as hdus:
        expected = hdus["EVENTS"].data["ENERGY"].tolist()
    rng = np.random.default_rng(3)
    n_refused = 0
    for place in rng.choice(len(content), size=200, replace=False):
        flipped = bytearray(content)
        flipped[place] ^= 1 << int(rng.integers(8))
        try:
            with open_fits(bytes(flipped), where="run 7") as hdus:
                assert hdus["EVENTS"].data["ENERGY"].tolist() == expected
        except InputError:
            n_refused += 1
    assert n_refused > 190
