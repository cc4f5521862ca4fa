"""A pipe in place of a file is refused, not waited for."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from bkgpipe.core.regular import require_regular
from bkgpipe.errors import BkgpipeError
from bkgpipe.product.hdf5 import read_header
from bkgpipe.settings import read_settings
from bkgpipe.stages.mask.images import read_mask_file
from bkgpipe.stages.mask.regions import read_regions
from bkgpipe.store.files import read_content

_READERS: dict[str, Callable[[Path], object]] = {
    "settings": read_settings,
    "regions": lambda path: read_regions(path, nside=256),
    "mask": lambda path: read_mask_file(path, nside=256),
    "product": read_header,
    "events": lambda path: read_content(path, where="run 1"),
}


@pytest.mark.parametrize("name", _READERS)
def test_a_pipe_is_refused(tmp_path: Path, name: str):
    path = tmp_path / "pipe"
    os.mkfifo(path)

    with pytest.raises(BkgpipeError, match="it is no regular file"):
        _READERS[name](path)


def test_a_link_to_a_file_is_a_file(tmp_path: Path):
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")

    require_regular(tmp_path / "link")


@pytest.mark.parametrize("name", ["", "absent"])
def test_a_folder_and_nothing_are_no_files(tmp_path: Path, name: str):
    with pytest.raises(OSError, match=r"regular|No such file"):
        require_regular(tmp_path / name)
