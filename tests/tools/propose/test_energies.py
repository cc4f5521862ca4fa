from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from bkgpipe.errors import InputError
from bkgpipe.settings.run_sections import BinningSettings
from bkgpipe.tools.propose.data import Proposal, StoreSample
from bkgpipe.tools.propose.energies import propose_energies, require_energies

_GIVEN = {
    "offset_max": 2.5,
    "per_decade": 8,
    "safe_energy": 0.0,
    "field_bins": (20, 20),
}


def _propose(sample: StoreSample, **changes: object) -> dict[str, Proposal]:
    found = propose_energies(sample, **_GIVEN | changes)
    return {each.key.partition(".")[2]: each for each in found}


def _edges(sample: StoreSample, **changes: object) -> np.ndarray:
    """Edges as the settings make them of what is proposed."""
    found = _propose(sample, **changes)
    low, high = (
        float(found[key].value.removesuffix(" TeV"))
        for key in ("energy_min", "energy_max")
    )
    steps = int(found["per_decade"].value or 8)
    field = {"energy_edges": (), "offset_max": 2.5, "fov_bins": 20, "offset_bins": 20}
    return BinningSettings(
        energy_min=low, energy_max=high, per_decade=steps, **field
    ).energy_edges_tev


@pytest.fixture
def make_spectrum(make_sample, make_run) -> Callable[..., StoreSample]:
    """Factory: a store with these energies in the field and safe energies [TeV]."""

    def make(energy: np.ndarray, *safe: float, **changes: object) -> StoreSample:
        runs = tuple(
            make_run(obs_id=i, livetime=3600.0, safe_energy_min=value)
            for i, value in enumerate(safe or (np.nan,))
        )
        given = {"runs": runs, "hours_read": len(runs), "offset": np.zeros(energy.size)}
        return make_sample(energy=energy, **given | changes)

    return make


@pytest.fixture
def low_threshold() -> np.ndarray:
    """Energies that are most frequent at 0.03 TeV, a power law above [TeV]."""
    rng = np.random.default_rng(5)
    return np.concatenate(
        [rng.uniform(0.01, 0.03, 20_000), 0.03 * rng.pareto(1.7, 60_000) + 0.03]
    )


def test_the_axis_holds_nearly_all_events(make_spectrum, low_threshold):
    edges = _edges(make_spectrum(low_threshold, 0.08, 0.08, 0.2))

    is_inside = (low_threshold >= edges[0]) & (low_threshold < edges[-1])
    assert is_inside.mean() > 0.998
    assert 0.007 < edges[0] < 0.0103


def test_the_axis_has_no_decade_without_events(make_spectrum):
    edges = _edges(make_spectrum(np.geomspace(0.6, 20.0, 30_000), 0.66))

    assert 0.45 < edges[0] <= 0.61
    assert 19.0 < edges[-1] < 28.0


def test_events_below_the_safe_energy_are_inside(make_spectrum):
    edges = _edges(make_spectrum(np.geomspace(0.15, 100.0, 30_000), 0.3, 0.5, 0.5))

    assert edges[0] <= 0.151


def test_events_outside_the_field_do_not_count(make_spectrum):
    energy = np.concatenate([np.geomspace(0.2, 20, 30_000), np.full(9000, 300.0)])
    offset = np.concatenate([np.zeros(30_000), np.full(9000, 4.0)])

    assert _edges(make_spectrum(energy, 0.4, offset=offset))[-1] < 30.0


def test_a_low_threshold_does_not_end_the_axis_where_events_are(
    make_spectrum, low_threshold
):
    sample = make_spectrum(low_threshold, 0.08)
    most = np.quantile(low_threshold, 0.999)
    last = np.sort(low_threshold)[-30]
    assert last > 1.5 * most

    found = _propose(sample)

    assert _edges(sample)[-1] >= last
    assert found["energy_max"].reason == (
        f"about 30 events of the whole store have more than {last:.3g} TeV"
    )


def test_few_events_in_all_end_it_at_their_quantile(make_spectrum):
    found = _propose(make_spectrum(np.geomspace(0.2, 60, 2000), 0.4))

    assert found["energy_max"].reason.startswith("0.1% of the events in the field have")


