from __future__ import annotations

import errno
import os
from pathlib import Path

import h5py
import pytest

from bkgpipe.core.passing import passing_reason, require_lasting
from bkgpipe.errors import InputError, PassingError
from bkgpipe.product.damage import reading
from bkgpipe.store.files import read_content

_NAMED = ("EIO", "ESTALE", "EMFILE", "ENFILE", "ETIMEDOUT", "EACCES", "EINTR", "ENOSPC")
# as HDF5 2.0 tells of a file that cannot be read in the middle
_HDF5 = (
    "Unable to synchronously open object (file read failed: time = Tue Dec  1 00:27:56"
    " 2026\n, filename = 'count_1.h5', file descriptor = 3, errno = {}, error message ="
    " '{}', buf = 0x55aacbf0ceb0, total read size = 473, offset = 14687)"
)


@pytest.mark.parametrize("name", _NAMED)
def test_what_the_system_says_may_pass(name):
    number = getattr(errno, name)

    assert passing_reason(OSError(number, "")) == os.strerror(number)
    for kind in (OSError, KeyError, RuntimeError, ValueError):
        assert passing_reason(kind(_HDF5.format(number, ""))) == os.strerror(number)


@pytest.mark.parametrize(
    "error",
    [
        FileNotFoundError(errno.ENOENT, "No such file or directory"),
        OSError("what follows byte 2880 of 5760 is no HDU"),
        KeyError("no records"),
        OSError(_HDF5.format(0, "Success")),
        OSError("truncated file: eof = 800, sblock->base_addr = 0"),
        InputError(what="the gzip file is truncated", where="run 3", fix="Restore it"),
    ],
)
def test_what_the_content_shows_does_not_pass(error):
    assert passing_reason(error) == ""
    require_lasting(error, where="run 3")


def test_the_cause_counts_but_not_what_was_dealt_with_before():
    gone = OSError(errno.ESTALE, "Stale file handle")
    with pytest.raises(ValueError, match="no index") as caused:
        raise ValueError("no index") from gone

    assert passing_reason(caused.value) == "Stale file handle"
    caused.value.__cause__ = None
    assert passing_reason(caused.value) == ""


def test_a_file_that_cannot_be_read_for_a_moment_is_told(tmp_path, monkeypatch):
    path = tmp_path / "run_3.fits"
    path.touch()

    def fail(_path: Path) -> bytes:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr(Path, "read_bytes", fail)

    with pytest.raises(PassingError, match=r"run 3: .*moment \(Stale.*run again"):
        read_content(path, where="run 3")


def test_a_product_that_cannot_be_read_for_a_moment_is_not_damaged(tmp_path):
    path = tmp_path / "count_1.h5"
    with h5py.File(path, "w") as file:
        file["counts"] = [1, 2, 3]

    told = r"count_1\.h5: .* \(Input/output error\)"
    with pytest.raises(PassingError, match=told), reading(path):
        raise KeyError(_HDF5.format(errno.EIO, "Input/output error"))
