"""The commands: arguments in, words and an exit code out."""

from __future__ import annotations
