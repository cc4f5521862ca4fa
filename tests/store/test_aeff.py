from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy import units as u
from astropy.io import fits
from astropy.table import Table
from gammapy.data import DataStore
from gammapy.irf import EffectiveAreaTable2D
from gammapy.maps import MapAxis

from bkgpipe.core.run import Run
from bkgpipe.errors import InputError
from bkgpipe.store import aeff
from bkgpipe.store.aeff import find_safe_energy, read_safe_energy
from bkgpipe.store.store import read_runs


def _make_area(values: list[float]) -> EffectiveAreaTable2D:
    """Area of 1 to 100 TeV in bins of half a decade, the same at all offsets."""
    energy = MapAxis.from_energy_edges(
        np.geomspace(1.0, 100.0, 5) * u.TeV, name="energy_true"
    )
    offset = MapAxis.from_nodes([0.0, 1.0, 2.0], unit="deg", name="offset")
    data = np.array(values)[:, np.newaxis] * np.ones(3)
    return EffectiveAreaTable2D(axes=[energy, offset], data=data, unit="m2")


@pytest.fixture
def write_area(
    make_store: Callable[..., Path], observations: Table, hdu_rows: Table
) -> Callable[[list[float]], Path]:
    """Write the effective area of run 7 and return the store."""

    def _write_area(values: list[float]) -> Path:
        store = make_store(observations, hdu_rows)
        hdu = _make_area(values).to_table_hdu(format="gadf-dl3")
        hdu.name = "AEFF"
        hdu.writeto(store / "data" / "irf_7.fits")
        return store

    return _write_area


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [
        # centres at 10^0.25, 10^0.75, 10^1.25, 10^1.75
        (0.1, 10**0.75),
        (0.55, 10**1.0),
        (1.0, 10**1.25),
        (0.01, 1.0),
    ],
)
def test_energy_is_interpolated(
    write_area: Callable[[list[float]], Path],
    run: Run,
    fraction: float,
    expected: float,
) -> None:
    store = write_area([2.0, 10.0, 100.0, 50.0])
    found, offset = read_safe_energy(store, run, fraction=fraction, offset=0.5)
    assert found == pytest.approx(expected, rel=1e-6)
    assert offset == 0.5


def _write_single(store: Path, low: float, high: float) -> None:
    """Write responses of one offset, as MAGIC does."""
    edges = np.geomspace(1.0, 100.0, 5)
    columns = {
        "ENERG_LO": (edges[:-1], "TeV"),
        "ENERG_HI": (edges[1:], "TeV"),
        "THETA_LO": ([low], "deg"),
        "THETA_HI": ([high], "deg"),
        "EFFAREA": ([[2.0, 10.0, 100.0, 50.0]], "m2"),
    }
    table = Table({name: [np.array(v, "f4")] for name, (v, _) in columns.items()})
    for name, (_, unit) in columns.items():
        table[name].unit = unit
    hdu = fits.table_to_hdu(table)
    hdu.name = "AEFF"
    hdu.writeto(store / "data" / "irf_7.fits", overwrite=True)


def test_responses_of_a_single_offset_are_taken_there(
    write_area: Callable[[list[float]], Path], run: Run
) -> None:
    store = write_area([1.0, 1.0, 1.0, 1.0])
    _write_single(store, 0.39, 0.41)

    energy, offset = read_safe_energy(store, run, fraction=0.1, offset=1.0)
    found = find_safe_energy(
        store, run, source="aeff", section="count", fraction=0.1, offset=1.0
    )

    assert energy == pytest.approx(10**0.75, rel=1e-6)
    assert offset == pytest.approx(0.4)
    assert found == (energy, "aeff at 0.4 deg")


def test_an_offset_beyond_the_axis_is_taken_at_its_end(
    write_area: Callable[[list[float]], Path], run: Run
) -> None:
    store = write_area([2.0, 10.0, 100.0, 50.0])

    energy, offset = read_safe_energy(store, run, fraction=0.1, offset=5.0)

    assert energy == pytest.approx(10**0.75, rel=1e-6)
    assert offset == pytest.approx(2.0)


