from __future__ import annotations

import pytest

from bkgpipe.datamodel import Chunk, ProductHeader
from bkgpipe.errors import DamagedFileError
from bkgpipe.io.hdf5 import write_chunk
from bkgpipe.io.identities import add_identities, read_identities

_HEADER = ProductHeader(
    stage="count", fingerprint="abc123", inputs="x", seconds=1.0, version="1"
)


@pytest.fixture
def write(tmp_path):
    def write(identities):
        path = tmp_path / "count_3.h5"
        write_chunk(
            path,
            _HEADER,
            Chunk(refused={8: "no events"}),
            extend=lambda file: add_identities(file, identities),
        )
        return path

    return write


@pytest.mark.parametrize(
    "identities", [{}, {7: "ab"}, {7: "ab", 8: "cd", 9: "ab"}, {7: "ab", 8: "ab"}]
)
def test_what_runs_were_made_from_comes_back(write, identities):
    assert read_identities(write(identities)) == identities


def test_many_runs_fit_into_a_file(write):
    identities = {number: f"{number:016x}" for number in range(9000)}

    assert read_identities(write(identities)) == identities


def test_a_flipped_digit_is_damage(write):
    path = write({7: "abababababababab", 8: "cdcdcdcdcdcdcdcd"})
    content = path.read_bytes()
    assert content.count(b"cdcdcdcdcdcdcdcd") == 1
    path.write_bytes(content.replace(b"cdcdcdcdcdcdcdcd", b"cdcdcdcdcdcdcdce"))

    with pytest.raises(DamagedFileError, match=r"count_3\.h5"):
        read_identities(path)
