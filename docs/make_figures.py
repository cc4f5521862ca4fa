"""Draw the figures of the pages about stages: ``python docs/make_figures.py``.

They are made from a simulated archive, which takes a minute or two, and kept in
``docs/figures`` in few colours, so that building the pages needs neither data nor time.
Draw them again when a figure of `bkgpipe show` changes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

import astropy.units as u
import h5py
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.table import Table
from gammapy.data import DataStore
from gammapy.datasets import MapDataset
from gammapy.makers import MapDatasetMaker
from gammapy.maps import MapAxis, WcsGeom
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from bkgpipe.plot.axes import COLORS
from bkgpipe.settings import read_settings

_FIGURES = Path(__file__).with_name("figures")
_WIDTH = 1400
_N_COLORS = 128
_OFFSET_MAX = 2.4
_RUN = "1007"
_SETTINGS = """
[data]
store = store
output = out
[select]
max_zenith = 52 deg
conditions = MUONEFF > 0.88
[mask]
catalogs =
circles = one: 84.6 -29.1 0.4, two: 82.3 -31.2 0.7,
  three: 85.1 -30.9 0.25, A: 83.63 -30 0.35
[rank]
hours = 2 h
[stack]
min_hours = 1 h
azimuth_edges = 0, 360 deg
"""
_TRUTH = (
    "simulation.fields=A: 83.63 -30.0, B: 150.0 -20.0",
    "simulation.zenith=sky 5, 58 deg",
    "simulation.muon_efficiency=normal 0.92, 0.03",
    "truth.zenith_slope=1.5",
    "truth.gradient_lat=0.05 deg-1",
    "truth.run_scatter=0.03",
)
_GROUPS = ("--set", "smooth.method=gaussian")
_RANKED = (*_GROUPS, "--set", "stack.strategy=ranked")


def main() -> None:
    """Simulate, run the chain in three ways, draw."""
    _FIGURES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        os.chdir(folder)
        Path("luigi.cfg").write_text(_SETTINGS, encoding="utf-8")
        given = [word for text in _TRUTH for word in ("--set", text)]
        _call("simulate", "store", "store", "--runs", "40", "--minutes", "20", *given)
        _call("run")
        _draw_products((), {"mask": _RUN, "count": _RUN, "smooth": _RUN})
        _draw_products(_GROUPS, {"stack": ""})
        _draw_products(_RANKED, {"rank": _RUN})
        _keep(_figure_select(), "select")
        _keep(_figure_export(), "export")
        _keep_report()


def _draw_products(given: tuple[str, ...], ids: dict[str, str]) -> None:
    """Draw a product of each stage, as `bkgpipe show` does."""
    _call("run", "export", *given)
    for stage, number in ids.items():
        path = max(Path("out").glob(f"{stage}-*/{stage}_*.h5"), key=_age)
        with h5py.File(path) as file:
            record = number or str(file["records/ids"][0])
        _call("show", str(path), "--id", record, "--plot", f"{stage}.png")
        _shrink(Image.open(f"{stage}.png"), stage)


def _figure_select() -> Figure:
    """Draw conditions of the runs, and which of them were selected."""
    runs = Table.read(next(Path("out").glob("select-*/runs.ecsv")))
    figure = Figure(figsize=(7, 3.6), layout="constrained")
    ax = figure.subplots()
    for selected, marker, label in ((True, "o", "selected"), (False, "X", "left out")):
        some = runs[np.asarray(runs["selected"], dtype=bool) == selected]
        color = COLORS[0 if selected else 1]
        ax.plot(
            some["zenith"], some["muon_efficiency"], marker, color=color, label=label
        )
    ax.axvline(52, color="0.4", linestyle=":")
    ax.axhline(0.88, color="0.4", linestyle=":")
    ax.set(xlabel="zenith angle [deg]", ylabel="muon efficiency")
    ax.legend(frameon=False, loc="upper left")
    return figure


def _figure_export() -> Figure:
    """Draw what gammapy predicts with a model, and what its run recorded."""
    (folder,) = Path("out").glob(f"export-{_fingerprint()}/store")
    observation = DataStore.from_dir(folder).get_observations(
        [int(_RUN)], required_irf="all-optional"
    )[0]
    axis = MapAxis.from_energy_bounds("0.1 TeV", "31.6 TeV", nbin=10)
    pointing = observation.get_pointing_icrs(observation.tmid)
    geom = WcsGeom.create(skydir=pointing, binsz=0.1, width="5 deg", axes=[axis])
    dataset = MapDatasetMaker(selection=["counts", "background"]).run(
        MapDataset.create(geom), observation
    )
    offset = geom.separation(pointing).to_value("deg")
    kept = offset < _OFFSET_MAX
    for circle in read_settings(Path("luigi.cfg")).mask.circles:
        place = SkyCoord(circle.ra, circle.dec, unit="deg")
        kept &= geom.separation(place) > circle.radius * u.deg
    figure = Figure(figsize=(9, 3.6), layout="constrained")
    spectrum, profile = figure.subplots(1, 2)
    rings = np.sqrt(np.linspace(0, _OFFSET_MAX**2, 11))
    events = {"predicted": dataset.background.data, "counted": dataset.counts.data}
    for label, values in events.items():
        by_ring, _ = np.histogram(offset[kept], rings, weights=values.sum(axis=0)[kept])
        _draw(spectrum, axis.edges.value, (values * kept).sum(axis=(1, 2)), label)
        _draw(profile, rings, by_ring, label)
    spectrum.set(xlabel="energy [TeV]", xscale="log", yscale="log")
    profile.set(xlabel="offset [deg]", ylim=(0, None))
    for ax in (spectrum, profile):
        ax.set_ylabel("events outside the mask")
        ax.legend(frameon=False, loc="lower left")
    return figure


def _draw(ax: Axes, edges: np.ndarray, values: np.ndarray, label: str) -> None:
    if label == "predicted":
        ax.stairs(values, edges, color=COLORS[0], linewidth=1.5, label=label)
    else:
        centers = (edges[1:] + edges[:-1]) / 2
        style = {"fmt": "o", "color": COLORS[1], "ms": 4}
        ax.errorbar(centers, values, np.sqrt(values), label=label, **style)


def _fingerprint() -> str:
    """Tell the export folder of the settings file without changes."""
    return read_settings(Path("luigi.cfg")).folder("export").name.split("-")[1]


def _keep_report() -> None:
    """Photograph the report, where there is a browser."""
    browser = shutil.which("chromium")
    (page,) = Path("out").glob("report-*/index.html")
    if browser:
        subprocess.run(  # noqa: S603
            [
                *(browser, "--headless=new", "--no-sandbox", "--disable-gpu"),
                *("--window-size=1280,1000", "--hide-scrollbars"),
                *("--screenshot=report.png", page.absolute().as_uri()),
            ],
            check=True,
            capture_output=True,
        )
        # without the heading, which names folders of this machine
        _shrink(Image.open("report.png").crop((0, 125, 1280, 1000)), "report")


def _call(*words: str) -> None:
    subprocess.run(  # noqa: S603
        [sys.executable, "-m", "bkgpipe", *words], check=True, stdout=subprocess.DEVNULL
    )


def _age(path: Path) -> float:
    return path.stat().st_mtime


def _keep(figure: Figure, name: str) -> None:
    with BytesIO() as file:
        figure.savefig(file, dpi=150)
        _shrink(Image.open(file), name)


def _shrink(image: Image.Image, name: str) -> None:
    image = image.convert("RGB")
    image.thumbnail((_WIDTH, _WIDTH))
    path = _FIGURES / f"{name}.png"
    few = image.quantize(_N_COLORS, Image.Quantize.MAXCOVERAGE)
    few.save(path, optimize=True)


if __name__ == "__main__":
    main()
