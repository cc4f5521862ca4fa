from __future__ import annotations

import pytest
from astropy.table import Table

from bkgpipe.chain.inputs import forget
from bkgpipe.chain.summary import read_states
from bkgpipe.flow import AllExports
from bkgpipe.flow.select import Select

_OF_ALL_RUNS = {"stack": 1, "smooth": 1}
_CHUNK = {"mask": 1, "count": 1, "rank": 4, "export": 1}


@pytest.fixture
def move(tmp_path):
    """Change what the index says of a run."""

    def change(obs_id):
        index = tmp_path / "store" / "obs-index.fits.gz"
        table = Table.read(index)
        table["ZEN_PNT"][table["OBS_ID"] == obs_id] += 1
        for key in ("CHECKSUM", "DATASUM"):  # of what it was
            table.meta.pop(key, None)
        table.write(index, overwrite=True)

    return change


def _n_outdated(settings):
    forget()
    return {state.stage: state.n_outdated for state in read_states(settings)}


@pytest.mark.parametrize(
    "case",
    [
        ({"stack__strategy": "groups"}, _CHUNK | _OF_ALL_RUNS),
        ({"stack__strategy": "own"}, _CHUNK | dict.fromkeys(_OF_ALL_RUNS, 1)),
        ({"stack__strategy": "ranked"}, _CHUNK | dict.fromkeys(_OF_ALL_RUNS, 1)),
        (
            {"smooth__method": "regression", "fit__terms": "zenith"},
            _CHUNK | {"fit": 1, "smooth": 4, "export": 4},
        ),
    ],
)
def test_what_a_changed_run_went_into_is_outdated(finish, build, move, case):
    changes, expected = case
    task = finish(**changes)
    assert not any(_n_outdated(task.settings).values())

    move(1006)
    assert not any(_n_outdated(task.settings).values())  # not selected yet
    assert build(task.sibling(Select))

    found = _n_outdated(task.settings)
    assert found.pop("select") == 0
    assert found == {stage: expected[stage] for stage in found}
    for state in read_states(task.settings):
        assert state.n_done + state.n_outdated == state.n_total
    assert build(task.sibling(AllExports))
    assert not any(_n_outdated(task.settings).values())
