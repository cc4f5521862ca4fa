from __future__ import annotations

from dataclasses import FrozenInstanceError, asdict, replace

import pytest

from bkgpipe.core.product import Chunk, ProductHeader


@pytest.fixture
def header() -> ProductHeader:
    return ProductHeader(
        stage="count", fingerprint="3fa9c1", inputs="a1b2", seconds=1.5, version="0.1"
    )


def test_headers_are_equal_by_value(header):
    assert header == replace(header)
    assert header != replace(header, inputs="other")
    assert ProductHeader(**asdict(header)) == header


def test_headers_cannot_be_changed(header):
    with pytest.raises(FrozenInstanceError):
        header.stage = "mask"


def test_chunks_share_nothing():
    one, other = Chunk[int](), Chunk[int]()

    one.records[7] = 3
    one.refused[8] = "too short"

    assert other.records == {}
    assert other.refused == {}
