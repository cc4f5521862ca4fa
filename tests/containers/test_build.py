"""A file that is not the one of the lock gets into no image."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest

_PARTS = (
    "bkgpipe",
    "containers",
    "setup.cfg",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)


def _call(*words: str | Path, **where: Any) -> subprocess.CompletedProcess[str]:
    return subprocess.run(  # noqa: S603
        words, check=False, capture_output=True, text=True, **where
    )


@pytest.fixture(scope="module")
def build_dir(image: Path) -> Path:
    folder = os.environ.get("BKGPIPE_BUILD_DIR")
    if not folder or not (Path(folder) / "base" / "debian.tar").is_file():
        pytest.skip("BKGPIPE_BUILD_DIR has no base image, as make test-image makes it")
    assert image.exists()
    return Path(folder).resolve()


@pytest.fixture
def spoilt(root: Path, tmp_path: Path) -> Path:
    """Copy of the project with the hashes of one package changed."""
    folder = tmp_path / "spoilt"
    folder.mkdir()
    for name in _PARTS:
        copy = shutil.copytree if (root / name).is_dir() else shutil.copy
        copy(root / name, folder / name)
    path = folder / "containers" / "requirements.lock"
    text = path.read_text(encoding="utf-8")
    (block,) = re.findall(r"^click==.*\n(?:    .*\n)+", text, re.MULTILINE)
    changed = re.sub(r"sha256:[0-9a-f]{64}", f"sha256:{'0' * 64}", block)
    path.write_text(text.replace(block, changed), encoding="utf-8")
    return folder


def test_download_with_a_wrong_hash_is_refused(spoilt, build_dir, tmp_path):
    shutil.copytree(build_dir / "wheelhouse", tmp_path / "build" / "wheelhouse")
    environment = os.environ | {
        "BKGPIPE_BUILD_DIR": str(tmp_path / "build"),
        "BKGPIPE_BASE": str(build_dir / "base" / "debian.tar"),
    }

    done = _call(
        spoilt / "containers" / "build.sh", tmp_path / "image.sif", env=environment
    )

    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert "click" in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["build", "spoilt"]
    assert not list((tmp_path / "build").glob("context*"))


def test_build_with_a_wrong_hash_makes_no_image(spoilt, build_dir, tmp_path):
    (spoilt / "dist").mkdir()
    shutil.copy(build_dir / "base" / "debian.tar", spoilt / "base.tar")
    given = ("BOOTSTRAP=docker-archive", "FROM=base.tar")
    given += ("PIP_ARGS=--no-index --find-links /mnt",)
    arguments = [word for text in given for word in ("--build-arg", text)]
    words = ["apptainer", "build", "--fakeroot", *arguments]
    words += ["--bind", f"{build_dir / 'wheelhouse'}:/mnt"]

    done = _call(*words, tmp_path / "image.sif", "containers/bkgpipe.def", cwd=spoilt)

    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stdout + done.stderr
    assert not (tmp_path / "image.sif").exists()


def test_folder_that_is_no_image_is_not_replaced(root, image, tmp_path):
    (tmp_path / "precious").touch()

    done = _call(root / "containers" / "build.sh", tmp_path)

    assert image.exists()
    assert done.returncode == 1
    assert f"{tmp_path} is a folder, but no image" in done.stderr
    assert (tmp_path / "precious").exists()


def test_unknown_base_is_told(root, image, tmp_path):
    done = _call(
        root / "containers" / "build.sh",
        tmp_path / "image.sif",
        env=os.environ | {"BKGPIPE_BASE": "slackware"},
    )

    assert image.exists()
    assert done.returncode == 1
    assert "BKGPIPE_BASE is 'slackware', not registry, debian" in done.stderr
