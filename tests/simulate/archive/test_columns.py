from __future__ import annotations

from collections.abc import Callable

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import SkyCoord

from bkgpipe.core.run import Events, Run
from bkgpipe.simulate.archive.columns import extra_columns

RunMaker = Callable[..., Run]


def _events(run: Run, n_events: int = 5) -> Events:
    steps = np.arange(n_events)
    return Events(
        obs_id=run.obs_id,
        ra=run.ra + 0.1 * steps,
        dec=run.dec - 0.2 * steps,
        energy=1.0 + steps,
        time=np.full(n_events, run.time_start),
        gti=np.array([[run.time_start, run.time_stop]]),
    )


def test_nothing_is_made_unasked(make_run: RunMaker) -> None:
    run = make_run()
    assert extra_columns(run, _events(run), ()) == {}


def test_directions_in_the_field(make_run: RunMaker) -> None:
    run = make_run()
    events = _events(run)

    found = extra_columns(run, events, ("DETX", "DETY", "THETA"))

    x, y, offset = (found[name][0] for name in ("DETX", "DETY", "THETA"))
    assert {unit for _, unit in found.values()} == {"deg"}
    np.testing.assert_allclose(
        x, 0.1 * np.arange(5) * np.cos(np.radians(events.dec)), atol=2e-3
    )
    np.testing.assert_allclose(y, -0.2 * np.arange(5), atol=2e-3)
    np.testing.assert_allclose(np.hypot(x, y), offset, atol=1e-4)


def test_galactic_directions(make_run: RunMaker) -> None:
    run = make_run()
    events = _events(run)

    found = extra_columns(run, events, ("GLON", "GLAT"))

    expected = SkyCoord(events.ra * u.deg, events.dec * u.deg).galactic
    np.testing.assert_allclose(found["GLON"][0], expected.l.deg, rtol=1e-6)
    np.testing.assert_allclose(found["GLAT"][0], expected.b.deg, rtol=1e-5)


def test_telescopes_and_types(make_run: RunMaker) -> None:
    run = make_run(telescopes="1,3,4")
    events = _events(run)

    found = extra_columns(run, events, ("MULTIP", "EVENT_TYPE"))
    number = extra_columns(run, events, ("EVENT_TYPE_INT",))

    assert found["MULTIP"][0].tolist() == [3] * 5
    assert found["EVENT_TYPE"][0].tobytes() == b"\x80\0\0\0" * 5
    assert number["EVENT_TYPE"][0].tolist() == [3] * 5


def test_what_is_not_simulated_is_not_a_number(make_run: RunMaker) -> None:
    run = make_run()
    for values, _ in extra_columns(run, _events(run), ("HIL_MSW", "HIL_MSL")).values():
        assert values.shape == (5,)
        assert np.isnan(values).all()


@pytest.mark.parametrize("name", ["DETX", "EVENT_TYPE", "GAMMANESS", "MULTIP"])
def test_a_run_without_events(name: str, make_run: RunMaker) -> None:
    run = make_run()
    values, _ = extra_columns(run, _events(run, 0), (name,))[name]
    assert values.shape == (0,)
