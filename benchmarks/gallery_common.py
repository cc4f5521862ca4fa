"""What `gallery.py`, `empty_fields.py` and `safe_masks.py` share.

Productions of H.E.S.S. DL3 DR1 with and without some runs, maps of a run with the
background of several models, and tables in Markdown.
"""

from __future__ import annotations

import argparse
import logging
import os
import warnings
from collections.abc import Iterable, Mapping, Sequence
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path

import numpy as np
from astropy.coordinates import SkyCoord
from gammapy.data import DataStore, Observation
from gammapy.datasets import MapDataset
from gammapy.makers import MapDatasetMaker
from gammapy.maps import Map, MapAxis, WcsGeom

from bkgpipe import Production

__all__ = [
    "IRFS",
    "OBSERVATORY",
    "OFF_TARGET",
    "common_arguments",
    "make_background",
    "make_geom",
    "make_models",
    "open_stores",
    "publish",
    "rows_to_markdown",
    "runs_of",
]

IRFS = ("aeff", "edisp", "psf", "bkg")
OBSERVATORY = "observatory"
OFF_TARGET = "Off data"

_WORKERS = 2


def common_arguments(doc: str) -> argparse.ArgumentParser:
    """Make a parser with the arguments of all scripts, and keep gammapy quiet.

    Parameters
    ----------
    doc : str
        Docstring of the script; its first line is shown by ``--help``.

    Returns
    -------
    argparse.ArgumentParser
        Parser with ``folder``, ``--data``, ``--set`` and ``--page``.
    """
    # Columns that GADF does not know, and headers that the release does not have
    warnings.simplefilter("ignore")
    logging.getLogger("gammapy").setLevel(logging.ERROR)
    parser = argparse.ArgumentParser(description=doc.split("\n\n", maxsplit=1)[0])
    parser.add_argument("folder", type=Path, help="folder for everything that is made")
    parser.add_argument(
        "--data",
        type=Path,
        default=os.environ.get("GAMMAPY_DATA"),
        required="GAMMAPY_DATA" not in os.environ,
        help="folder with hess-dl3-dr1 and catalogs (default: $GAMMAPY_DATA)",
    )
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="a setting of all productions, as export.norm=run",
    )
    parser.add_argument(
        "--page", type=Path, help="page of the docs whose tables are replaced"
    )
    return parser


def runs_of(store: Path, *targets: str) -> list[int]:
    """List the runs of some targets.

    Parameters
    ----------
    store : Path
        Folder of a data store.
    *targets : str
        Names in ``TARGET_NAME``; all runs if none.

    Returns
    -------
    list of int
        Run numbers.
    """
    table = DataStore.from_dir(store).obs_table
    names = np.char.strip(table["TARGET_NAME"].astype(str))
    chosen = np.isin(names, targets) if targets else np.ones(len(table), dtype=bool)
    return [int(obs_id) for obs_id in table["OBS_ID"][chosen]]


def make_models(
    arguments: argparse.Namespace, *, held_out: Iterable[int] = ()
) -> Production:
    """Make models of all runs, or of runs that the fit does not see.

    Parameters
    ----------
    arguments : argparse.Namespace
        Those of the command line, see `common_arguments`.
    held_out : iterable of int
        Runs that are left out and get a model from the others. If none, all runs are
        in the fit and get a model.

    Returns
    -------
    Production
        The production, whose `store` has the models.
    """
    folder, runs = arguments.folder, sorted(held_out)
    folder.mkdir(parents=True, exist_ok=True)
    config = folder / "luigi.cfg"
    store, output = arguments.data / "hess-dl3-dr1", folder / "products"
    with redirect_stdout(StringIO()):
        Production.init(store, output=output, config=config, force=True)
    changes: dict[str, object] = {
        "data.gammapy_data": arguments.data,
        "export.store": "full",
        "select.exclude_obs_ids": runs,
        "export.obs_ids": runs,
    }
    changes |= dict(text.split("=", maxsplit=1) for text in arguments.set)
    return Production(config, settings=changes).run("export", workers=_WORKERS)


def open_stores(
    stores: Mapping[str, DataStore], obs_ids: Sequence[int]
) -> dict[int, dict[str, Observation]]:
    """Open runs with each of several background models.

    Parameters
    ----------
    stores : mapping of str to DataStore
        Stores with the same events, by the name of their models.
    obs_ids : sequence of int
        Runs.

    Returns
    -------
    dict of int to dict of str to Observation
        For each run its observation in each store.
    """
    opened = {
        name: store.get_observations(obs_ids, required_irf=IRFS)
        for name, store in stores.items()
    }
    return {
        obs_id: {name: found[str(obs_id)] for name, found in opened.items()}
        for obs_id in obs_ids
    }


def make_geom(center: SkyCoord, *, width: float, pixel: float, bins: int) -> WcsGeom:
    """Make the geometry of counts, from 0.1 to 100 TeV.

    Parameters
    ----------
    center : SkyCoord
        Centre of the map.
    width, pixel : float
        Width of map and pixels [deg].
    bins : int
        Energy bins a decade.

    Returns
    -------
    WcsGeom
        The geometry.
    """
    axis = MapAxis.from_energy_bounds(
        "0.1 TeV", "100 TeV", nbin=bins, per_decade=True, name="energy"
    )
    return WcsGeom.create(
        skydir=center, width=width, binsz=pixel, frame="icrs", axes=[axis]
    )


def make_background(observation: Observation, geom: WcsGeom) -> Map:
    """Project the background model of a run, as gammapy does for any analysis.

    Parameters
    ----------
    observation : Observation
        The run with its model.
    geom : WcsGeom
        Geometry of counts.

    Returns
    -------
    Map
        Events predicted in each pixel.
    """
    maker = MapDatasetMaker(selection=["background"])
    background: Map = maker.run(MapDataset.create(geom), observation).background
    return background


def rows_to_markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table in Markdown.

    Parameters
    ----------
    header : sequence of str
        Names of the columns.
    rows : iterable of sequence of str
        Cells of each row.

    Returns
    -------
    str
        The table.
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def publish(table: str, *, name: str, page: Path | None) -> None:
    """Print a table, and put it into a page of the docs if one is given.

    Parameters
    ----------
    table : str
        The table in Markdown.
    name : str
        The page has it between ``<!-- NAME -->`` and ``<!-- end -->``.
    page : Path or None
        The page.

    Raises
    ------
    ValueError
        If the page has no place for the table.
    """
    print(f"\n{table}\n")
    if page is None:
        return
    text = page.read_text(encoding="utf-8")
    before, start, rest = text.partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition("<!-- end -->")
    if not start or not end:
        raise ValueError(f"{page} has no place for the table {name}")
    page.write_text(f"{before}{start}\n{table}\n\n{end}{after}", encoding="utf-8")
