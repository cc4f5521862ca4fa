"""Run the command line as ``python -m bkgpipe``."""

from __future__ import annotations

from bkgpipe.cli.main import main

__all__: list[str] = []

if __name__ == "__main__":
    main()
