"""Models as images for DS9, and as tables with the counts behind them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from astropy.io import fits

from bkgpipe.core.binning import Binning
from bkgpipe.errors import OutputError
from bkgpipe.stages.export.gadf import edge_cells, gadf_rate
from bkgpipe.stages.smooth.data import NodeModel, RateModel
from bkgpipe.stages.stack.data import Stack
from bkgpipe.store.fits_file import NO_IMAGE, row_table, write_fits, write_hdus

__all__ = ["write_image", "write_table"]


def write_image(path: Path, model: NodeModel) -> None:
    """Write a model as image cube, one plane per energy.

    Parameters
    ----------
    path : Path
        File to write, gzip.
    model : NodeModel
        The model; longitude is the horizontal axis of the images, the rates are those
        of the GADF file, and the table ``ENERGIES`` has the energies of the planes.

    Raises
    ------
    OutputError
        If the bins in the field are not of equal width: images have no others.
    """
    axes = {
        "fov_lon_edges": model.binning.fov_lon_edges,
        "fov_lat_edges": model.binning.fov_lat_edges,
    }
    image = fits.PrimaryHDU(data=gadf_rate(model.bkg_3d).transpose(0, 2, 1))
    image.header["BUNIT"] = "s-1 MeV-1 sr-1"
    image.header["FOVALIGN"] = model.fov_alignment
    for number, (name, edges) in enumerate(axes.items(), start=1):
        image.header.update(_linear_axis(path, name, edges, number=number))
    image.header.update({"CTYPE3": "", "CRPIX3": 1.0, "CRVAL3": 1.0, "CDELT3": 1.0})
    energies = model.binning.energy_edges
    columns = [
        fits.Column(name="ENERG_LO", format="D", unit="TeV", array=energies[:-1]),
        fits.Column(name="ENERG_HI", format="D", unit="TeV", array=energies[1:]),
    ]
    table = fits.BinTableHDU.from_columns(columns, name="ENERGIES")
    write_hdus(path, [image, table], compress=True)


def write_table(path: Path, stack: Stack, model: RateModel) -> None:
    """Write counts, exposure and rate of a stack, in both projections.

    Parameters
    ----------
    path : Path
        File to write, gzip.
    stack : Stack
        Counts and exposure.
    model : RateModel
        Rate per live time.

    Raises
    ------
    BinningMismatchError
        If stack and model have other edges.
    OutputError
        If it cannot be written.
    """
    stack.binning.require_same(model.binning, where=str(path))
    arrays_3d = (stack.counts_3d, stack.exposure_3d, model.rate_3d)
    arrays_2d = (stack.counts_2d, stack.exposure_2d, model.rate_2d)
    keywords = {
        "STACK_ID": stack.stack_id,
        "NRUNS": stack.obs_ids.size,
        "ONTIME": (stack.ontime, "[s]"),
        "LIVETIME": (stack.livetime, "[s]"),
        "METHOD": (model.method, "from counts to rate"),
    }
    tables = [
        row_table(name, _cubes(arrays, stack.binning), keywords)
        for name, arrays in (("BINNED_3D", arrays_3d), ("BINNED_2D", arrays_2d))
    ]
    write_fits(path, b"".join([NO_IMAGE, *tables]), compress=True)


def _linear_axis(
    path: Path, name: str, edges: np.ndarray, *, number: int
) -> dict[str, object]:
    width = (edges[-1] - edges[0]) / (edges.size - 1)
    if not np.allclose(np.diff(edges), width, rtol=1e-6):
        raise OutputError(
            what=f"{name} are not equally spaced, but pixels are",
            where=str(path),
            fix="Ask for equal bins in the field, or for no images",
        )
    return {
        f"CTYPE{number}": name.removesuffix("_edges").upper(),
        f"CUNIT{number}": "deg",
        f"CRPIX{number}": 0.5,
        f"CRVAL{number}": float(edges[0]),
        f"CDELT{number}": float(width),
    }


def _cubes(
    arrays: tuple[np.ndarray, np.ndarray, np.ndarray], binning: Binning
) -> dict[str, tuple[np.ndarray, str]]:
    counts, exposure, rate = arrays
    cells = edge_cells(binning, n_axes=rate.ndim)
    cells["COUNTS"] = (counts.T, "")
    cells["EXPOSURE"] = (exposure.T, "s sr")
    cells["RATE"] = (rate.T, "s-1 TeV-1 sr-1")
    return cells
