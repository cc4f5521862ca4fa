"""What is computed: arrays in, arrays out; knows no files and no scheduler."""

from __future__ import annotations
