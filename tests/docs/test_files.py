"""The page of file layouts names every field that is written."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from bkgpipe.datamodel import (
    Binning,
    Candidates,
    ExclusionMask,
    ExportEntry,
    NodeModel,
    Ranking,
    RateModel,
    RegressionFit,
    RunCounts,
    Stack,
)
from bkgpipe.datamodel.mixing import BKG_TYPES, MixRecord, Provenance

_PAGE = Path(__file__).parents[2] / "docs" / "files.md"
_CLASSES = (
    *(Binning, ExclusionMask, RunCounts, Ranking, Candidates, Stack, RateModel),
    *(RegressionFit, NodeModel, ExportEntry, MixRecord, Provenance),
)


@pytest.mark.parametrize("datatype", _CLASSES, ids=lambda datatype: datatype.__name__)
def test_every_field_is_on_the_page(datatype: type) -> None:
    text = _PAGE.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    words = set(re.findall(r"`([^`\n]+)`", text))
    for name in (field.name for field in fields(datatype)):
        # `condition_names`, `_mean` stand for condition_names and condition_mean
        short = f"_{name.rpartition('_')[2]}"
        known = {name, f"{name}/", short} & words
        assert known, f"{datatype.__name__}.{name} is not in docs/files.md"


def test_kinds_of_events_are_on_the_page() -> None:
    text = _PAGE.read_text(encoding="utf-8").partition("`BKG_TYPE`: ")[2]

    assert set(map(str, BKG_TYPES.values())) == set(re.findall(r"\d+", text))
