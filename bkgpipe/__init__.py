"""Background models for gamma-ray astronomy, from a DL3 archive to GADF files."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from bkgpipe._version import __version__

if TYPE_CHECKING:
    from bkgpipe.api import Production

__all__ = ["Production", "__version__"]


def __getattr__(name: str) -> Any:
    # what it needs takes seconds to import, and the command must not wait for it
    if name == "Production":
        return import_module("bkgpipe.api").Production
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
