"""Simulated archives as DL3 stores, with the truth beside them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from functools import lru_cache
from pathlib import Path

import astropy.units as u
import numpy as np
from astropy.coordinates import SkyCoord
from astropy.io import fits
from astropy.table import Table
from gammapy.irf import PSF3D, EffectiveAreaTable2D, EnergyDispersion2D
from gammapy.maps import MapAxis

from bkgpipe._version import __version__
from bkgpipe.datamodel import Events, ExclusionRegion, Run, RunTruth, Truth
from bkgpipe.errors import InputError, OutputError
from bkgpipe.io.fits_file import write_hdus
from bkgpipe.io.gadf import GADF_URL

__all__ = [
    "read_truth",
    "write_simulated_index",
    "write_simulated_run",
    "write_sources",
    "write_truth",
]

# Reference of the times, as in H.E.S.S. data: 2001-01-01 UTC in TT
_MJDREFI = 51910
_MJDREFF = 0.000742870370370241
_DAY = 86400.0

_PSF_WIDTH = 0.07
_ENERGY_RESOLUTION = 0.15

# Class and name of the HDUs in each file
_HDUS = {
    "events": ("events", "EVENTS"),
    "gti": ("gti", "GTI"),
    "aeff": ("aeff_2d", "AEFF"),
    "edisp": ("edisp_2d", "EDISP"),
    "psf": ("psf_table", "PSF"),
}


def write_simulated_run(path: Path, run: Run, events: Events) -> None:
    """Write the events and instrument responses of one run.

    The effective area is gammapy's parametrisation of H.E.S.S., the energy resolution
    15 %, the point spread function a Gaussian of 0.07 deg.

    Parameters
    ----------
    path : Path
        File to write, gzip; a temporary one is fine.
    run : Run
        The run.
    events : Events
        Its events.

    Raises
    ------
    OutputError
        If the file cannot be written.

    References
    ----------
    GADF 0.3, sections "Events", "GTI" and "IRFs / Full-enclosure".
    """
    hdus = [fits.PrimaryHDU(), _events_hdu(run, events), _gti_hdu(events)]
    write_hdus(path, [*hdus, *_response_hdus()], compress=True)


def write_simulated_index(store: Path, runs: Sequence[Run]) -> None:
    """Write the two index files of a simulated store.

    Parameters
    ----------
    store : Path
        Folder of the store; the runs are in it under their ``events_file``.
    runs : sequence of Run
        The runs.

    Raises
    ------
    OutputError
        If a file cannot be written.

    References
    ----------
    GADF 0.3, section "Data storage".
    """
    observations = fits.table_to_hdu(_observation_table(runs))
    observations.name = "OBS_INDEX"
    observations.header.update(_time_keywords() | _place_keywords(runs[0]))
    observations.header.update(_gadf_keywords("INDEX", "OBS"))
    rows = [
        (run.obs_id, kind, hdu_class, *_folder_and_name(run), hdu_name)
        for run in runs
        for kind, (hdu_class, hdu_name) in _HDUS.items()
    ]
    names = ["OBS_ID", "HDU_TYPE", "HDU_CLASS", "FILE_DIR", "FILE_NAME", "HDU_NAME"]
    index = fits.table_to_hdu(Table(rows=rows, names=names))
    index.name = "HDU_INDEX"
    index.header.update(_gadf_keywords("INDEX", "HDU"))
    for name, hdu in {"obs-index": observations, "hdu-index": index}.items():
        path = store / f"{name}.fits.gz"
        write_hdus(path, [fits.PrimaryHDU(), hdu], compress=True)


def write_truth(path: Path, run_truth: RunTruth) -> None:
    """Write the true rate of a simulated store beside it.

    Parameters
    ----------
    path : Path
        Text table to write (ECSV).
    run_truth : RunTruth
        The formula and the factor of each run.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    columns = {"OBS_ID": run_truth.obs_ids, "FACTOR": run_truth.factor}
    _write_ecsv(path, Table(columns, meta={"truth": asdict(run_truth.truth)}))


