from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def gammapy_data() -> Path:
    folder = os.environ.get("BKGPIPE_TEST_DATA") or os.environ.get("GAMMAPY_DATA")
    if not folder or not (Path(folder) / "hess-dl3-dr1").is_dir():
        pytest.skip("set GAMMAPY_DATA to a folder with hess-dl3-dr1 to run this test")
    return Path(folder).resolve()


@pytest.fixture(scope="session")
def hess_store(gammapy_data: Path) -> Path:
    return gammapy_data / "hess-dl3-dr1"