def test_an_edge_is_on_the_safe_energy_that_most_runs_share(make_spectrum):
    safe = (0.2512, 0.2512, 0.2512, 0.31, 0.4365)
    sample = make_spectrum(np.geomspace(0.15, 50, 30_000), *safe)

    edges = _edges(sample)

    above = edges[edges >= 0.2512 * (1 - 1e-9)][0]
    assert above == pytest.approx(0.2512, rel=1e-3)
    assert _propose(sample)["energy_min"].reason.endswith(
        "an edge is on the safe energy of 3 of 5 runs, 0.2512 TeV"
    )


def test_no_edge_is_just_below_the_safe_energy_that_it_is_on(make_spectrum):
    for safe in (0.0784982722, 0.6606468669, 0.25118864):
        edges = _edges(make_spectrum(np.geomspace(0.01, 50, 30_000), safe))

        gap = np.log(edges[edges >= safe][0] / safe)
        assert 0 <= gap < 2e-3


def test_safe_energies_of_responses_count_like_those_of_the_table(make_spectrum):
    energy = np.geomspace(0.01, 50, 30_000)
    of_table = make_spectrum(energy, 0.0785)
    of_areas = make_spectrum(energy, safe={0: (0.0785, "aeff at 0.4 deg")})

    np.testing.assert_array_equal(_edges(of_table), _edges(of_areas))


def test_a_safe_energy_of_the_settings_comes_first(make_spectrum):
    sample = make_spectrum(np.geomspace(0.1, 50, 30_000), 0.3)

    found = _propose(sample, safe_energy=0.56)

    assert found["energy_min"].reason.endswith("on the safe energy, 0.56 TeV")


def test_without_safe_energies_edges_are_those_of_decades(make_spectrum):
    edges = _edges(make_spectrum(np.geomspace(0.1, 50, 30_000)))

    assert np.abs(np.log(edges)).min() < 2e-3


@pytest.mark.parametrize(
    ("n_events", "steps"),
    [(900, "4"), (9_000, "6"), (30_000, ""), (120_000, "12")],
)
def test_bins_are_as_wide_as_the_events_ask(make_spectrum, n_events, steps):
    found = _propose(make_spectrum(np.geomspace(0.2, 60, n_events), 0.3))

    assert found["per_decade"].value == steps


def test_the_number_of_events_is_that_of_the_whole_store(make_spectrum):
    sample = make_spectrum(np.geomspace(0.2, 60, 3_000), *[0.3] * 8, hours_read=2.0)

    found = _propose(sample)["per_decade"]

    assert found.is_kept
    assert found.reason == "about 12,000 events in the field in the whole store"


def test_no_bin_has_half_of_all_events(make_spectrum):
    rng = np.random.default_rng(1)
    narrow = np.exp(rng.normal(np.log(0.06), 0.15, 40_000))
    sample = make_spectrum(np.append(narrow, np.geomspace(0.05, 5, 4_000)), 0.07)

    found = _propose(sample)["per_decade"]

    assert found.value == "16"
    assert found.reason == "wider bins would have one with more than 30% of all events"


@pytest.mark.parametrize("taken", [0, 1])
def test_axes_never_have_equal_lengths(make_spectrum, taken):
    sample = make_spectrum(np.geomspace(0.2, 60, 30_000), 0.3)
    n_energy = _edges(sample, field_bins=()).size - 1

    edges = _edges(sample, field_bins=(n_energy + taken, n_energy))

    assert edges.size - 1 == n_energy + 1 + taken


def test_a_narrow_spectrum_has_some_bins(make_spectrum):
    edges = _edges(make_spectrum(np.geomspace(1.0, 1.1, 30_000), 1.0))

    assert edges.size - 1 >= 4


def test_a_store_without_readable_events_keeps_the_defaults(make_sample):
    found = _propose(make_sample(energy=np.empty(0), offset=np.empty(0)))

    assert all(each.is_kept for each in found.values())


def test_a_store_with_one_energy_is_refused(make_spectrum):
    sample = make_spectrum(np.full(500, 1.0))

    with pytest.raises(
        InputError, match=r"here: all 500 events .* same energy, 1 TeV.*column ENERGY"
    ):
        require_energies(sample, where="here")


@pytest.mark.parametrize("energy", [[1.0], [], [1.0, 1.1]])
def test_a_few_events_are_no_reason_to_refuse(make_spectrum, energy):
    require_energies(make_spectrum(np.array(energy)), where="here")