def read_truth(path: Path) -> RunTruth:
    """Read the true rate of a simulated store.

    Parameters
    ----------
    path : Path
        Text table (ECSV).

    Returns
    -------
    RunTruth
        The formula and the factor of each run.

    Raises
    ------
    InputError
        If the file is missing or is no such table.
    """
    try:
        table = Table.read(path, format="ascii.ecsv")
        return RunTruth(
            truth=Truth(**table.meta["truth"]),
            obs_ids=np.asarray(table["OBS_ID"]),
            factor=np.asarray(table["FACTOR"], dtype=float),
        )
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise InputError(
            what=f"the file holds no truth ({error})",
            where=str(path),
            fix="Give the truth.ecsv that 'simulate store' wrote",
        ) from error


def write_sources(path: Path, sources: Sequence[ExclusionRegion]) -> None:
    """Write the simulated sources as a catalogue, so that they can be excluded.

    Parameters
    ----------
    path : Path
        Text table to write (ECSV).
    sources : sequence of ExclusionRegion
        The sources.

    Raises
    ------
    OutputError
        If the file cannot be written.
    """
    table = Table(
        {
            "source_name": np.array([source.name for source in sources], dtype=str),
            "ra": np.array([source.ra for source in sources], dtype=float),
            "dec": np.array([source.dec for source in sources], dtype=float),
        },
        units={"ra": "deg", "dec": "deg"},
    )
    _write_ecsv(path, table)


def _write_ecsv(path: Path, table: Table) -> None:
    try:
        table.write(path, format="ascii.ecsv", overwrite=True)
    except OSError as error:
        raise OutputError(
            what=f"the file cannot be written ({error.strerror})",
            where=str(path),
            fix="Give a file in an existing folder with free space",
        ) from error


def _seconds(mjd: float | np.ndarray) -> np.ndarray:
    return np.asarray((mjd - _MJDREFI - _MJDREFF) * _DAY)


def _gadf_keywords(*classes: str) -> dict[str, object]:
    keywords: dict[str, object] = {
        "HDUCLASS": "GADF",
        "HDUDOC": GADF_URL,
        "HDUVERS": "0.3",
    }
    return keywords | {f"HDUCLAS{i}": word for i, word in enumerate(classes, start=1)}


def _time_keywords() -> dict[str, object]:
    return {
        "MJDREFI": _MJDREFI,
        "MJDREFF": _MJDREFF,
        "TIMEUNIT": "s",
        "TIMESYS": "TT",
        "TIMEREF": "LOCAL",
    }


def _place_keywords(run: Run) -> dict[str, object]:
    return {
        "GEOLON": run.longitude,
        "GEOLAT": run.latitude,
        "ALTITUDE": run.altitude,
    }


def _run_keywords(run: Run) -> dict[str, object]:
    return {
        "OBS_ID": run.obs_id,
        "TELESCOP": "SIMTEL",
        "INSTRUME": "SIMULATION",
        "ORIGIN": "bkgpipe simulate store",
        "CREATOR": f"bkgpipe {__version__}",
        "OBJECT": run.target,
        "OBS_MODE": "POINTING",
        "RA_PNT": run.ra,
        "DEC_PNT": run.dec,
        "ALT_PNT": 90.0 - run.zenith,
        "AZ_PNT": run.azimuth,
        "RA_OBJ": run.ra,
        "DEC_OBJ": run.dec,
        "RADECSYS": "ICRS",
        "EQUINOX": 2000.0,
        "ONTIME": run.ontime,
        "LIVETIME": run.livetime,
        "DEADC": run.deadc,
        "TSTART": float(_seconds(run.time_start)),
        "TSTOP": float(_seconds(run.time_stop)),
        "TELLIST": run.telescopes,
        "N_TELS": len(run.telescopes.split(",")),
        "MUONEFF": run.muon_efficiency,
        "EV_CLASS": "std",
    }


def _events_hdu(run: Run, events: Events) -> fits.BinTableHDU:
    columns = [
        fits.Column(
            name="EVENT_ID", format="K", array=np.arange(1, events.n_events + 1)
        ),
        fits.Column(name="TIME", format="D", unit="s", array=_seconds(events.time)),
        fits.Column(name="RA", format="D", unit="deg", array=events.ra),
        fits.Column(name="DEC", format="D", unit="deg", array=events.dec),
        fits.Column(name="ENERGY", format="D", unit="TeV", array=events.energy),
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="EVENTS")
    hdu.header.update(_gadf_keywords("EVENTS"))
    hdu.header.update(_time_keywords() | _place_keywords(run) | _run_keywords(run))
    return hdu