def test_areas_are_interpolated_between_offsets(
    make_store: Callable[..., Path], observations: Table, hdu_rows: Table, run: Run
) -> None:
    store = make_store(observations, hdu_rows)
    area = _make_area([2.0, 10.0, 100.0, 50.0])
    area.data = area.data * np.array([1.0, 0.5, 0.2]) + np.array([0.0, 4.0, 9.0])
    hdu = area.to_table_hdu(format="gadf-dl3")
    hdu.name = "AEFF"
    hdu.writeto(store / "data" / "irf_7.fits")
    center = area.axes["energy_true"].center
    expected = area.evaluate(energy_true=center, offset=1.3 * u.deg).to_value("m2")

    found, _ = read_safe_energy(store, run, fraction=0.3, offset=1.3)

    limit = 0.3 * expected.max()
    crossing = np.interp(limit, expected[:3], np.log(center.to_value("TeV"))[:3])
    assert found == pytest.approx(np.exp(crossing), rel=1e-4)


def test_no_area_at_all(write_area: Callable[[list[float]], Path], run: Run) -> None:
    store = write_area([0.0, 0.0, 0.0, 0.0])
    assert np.isnan(read_safe_energy(store, run, fraction=0.1, offset=0.5)[0])


def test_run_without_effective_area(
    write_area: Callable[[list[float]], Path], run: Run
) -> None:
    store = write_area([2.0, 10.0, 100.0, 50.0])
    other = replace(run, obs_id=8)
    assert np.isnan(read_safe_energy(store, other, fraction=0.1, offset=0.5)[0])


def test_missing_and_damaged_file(
    write_area: Callable[[list[float]], Path], run: Run
) -> None:
    store = write_area([2.0, 10.0, 100.0, 50.0])
    path = store / "data" / "irf_7.fits"
    where = r"run 7 \(data/irf_7\.fits\)"
    fits.setval(path, "TTYPE1", value="OTHER", ext=1)
    with pytest.raises(InputError, match=rf"{where}: .*damaged.*exclude the run"):
        read_safe_energy(store, run, fraction=0.1, offset=0.5)
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(InputError, match=rf"{where}: .*truncated.*exclude the run"):
        read_safe_energy(store, run, fraction=0.1, offset=0.5)
    path.unlink()
    with pytest.raises(InputError, match=rf"{where}: .*No such file.*exclude the run"):
        read_safe_energy(store, run, fraction=0.1, offset=0.5)


def test_changed_index_is_read_again(
    write_area: Callable[[list[float]], Path], run: Run, hdu_rows: Table
) -> None:
    store = write_area([2.0, 10.0, 100.0, 50.0])
    assert read_safe_energy(store, run, fraction=0.1, offset=0.5)[0] > 0
    hdu_rows[1:].write(store / "hdu-index.fits", overwrite=True)
    assert np.isnan(read_safe_energy(store, run, fraction=0.1, offset=0.5)[0])


def test_hess_agrees_with_gammapy(hess_store: Path) -> None:
    run = read_runs(hess_store).runs[0]

    found, _ = read_safe_energy(hess_store, run, fraction=0.1, offset=0.5)

    observation = DataStore.from_dir(hess_store).obs(run.obs_id)
    axis = observation.aeff.axes["energy_true"]
    assert 0.2 < found < 0.4
    area = observation.aeff.evaluate(energy_true=axis.center, offset=0.5 * u.deg)
    limit = 0.1 * area.max()
    above = axis.center[area >= limit][0].to_value("TeV")
    below = axis.center[area < limit][0].to_value("TeV")
    assert below < found <= above


@pytest.fixture
def no_area(monkeypatch):
    monkeypatch.setattr(aeff, "read_safe_energy", lambda *_, **__: (float("nan"), 1.0))


@pytest.mark.usefixtures("no_area")
@pytest.mark.parametrize(
    ("source", "of_table", "expected"),
    [
        ("auto", 0.4, (0.4, "table")),
        ("table", 0.4, (0.4, "table")),
        ("none", 0.4, (0.0, "none")),
        ("auto", float("nan"), (0.0, "none")),
    ],
)
def test_the_source_is_that_of_the_settings(make_run, source, of_table, expected):
    run = make_run(7, safe_energy_min=of_table)
    found = find_safe_energy(Path(), run, source=source, section="count")
    assert found == expected


@pytest.mark.usefixtures("no_area")
@pytest.mark.parametrize("source", ["table", "aeff"])
def test_a_source_without_an_energy_is_refused(make_run, source):
    run = make_run(7, safe_energy_min=float("nan"))
    with pytest.raises(InputError, match=rf"run 7: .*\[mixing\] .*{source}.*auto"):
        find_safe_energy(Path(), run, source=source, section="mixing")
