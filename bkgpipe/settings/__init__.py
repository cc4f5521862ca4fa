"""Settings: read once from a luigi.cfg, checked, frozen."""

from __future__ import annotations

from bkgpipe.settings.read import read_settings
from bkgpipe.settings.settings import Settings
from bkgpipe.settings.write import (
    settings_page,
    settings_template,
    settings_text,
    settings_values,
)
from bkgpipe.stages.table import STAGES

__all__ = [
    "STAGES",
    "Settings",
    "read_settings",
    "settings_page",
    "settings_template",
    "settings_text",
    "settings_values",
]
