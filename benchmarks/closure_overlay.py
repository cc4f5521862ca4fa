"""Find a simulated source again in front of the background of OFF runs.

For each seed, runs with the conditions and responses of four runs of H.E.S.S. DL3 DR1
at the Crab nebula get a source by `simulate store`, and background by `simulate
overlay` from all runs of the store that match, with the masks of a production of it.
They take the place of these four runs in the store, and the standard chain makes
background models, by a regression of all 105 runs. Then gammapy fits norm and tilt of
the model in each field of view, outside the source, and with them the source. Printed
are predicted over counted events outside the source, before that fit, and pulls of the
source by the errors of the fit; FOLDER gets a table and a figure.

With ``--background model`` events are drawn by `simulate mixing` from the very models
that are fitted, those of the real runs: the width of the pulls is then that of source
and fit alone.
Usage: ``python benchmarks/closure_overlay.py FOLDER [--seeds N]``
Wants ``GAMMAPY_DATA``.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import subprocess
import sys
import time
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

# One thread, also where the shell does not say so: before numpy is loaded
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ[_name] = "1"

import astropy.units as u  # noqa: E402
import numpy as np  # noqa: E402
from astropy.coordinates import SkyCoord  # noqa: E402
from astropy.table import Table  # noqa: E402
from gammapy.data import DataStore, EventList, Observation  # noqa: E402
from gammapy.datasets import Datasets, MapDataset  # noqa: E402
from gammapy.makers import (  # noqa: E402
    FoVBackgroundMaker,
    MapDatasetMaker,
    SafeMaskMaker,
)
from gammapy.maps import Map, MapAxis, WcsGeom  # noqa: E402
from gammapy.modeling import Fit  # noqa: E402
from gammapy.modeling.models import (  # noqa: E402
    Models,
    PointSpatialModel,
    PowerLawNormSpectralModel,
    PowerLawSpectralModel,
    SkyModel,
)
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.ticker import MaxNLocator  # noqa: E402
from scipy.stats import norm  # noqa: E402

from bkgpipe.plot.axes import COLORS, MARKERS  # noqa: E402
from bkgpipe.settings import read_settings, settings_template  # noqa: E402
from bkgpipe.simulate.archive.make import simulate_archive  # noqa: E402
from bkgpipe.simulate.mixing.make import mix_runs  # noqa: E402
from bkgpipe.simulate.mixing.provenance import read_provenance  # noqa: E402
from bkgpipe.simulate.overlay.make import PROVENANCE, overlay_runs  # noqa: E402
from bkgpipe.simulate.settings import read_simulate_settings  # noqa: E402
from bkgpipe.store.store import read_runs  # noqa: E402

# The Crab nebula, 0.5 deg and 1.5 deg off the centre
RUNS = (23523, 23526, 23559, 23592)
SOURCE = SkyCoord(83.6333, 22.0144, unit="deg")
# Close to what H.E.S.S. measured of it
INDEX, AMPLITUDE = 2.6, 3.45e-11  # TeV-1 s-1 cm-2 at 1 TeV
# Slope of the rate of H.E.S.S. DL3 DR1 above 1 TeV, by the cosine of the zenith angle
ZENITH_SLOPE = -4.26
# All but control_low: OFF events below the safe energy are not copied
TERMS = (
    "zenith",
    "azimuth",
    "time",
    "gradient",
    "gradient_zenith",
    "quadrupole",
    "control_outer",
)
BACKGROUNDS = ("overlay", "model")
PARAMETERS = ("amplitude", "index", "flux")

_EXCLUDED = 0.35  # deg around the source
_OFFSET_MAX = 2.0 * u.deg
_PIXEL = 0.05  # deg
_ENERGY = np.geomspace(10**-0.25, 10**1.5, 15) * u.TeV
_ENERGY_TRUE = MapAxis.from_energy_bounds(
    "0.3 TeV", "100 TeV", nbin=16, per_decade=True, name="energy_true"
)
_FLUX_RANGE = (1 * u.TeV, 30 * u.TeV)


@dataclass(frozen=True, kw_only=True, eq=False)
class Found:
    """What gammapy finds in the store of one seed.

    Attributes
    ----------
    seed : int
        Seed.
    predicted, counted : np.ndarray
        Background outside the source of each run, before any fit, ``(n_runs,)``.
    drawn, reused : int
        Events from OFF runs (or of the model), and those that came more than once.
    values, errors : np.ndarray
        Of `PARAMETERS`, amplitude and flux in their own units, shape ``(3,)``.
    """

    seed: int
    predicted: np.ndarray
    counted: np.ndarray
    drawn: int
    reused: int
    values: np.ndarray
    errors: np.ndarray

    @property
    def pulls(self) -> np.ndarray:
        """(found - true) / error, shape ``(3,)``."""
        pulls: np.ndarray = (self.values - _truth()) / self.errors
        return pulls


def main(arguments: argparse.Namespace) -> None:
    """Make all that is missing, and print what is found."""
    started = time.perf_counter()
    # of what OFF runs and simulated ones do not have in their headers
    logging.getLogger("gammapy").setLevel(logging.ERROR)
    folder: Path = arguments.folder.resolve()
    folder.mkdir(parents=True, exist_ok=True)
    _source_models().write(folder / "source.yaml", overwrite=True)
    config = _write_settings(folder / "real", _real_store())
    close = partial(_close_model, models=_run_chain(config), folder=folder)
    if arguments.background == "overlay":
        joined = _write_settings(folder / "joined", _make_joined(folder / "joined"))
        close = partial(_close_overlay, config=config, joined=joined, folder=folder)
    print(
        f"predicted/counted of {', '.join(map(str, RUNS))}; events drawn, reused; pulls"
    )
    found = []
    for seed in range(arguments.first, arguments.first + arguments.seeds):
        with TemporaryDirectory(dir=folder) as work, warnings.catch_warnings():
            # gammapy warns of columns that GADF does not know
            warnings.simplefilter("ignore")
            found.append(close(Path(work), seed=seed))
        print(_row(found[-1]), flush=True)
    name = f"closure_{arguments.background}"
    _table(found).write(folder / f"{name}.ecsv", overwrite=True)
    _figure(found).savefig(folder / f"{name}.png", dpi=120)
    print(_summary(found))
    print(f"{time.perf_counter() - started:.0f} s; {folder / name}.ecsv and .png")


def _write_settings(folder: Path, store: Path) -> Path:
    """Write the settings of a production of a store."""
    folder.mkdir(exist_ok=True)
    config = folder / "luigi.cfg"
    given = {
        "data.store": str(store),
        "data.output": str(folder / "production"),
        "data.gammapy_data": os.environ["GAMMAPY_DATA"],
        "fit.terms": ", ".join(TERMS),
        "export.obs_ids": " ".join(map(str, RUNS)),
    }
    config.write_text(settings_template(given), encoding="utf-8")
    return config


def _real_store() -> Path:
    return Path(os.environ["GAMMAPY_DATA"]) / "hess-dl3-dr1"


def _run_chain(config: Path) -> Path:
    """Run the standard chain, and return the store with its models."""
    command = [sys.executable, "-m", "bkgpipe", "run", "export", "--config"]
    command.append(str(config))
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    if done.returncode:
        raise RuntimeError(done.stderr)
    return read_settings(config).folder("export") / "store"


def _source_models() -> Models:
    spectrum = PowerLawSpectralModel(
        index=INDEX, amplitude=AMPLITUDE * u.Unit("TeV-1 s-1 cm-2")
    )
    place = PointSpatialModel(lon_0=SOURCE.ra, lat_0=SOURCE.dec, frame="icrs")
    place.lon_0.frozen = place.lat_0.frozen = True
    return Models([SkyModel(spectrum, place, name="source")])


def _truth() -> np.ndarray:
    model = _source_models()[0].spectral_model
    flux = model.integral(*_FLUX_RANGE).to_value("s-1 cm-2")
    return np.array([AMPLITUDE, INDEX, flux])


def _close_overlay(
    work: Path, *, folder: Path, config: Path, joined: Path, seed: int
) -> Found:
    """Put OFF events behind a source, make models of them, and find it again."""
    _simulate_signal(work / "signal", model=folder / "source.yaml", seed=seed)
    _add_off_events(work / "both", signal=work / "signal", config=config, seed=seed)
    for run in RUNS:
        name = f"data/run_{run}.fits.gz"
        shutil.copy(work / "both" / name, read_settings(joined).store / name)
    return _find([work / "both"], models=_run_chain(joined), seed=seed)


def _close_model(work: Path, *, folder: Path, models: Path, seed: int) -> Found:
    """Draw background from the models behind a source, and find it again."""
    _simulate_signal(work / "signal", model=folder / "source.yaml", seed=seed)
    _draw_events(work / "drawn", models=models, seed=seed)
    return _find([work / "signal", work / "drawn"], models=models, seed=seed)


def _simulate_signal(folder: Path, *, model: Path, seed: int) -> None:
    """Simulate the source alone."""
    given = [
        f"simulation.like={_real_store()}",
        f"simulation.obs_ids={' '.join(map(str, RUNS))}",
        f"simulation.seed={seed}",
        "truth.norm=1e-12 s-1 TeV-1 sr-1",
        f"source:crab.model={model}",
    ]
    simulate_archive(folder, settings=read_simulate_settings(None, given))


def _add_off_events(folder: Path, *, signal: Path, config: Path, seed: int) -> None:
    given = [
        f"overlay.store={signal}",
        f"overlay.production={config}",
        f"overlay.zenith_slope={ZENITH_SLOPE}",
        "overlay.order=random",
        "overlay.reuse=true",
        f"overlay.seed={seed}",
    ]
    overlay_runs(folder, read_simulate_settings(None, given).overlay)


def _make_joined(folder: Path) -> Path:
    """Make a store with all real runs, and places for the overlay runs."""
    real, store = _real_store(), folder / "store"
    shutil.copytree(real / "data", store / "data", dirs_exist_ok=True)
    shutil.copy(real / "obs-index.fits.gz", store)
    index = Table.read(real / "hdu-index.fits.gz")
    index["FILE_NAME"] = index["FILE_NAME"].astype(object)
    for row in index:
        if row["OBS_ID"] in RUNS and row["HDU_TYPE"] in {"events", "gti"}:
            row["FILE_NAME"] = f"run_{row['OBS_ID']}.fits.gz"
            row["HDU_NAME"] = row["HDU_TYPE"].upper()
    index["FILE_NAME"] = index["FILE_NAME"].astype(str)
    index.remove_column("SIZE")
    for key in ("CHECKSUM", "DATASUM"):  # of what it was
        index.meta.pop(key, None)
    index.write(store / "hdu-index.fits.gz", overwrite=True)
    return store


def _draw_events(folder: Path, *, models: Path, seed: int) -> None:
    """Draw background, and no source, from the models that are fitted."""
    given = [
        f"mixing.store={models}",
        "mixing.keep_events=false",
        f"mixing.seed={seed}",
        "component:background.type=total",
        "component:background.model=own",
    ]
    mix_runs(folder, settings=read_simulate_settings(None, given))


def _find(stores: Sequence[Path], *, models: Path, seed: int) -> Found:
    """Fit the source, and the background of each run."""
    lowest, drawn, reused = _told(stores[-1])
    datasets = [
        _reduce(_observation(stores, obs_id, models), lowest[obs_id]) for obs_id in RUNS
    ]
    outside = [one.mask_safe.data & _exclusion(one).data for one in datasets]
    pairs = list(zip(datasets, outside, strict=True))
    predicted = [one.npred_background().data[mask].sum() for one, mask in pairs]
    counted = [one.counts.data[mask].sum() for one, mask in pairs]
    spectrum = _fit(datasets)
    flux, error = spectrum.integral_error(*_FLUX_RANGE)[:2].to_value("s-1 cm-2")
    amplitude, index = spectrum.amplitude, spectrum.index
    return Found(
        seed=seed,
        predicted=np.array(predicted),
        counted=np.array(counted),
        drawn=drawn,
        reused=reused,
        values=np.array([amplitude.value, index.value, flux]),
        errors=np.array([amplitude.error, index.error, error]),
    )


def _observation(stores: Sequence[Path], obs_id: int, models: Path) -> Observation:
    """Open a run with the events of all stores, and our model of it."""
    irfs = ["aeff", "edisp", "psf"]
    parts = [DataStore.from_dir(store).obs(obs_id, irfs) for store in stores]
    events = EventList.from_stack([part.events for part in parts])
    model = DataStore.from_dir(models).obs(obs_id).bkg
    return parts[0].copy(in_memory=True, events=events, bkg=model)


def _told(store: Path) -> tuple[dict[int, float], int, int]:
    """Lowest energy of each run [TeV], events that were drawn, and drawn again."""
    lowest = {run.obs_id: run.safe_energy_min for run in read_runs(store).runs}
    files = [store / name for name in (PROVENANCE, "mixing.json")]
    provenance = next((read_provenance(p) for p in files if p.exists()), None)
    if provenance is None:
        return lowest, 0, 0
    raised: Any = provenance.settings.get("raised_thresholds", {})
    lowest |= {int(obs_id): energy for obs_id, energy in raised.items()}
    totals = provenance.totals
    return lowest, sum(t.drawn for t in totals), sum(t.reused for t in totals)


def _reduce(observation: Observation, lowest: float) -> MapDataset:
    """Make maps of a run, up to an offset, in bins above its lowest energy."""
    geom = WcsGeom.create(
        skydir=observation.get_pointing_icrs(observation.tmid),
        width=2 * _OFFSET_MAX,
        binsz=_PIXEL,
        frame="icrs",
        axes=[MapAxis.from_energy_edges(_ENERGY)],
    )
    empty = MapDataset.create(
        geom, energy_axis_true=_ENERGY_TRUE, name=f"run-{observation.obs_id}"
    )
    dataset = MapDatasetMaker().run(empty, observation)
    safe = SafeMaskMaker(
        methods=["offset-max", "aeff-max"], offset_max=_OFFSET_MAX, aeff_percent=10
    )
    dataset = safe.run(dataset, observation)
    dataset.mask_safe.data &= geom.energy_mask(energy_min=lowest * u.TeV).data
    return dataset


def _exclusion(dataset: MapDataset) -> Map:
    """Return a map that is true outside the source."""
    geom = dataset.counts.geom
    far = geom.separation(SOURCE) > _EXCLUDED * u.deg
    return Map.from_geom(geom, data=np.broadcast_to(far, geom.data_shape))


def _fit(datasets: Sequence[MapDataset]) -> PowerLawSpectralModel:
    """Fit the background outside the source, then all together."""
    for dataset in datasets:
        spectrum = PowerLawNormSpectralModel()
        spectrum.tilt.frozen = False
        maker = FoVBackgroundMaker(
            method="fit", exclusion_mask=_exclusion(dataset), spectral_model=spectrum
        )
        maker.run(dataset)
    joint = Datasets(datasets)
    joint.models = [*joint.models, *_source_models()]
    result = Fit().run(joint)
    if not result.success:
        raise RuntimeError(str(result))
    return joint.models["source"].spectral_model


def _row(one: Found) -> str:
    ratios = " ".join(f"{r:6.3f}" for r in one.predicted / one.counted)
    pulls = "  ".join(
        f"{name} {pull:+.2f}" for name, pull in zip(PARAMETERS, one.pulls, strict=True)
    )
    return f"{one.seed:4d}  {ratios}  {one.drawn:6d} {one.reused:5d}  {pulls}"


def _summary(found: Sequence[Found]) -> str:
    """Mean, its error, and width of pulls and ratios."""
    n_seeds = len(found)
    lines = []
    pulls = np.array([one.pulls for one in found])
    spread = pulls.std(axis=0, ddof=1)
    for name, mean, width in zip(PARAMETERS, pulls.mean(axis=0), spread, strict=True):
        lines.append(
            f"pull of {name:<10} {mean:+.2f} +- {width / n_seeds**0.5:.2f}, width "
            f"{width:.2f} +- {width / (2 * (n_seeds - 1)) ** 0.5:.2f}"
        )
    ratio = np.array([one.predicted / one.counted for one in found])
    for obs_id, values in zip(RUNS, ratio.T, strict=True):
        lines.append(
            f"predicted/counted {obs_id}  {values.mean():.3f} +- {values.std():.3f}"
        )
    lines.append(f"predicted/counted of all  {ratio.mean():.3f} +- {ratio.std():.3f}")
    return "\n".join(lines)


def _table(found: Sequence[Found]) -> Table:
    columns: dict[str, list[float]] = {"seed": [one.seed for one in found]}
    for i, obs_id in enumerate(RUNS):
        columns[f"predicted_{obs_id}"] = [float(one.predicted[i]) for one in found]
        columns[f"counted_{obs_id}"] = [int(one.counted[i]) for one in found]
    columns |= {
        name: [getattr(one, name) for one in found] for name in ("drawn", "reused")
    }
    for i, name in enumerate(PARAMETERS):
        columns[name] = [float(one.values[i]) for one in found]
        columns[f"{name}_error"] = [float(one.errors[i]) for one in found]
        columns[f"{name}_pull"] = [float(one.pulls[i]) for one in found]
    return Table(columns)


def _figure(found: Sequence[Found]) -> Figure:
    """Draw pulls in order of size beside the Gaussian, and the ratios of each run."""
    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    share = (np.arange(len(found)) + 0.5) / len(found)
    x = np.linspace(-3.5, 3.5, 200)
    left.plot(x, norm.cdf(x), color="0.5", label="unit Gaussian")
    for i, name in enumerate(PARAMETERS):
        pulls = np.sort([one.pulls[i] for one in found])
        label = f"{name}: {pulls.mean():+.2f}, width {pulls.std(ddof=1):.2f}"
        left.plot(pulls, share, MARKERS[i], color=COLORS[i], ms=4, label=label)
    left.set(xlabel="(found - true) / error", ylabel="share of seeds", xlim=(-3.5, 3.5))
    left.legend(loc="upper left", fontsize="small", frameon=False)
    for i, obs_id in enumerate(RUNS):
        ratio = np.array([one.predicted[i] / one.counted[i] for one in found])
        seeds = [one.seed for one in found]
        right.plot(seeds, ratio, MARKERS[i], color=COLORS[i], ms=4, label=str(obs_id))
    right.axhline(1.0, color="0.5", zorder=0)
    right.set(xlabel="seed", ylabel="predicted / counted outside the source")
    right.xaxis.set_major_locator(MaxNLocator(integer=True))
    figure.legend(
        *right.get_legend_handles_labels(), loc="outside right upper", title="run"
    )
    return figure


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="folder for everything that is made")
    parser.add_argument("--seeds", type=int, default=20, help="number of seeds")
    parser.add_argument("--first", type=int, default=1, help="first seed")
    parser.add_argument("--background", choices=BACKGROUNDS, default="overlay")
    return parser.parse_args()


if __name__ == "__main__":
    main(_arguments())
