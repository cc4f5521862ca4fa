"""Each stage makes the same of the same settings, or has another revision."""

from __future__ import annotations

import numpy as np
import pytest
from astropy.io import fits

from bkgpipe.flow import AllExports
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.rank.files import RANKINGS
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.files import STACKS
from bkgpipe.stages.table import STAGE_TABLE

# Of each revision of a stage: moments of all that it makes of a simulated archive
_GOLDEN: dict[tuple[str, str, int], list[float]] = {
    ("ranked", "mask", 4): [98357755000.0, 193240540000000.0],
    ("ranked", "count", 6): [15213.0, 50244941.0, 0.046908246, 0.96347325],
    ("ranked", "rank", 5): [1.0240842, 29.687],
    ("ranked", "stack", 5): [45451.0, 149798360.0, 356.90543, 62648.674],
    ("ranked", "smooth", 6): [3969096.3, 13353968000.0, 243208.58, 40822804.0],
    ("ranked", "export", 8): [4.1451952, 15386.521, 0.25678255, 44.733084],
    ("fitted", "mask", 4): [98357755000.0, 193240540000000.0],
    ("fitted", "count", 6): [15213.0, 50244941.0, 0.046908246, 0.96347325],
    ("fitted", "smooth", 6): [4309435.6, 14045470000.0, 254055.36, 41313698.0],
    ("fitted", "export", 8): [4.2998375, 15519.331, 0.26654497, 45.131676],
}
_WORDS = ("bkg_3d", "bkg_2d")
_RANKED = {"stack__strategy": "ranked", "rank__hours": "0.2 h"}
_FITTED = {"smooth__method": "regression", "fit__terms": "zenith"}


def _moments(*arrays: np.ndarray) -> list[float]:
    """Sum of each, and with weights that tell its places apart."""
    return [
        float(found)
        for array in arrays
        for found in (array.sum(), (array * np.arange(1, array.size + 1)).sum())
    ]


def _join(paths, read, *names):
    """Put a field of all records of all files into one array."""
    records = [each for path in paths for each in read(path).records.values()]
    return [
        np.concatenate([np.ravel(getattr(each, name)) for each in records])
        for name in names
    ]


def _made(settings) -> dict[str, list[float]]:
    def files(stage):
        return sorted(settings.folder(stage).glob(f"{stage}_*.h5"))

    masks = _join(files("mask"), MASKS.read, "excluded_pixels")
    counts = _join(files("count"), COUNTS.read, "counts_3d", "solid_angle_2d")
    made = {"mask": _moments(*masks), "count": _moments(*counts)}
    if files("rank"):
        made["rank"] = _moments(*_join(files("rank"), RANKINGS.read, "divergence"))
    if files("stack"):
        sums = _join(files("stack"), STACKS.read, "counts_3d", "exposure_2d")
        made["stack"] = _moments(*sums)
    made["smooth"] = _moments(
        *_join(files("smooth"), MODELS.read, "rate_3d", "rate_2d")
    )
    made["export"] = _moments(*(_models(settings, word) for word in _WORDS))
    return made


def _models(settings, word) -> np.ndarray:
    paths = sorted(settings.folder("export").glob(f"store/models/{word}_*.fits"))
    values = [np.ravel(fits.getdata(path)["BKG"]) for path in paths]
    return np.concatenate(values).astype(np.float64)


@pytest.mark.parametrize("changes", [_RANKED, _FITTED], ids=["ranked", "fitted"])
def test_a_stage_that_makes_something_else_has_another_revision(
    production, build, changes, request
):
    task = production(**changes).sibling(AllExports)
    assert build(task)
    revisions = {stage.word: stage.revision for stage in STAGE_TABLE}

    for word, found in _made(task.settings).items():
        case = request.node.callspec.id, word, revisions[word]
        assert case in _GOLDEN, f"write down {case}: {found}"
        assert found == pytest.approx(_GOLDEN[case], rel=1e-6), (
            f"{word} makes something else of the same settings: raise its revision in "
            "stages/table.py, and write down what it makes now"
        )
