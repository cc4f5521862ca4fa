from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from astropy.io import fits
from hypothesis import given
from hypothesis import strategies as st

from bkgpipe.store.cards import data_span, header_span, mend_headers, outside_data


def _file() -> bytes:
    """Image, table with a list of other lengths, and a compressed image."""
    lists = np.array([np.arange(3), np.arange(700)], dtype=object)
    columns = [
        fits.Column("A", "D", array=[1.0, 2.0]),
        fits.Column("L", "PJ()", array=lists),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    table.header["ORIGIN"] = "HESSxCOLL"
    table.header["COMMENT"] = "ENDxxxx"
    image = fits.CompImageHDU(np.arange(6000.0).reshape(60, 100), name="IMAGE")
    last = fits.BinTableHDU.from_columns(columns[:1], name="GTI")
    last.header["TELESCOP"] = "HESSxCOLL"
    first = fits.PrimaryHDU(np.ones((3, 4, 5), dtype=np.int16))
    buffer = BytesIO()
    fits.HDUList([first, table, image, last]).writeto(buffer)
    return buffer.getvalue()


def test_spans_are_those_of_astropy() -> None:
    content = _file()
    start, found = 0, []
    while start < len(content):
        span = header_span(content, start)
        after = start + span
        end = after + data_span(content[start:after])
        found.append((start, after, end))
        start = end

    with fits.open(BytesIO(content), disable_image_compression=True) as hdus:
        places = [hdu.fileinfo() for hdu in hdus]
    assert found == [
        (place["hdrLoc"], place["datLoc"], place["datLoc"] + place["datSpan"])
        for place in places
    ]


@pytest.mark.parametrize(
    ("character", "shown"), [(b"\t", " "), (b"\0", " "), (b"\x1b", "?"), (b"\xe4", "?")]
)
def test_control_characters_of_each_header_are_replaced(
    character: bytes, shown: str
) -> None:
    content = _file().replace(b"HESSxCOLL", b"HESS" + character + b"COLL")

    mended = mend_headers(content)

    with fits.open(BytesIO(mended)) as hdus:
        assert hdus["EVENTS"].header["ORIGIN"] == f"HESS{shown}COLL"
        assert hdus["GTI"].header["TELESCOP"] == f"HESS{shown}COLL"
        np.testing.assert_array_equal(hdus["EVENTS"].data["L"][1], np.arange(700))


def test_data_and_sound_headers_stay_as_they_are() -> None:
    content = _file()
    assert mend_headers(content) is content

    mended = mend_headers(content.replace(b"HESSxCOLL", b"HESS\tCOLL"))

    assert mended == content.replace(b"HESSxCOLL", b"HESS COLL")


@given(st.binary(max_size=200), st.integers(0, 12000))
def test_any_bytes_keep_their_length(noise: bytes, place: int) -> None:
    content = _file()
    content = content[:place] + noise + content[place + len(noise) :]
    assert len(mend_headers(content)) == len(content)


def test_a_header_without_an_end() -> None:
    assert header_span(b"SIMPLE  =                    T" * 96) == 0


def test_what_is_outside_the_data_are_the_headers() -> None:
    content = _file()
    with fits.open(BytesIO(content), disable_image_compression=True) as hdus:
        places = [hdu.fileinfo() for hdu in hdus]
    heads = b"".join(content[p["hdrLoc"] : p["datLoc"]] for p in places)
    assert outside_data(content) == heads
    assert outside_data(content + b"more") == heads + b"more"


def test_where_no_header_is_found_all_is_outside() -> None:
    content = _file()
    assert outside_data(b"no FITS") == b"no FITS"
    # the second header ends nowhere
    second = content.index(b"XTENSION")
    cut = content[: second + 800]
    assert outside_data(cut).endswith(content[second : second + 800])
