"""The page of file layouts names every field that is written."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from bkgpipe.core.binning import Binning
from bkgpipe.simulate.mixing.data import BKG_TYPES, MixRecord, Provenance
from bkgpipe.stages.count.data import RunCounts
from bkgpipe.stages.export.data import ExportEntry
from bkgpipe.stages.fit.data import RegressionFit
from bkgpipe.stages.mask.data import ExclusionMask
from bkgpipe.stages.rank.data import Candidates, Ranking
from bkgpipe.stages.smooth.data import NodeModel, RateModel
from bkgpipe.stages.stack.data import Stack

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
