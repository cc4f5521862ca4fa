"""What of a production is on disk; knows no scheduler."""

from __future__ import annotations