def _gti_hdu(events: Events) -> fits.BinTableHDU:
    columns = [
        fits.Column(name=name, format="D", unit="s", array=_seconds(limit))
        for name, limit in zip(("START", "STOP"), events.gti.T, strict=True)
    ]
    hdu = fits.BinTableHDU.from_columns(columns, name="GTI")
    hdu.header.update(_gadf_keywords("GTI") | _time_keywords())
    return hdu


@lru_cache(maxsize=1)
def _response_hdus() -> tuple[fits.BinTableHDU, ...]:
    """Effective area, energy dispersion and point spread function, for all runs."""
    energy = MapAxis.from_energy_bounds(
        "10 GeV", "200 TeV", nbin=10, per_decade=True, name="energy_true"
    )
    center = EffectiveAreaTable2D.from_parametrization(energy, instrument="HESS")
    # gammapy's makers fail on the single offset bin of the parametrisation
    offset = MapAxis.from_edges([0.0, 2.5, 5.0], unit="deg", name="offset")
    data = np.repeat(center.data, offset.nbin, axis=1)
    area = EffectiveAreaTable2D([energy, offset], data=data, unit=center.unit)
    migra = MapAxis.from_bounds(0.2, 5.0, nbin=80, name="migra", node_type="edges")
    dispersion = EnergyDispersion2D.from_gauss(
        energy, migra, offset, bias=0.0, sigma=_ENERGY_RESOLUTION
    )
    rad = MapAxis.from_bounds(0.0, 0.5, nbin=50, unit="deg", name="rad")
    width = np.radians(_PSF_WIDTH)
    profile = np.exp(-((rad.center.to_value("rad") / width) ** 2) / 2)
    density = np.broadcast_to(
        profile / (2 * np.pi * width**2), (energy.nbin, offset.nbin, rad.nbin)
    )
    spread = PSF3D([energy, offset, rad], data=density, unit="sr-1")
    hdus = []
    for response, name in zip(
        (area, dispersion, spread), ("AEFF", "EDISP", "PSF"), strict=True
    ):
        hdu = response.to_table_hdu()
        hdu.name = name
        hdus.append(hdu)
    return tuple(hdus)


def _folder_and_name(run: Run) -> tuple[str, str]:
    file = Path(run.events_file)
    return str(file.parent), file.name


def _observation_table(runs: Sequence[Run]) -> Table:
    galactic = SkyCoord(
        [run.ra for run in runs], [run.dec for run in runs], unit="deg"
    ).galactic
    table = Table()
    table["OBS_ID"] = [run.obs_id for run in runs]
    table["OBJECT"] = [run.target for run in runs]
    table["RA_PNT"] = [run.ra for run in runs] * u.deg
    table["DEC_PNT"] = [run.dec for run in runs] * u.deg
    table["GLON_PNT"], table["GLAT_PNT"] = galactic.l.to("deg"), galactic.b.to("deg")
    table["ZEN_PNT"] = [run.zenith for run in runs] * u.deg
    table["ALT_PNT"] = [90.0 - run.zenith for run in runs] * u.deg
    table["AZ_PNT"] = [run.azimuth for run in runs] * u.deg
    table["ONTIME"] = [run.ontime for run in runs] * u.s
    table["LIVETIME"] = [run.livetime for run in runs] * u.s
    table["DEADC"] = [run.deadc for run in runs]
    table["TSTART"] = _seconds(np.array([run.time_start for run in runs])) * u.s
    table["TSTOP"] = _seconds(np.array([run.time_stop for run in runs])) * u.s
    table["N_TELS"] = [len(run.telescopes.split(",")) for run in runs]
    table["TELLIST"] = [run.telescopes for run in runs]
    table["QUALITY"] = [run.quality for run in runs]
    table["MUONEFF"] = [run.muon_efficiency for run in runs]
    table["SAFE_ENERGY_LO"] = [run.safe_energy_min for run in runs] * u.TeV
    return table
