from __future__ import annotations

import os
import shutil
import sys

import pytest


@pytest.fixture(autouse=True)
def _compiler() -> None:
    """Pass over these tests where nothing compiles the library, but not in CI."""
    if shutil.which(os.environ.get("CC", "cc")) and sys.platform == "linux":
        return
    reason = "needs Linux and a C compiler (cc), to intercept calls to the system"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)
