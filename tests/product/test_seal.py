from __future__ import annotations

import errno
import hashlib
import os
from dataclasses import replace
from pathlib import Path

import pytest

from bkgpipe.core.seal import Seal
from bkgpipe.errors import DamagedFileError, OutputError
from bkgpipe.product.seal import require_sealed, seal_files

_CONTENT = b"SIMPLE  = T" * 1000


@pytest.fixture
def seal(tmp_path: Path) -> Seal:
    (tmp_path / "store").mkdir()
    (tmp_path / "store" / "run_7.fits").write_bytes(_CONTENT)
    (found,) = seal_files(tmp_path, ["store/run_7.fits"])
    return found


def test_a_seal_has_size_and_checksum(seal, tmp_path):
    expected = hashlib.sha256(_CONTENT).hexdigest()

    assert seal == Seal(name="store/run_7.fits", size=11000, sha256=expected)
    require_sealed(tmp_path, seal)


def test_each_file_is_flushed_and_each_folder_once(tmp_path, monkeypatch):
    flushed, plain = [], os.fsync

    def note(number: int) -> None:
        flushed.append(Path(f"/proc/self/fd/{number}").resolve().name)
        plain(number)

    names = ["models/a.fits", "models/b.fits", "data/a.fits"]
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    monkeypatch.setattr(os, "fsync", note)

    seal_files(tmp_path, names)

    assert flushed == ["a.fits", "b.fits", "a.fits", "data", "models"]


def test_a_file_that_was_changed_is_refused(seal, tmp_path):
    path = tmp_path / seal.name
    content = bytearray(_CONTENT)
    content[5000] ^= 4
    path.write_bytes(content)
    with pytest.raises(DamagedFileError, match=r"run_7\.fits: the SHA-256 .* anew"):
        require_sealed(tmp_path, seal)

    path.write_bytes(b"")
    with pytest.raises(DamagedFileError, match="has 0 bytes, 11000 were written"):
        require_sealed(tmp_path, seal)

    with pytest.raises(DamagedFileError, match="No such file"):
        require_sealed(tmp_path, replace(seal, name="run_8.fits"))


def test_a_full_disk_is_told(seal, tmp_path, monkeypatch):
    def fail(_number: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)

    with pytest.raises(OutputError, match=r"No space left on device.*run again"):
        seal_files(tmp_path, [seal.name])
