"""Files to dataclasses and back."""

from __future__ import annotations
