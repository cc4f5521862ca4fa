"""Versions of what computed something."""

from __future__ import annotations

import platform
from importlib.metadata import version

__all__ = ["versions"]

_PACKAGES = (
    "bkgpipe",
    "astropy",
    "gammapy",
    "h5py",
    "healpy",
    "luigi",
    "numpy",
    "scipy",
)


def versions() -> dict[str, str]:
    """Look up the versions of Python and of the packages that compute.

    Returns
    -------
    dict of str to str
        Version of each.
    """
    found = {name: version(name) for name in _PACKAGES}
    return {"python": platform.python_version(), **found}
