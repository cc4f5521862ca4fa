from __future__ import annotations

from bkgpipe.chain.excursions import read_excursions
from bkgpipe.chain.summary import find_chunks
from bkgpipe.flow.smooth import AllSmooths
from bkgpipe.stages.smooth.files import MODELS


def test_runs_beyond_the_fit_are_found(production, build):
    task = production(
        smooth__method="regression",
        fit__terms="zenith",
        binning__per_decade="5",
        select__max_zenith="40 deg",
        export__obs_ids=", ".join(map(str, range(1001, 1009))),
    )
    assert read_excursions(task.settings) == {}
    assert build(task.sibling(AllSmooths))

    found = read_excursions(task.settings)

    models = {}
    for path in find_chunks(task.settings, "smooth"):
        models |= MODELS.read(path).records
    assert found == {
        obs_id: model.excursions for obs_id, model in models.items() if model.excursions
    }
    assert found


def test_other_methods_have_no_conditions_beyond_a_fit(production, build):
    task = production()
    assert build(task.sibling(AllSmooths))
    assert read_excursions(task.settings) == {}
