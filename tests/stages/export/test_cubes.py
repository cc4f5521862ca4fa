from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from astropy.io import fits
from astropy.wcs import WCS

from bkgpipe.core.binning import Binning
from bkgpipe.errors import BinningMismatchError, OutputError
from bkgpipe.stages.export.cubes import write_image, write_table
from bkgpipe.stages.smooth.data import NodeModel, RateModel
from bkgpipe.stages.stack.data import Conditions, Stack

BINNING = Binning(
    energy_edges=np.geomspace(0.1, 10.0, 4),
    fov_lon_edges=np.linspace(-2.0, 2.0, 5),
    fov_lat_edges=np.linspace(-2.5, 2.5, 6),
    offset_edges=np.array([0.0, 1.5, 2.5]),
)
CONDITIONS = Conditions(
    zenith=21.0, azimuth=182.0, cos_zenith=0.93, deadc=0.91, muon_efficiency=0.85
)


def _node_model(binning: Binning = BINNING) -> NodeModel:
    return NodeModel(
        stack_id=4,
        obs_id=-1,
        binning=binning,
        bkg_3d=1.0 + np.arange(60.0).reshape(binning.shape_3d),
        bkg_2d=np.ones(binning.shape_2d),
        n_filled_3d=0,
        n_filled_2d=0,
        fov_alignment="ALTAZ",
        n_runs=3,
        livetime=5000.0,
        conditions=CONDITIONS,
    )


def _stack() -> Stack:
    rng = np.random.default_rng(1)
    return Stack(
        stack_id=4,
        binning=BINNING,
        obs_ids=np.array([1, 2, 3]),
        counts_3d=rng.poisson(5.0, BINNING.shape_3d).astype(float),
        exposure_3d=rng.uniform(1.0, 2.0, BINNING.shape_3d),
        counts_2d=rng.poisson(5.0, BINNING.shape_2d).astype(float),
        exposure_2d=rng.uniform(1.0, 2.0, BINNING.shape_2d),
        ontime=5500.0,
        livetime=5000.0,
        conditions=CONDITIONS,
    )


def _rate_model(stack: Stack) -> RateModel:
    width = BINNING.energy_width
    return RateModel(
        stack_id=4,
        binning=BINNING,
        method="none",
        rate_3d=stack.counts_3d / stack.exposure_3d / width[:, None, None],
        exposure_3d=stack.exposure_3d,
        rate_2d=stack.counts_2d / stack.exposure_2d / width[:, None],
        exposure_2d=stack.exposure_2d,
        n_runs=3,
        livetime=5000.0,
        conditions=CONDITIONS,
    )


def test_image_has_a_plane_for_each_energy(tmp_path: Path) -> None:
    model = _node_model()
    write_image(tmp_path / "image.fits.gz", model)
    with fits.open(tmp_path / "image.fits.gz") as hdus:
        assert hdus[0].header["BUNIT"] == "s-1 MeV-1 sr-1"
        assert hdus[0].header["FOVALIGN"] == "ALTAZ"
        planes = hdus[0].data * 1e6
        np.testing.assert_allclose(planes.transpose(0, 2, 1), model.bkg_3d)
        energies = hdus["ENERGIES"]
        np.testing.assert_array_equal(
            energies.data["ENERG_LO"], BINNING.energy_edges[:-1]
        )
        np.testing.assert_array_equal(
            energies.data["ENERG_HI"], BINNING.energy_edges[1:]
        )
        assert energies.columns["ENERG_LO"].unit == "TeV"


def test_image_coordinates_are_those_of_the_field(tmp_path: Path) -> None:
    write_image(tmp_path / "image.fits.gz", _node_model())
    wcs = WCS(fits.getheader(tmp_path / "image.fits.gz"))
    assert list(wcs.wcs.ctype) == ["FOV_LON", "FOV_LAT", ""]
    assert [str(unit) for unit in wcs.wcs.cunit] == ["deg", "deg", ""]
    lon, lat, plane = wcs.pixel_to_world_values([0, 3], [0, 4], [0, 2])
    np.testing.assert_allclose(lon, [-1.5, 1.5])
    np.testing.assert_allclose(lat, [-2.0, 2.0])
    np.testing.assert_allclose(plane, [1.0, 3.0])


def test_image_refuses_unequal_bins(tmp_path: Path) -> None:
    edges = np.array([-2.0, -1.0, 0.0, 0.5, 2.0])
    model = _node_model(replace(BINNING, fov_lon_edges=edges))
    with pytest.raises(OutputError, match=r"i\.fits\.gz: fov_lon_edges .*no images"):
        write_image(tmp_path / "i.fits.gz", model)


@pytest.mark.parametrize("axes", [("DETX", "DETY"), ("THETA",)])
def test_table_holds_what_went_in(tmp_path: Path, axes: tuple[str, ...]) -> None:
    stack = _stack()
    model = _rate_model(stack)
    write_table(tmp_path / "table.fits.gz", stack, model)
    kind = "3d" if len(axes) == 2 else "2d"
    edges = {
        "ENERG": BINNING.energy_edges,
        "DETX": BINNING.fov_lon_edges,
        "DETY": BINNING.fov_lat_edges,
        "THETA": BINNING.offset_edges,
    }
    with fits.open(tmp_path / "table.fits.gz") as hdus:
        table = hdus[f"BINNED_{kind.upper()}"]
        for name in ("ENERG", *axes):
            np.testing.assert_array_equal(table.data[f"{name}_LO"][0], edges[name][:-1])
            np.testing.assert_array_equal(table.data[f"{name}_HI"][0], edges[name][1:])
        counts, exposure, rate = (
            table.data[name][0].T for name in ("COUNTS", "EXPOSURE", "RATE")
        )
        units = {column.name: column.unit for column in table.columns}
        np.testing.assert_array_equal(counts, getattr(stack, f"counts_{kind}"))
        np.testing.assert_array_equal(exposure, getattr(stack, f"exposure_{kind}"))
        width = BINNING.energy_width.reshape(-1, *[1] * len(axes))
        np.testing.assert_allclose(rate * width * exposure, counts)
        assert units["EXPOSURE"] == "s sr"
        assert units["RATE"] == "s-1 TeV-1 sr-1"
        assert table.header["NRUNS"] == 3
        assert table.header["LIVETIME"] == 5000.0
        assert table.header["METHOD"] == "none"


def test_table_refuses_another_binning(tmp_path: Path) -> None:
    stack = _stack()
    other = replace(BINNING, energy_edges=np.geomspace(0.2, 10.0, 4))
    model = replace(_rate_model(stack), binning=other)
    with pytest.raises(BinningMismatchError, match=r"t\.fits\.gz: energy.*same \[binn"):
        write_table(tmp_path / "t.fits.gz", stack, model)


def test_equal_input_gives_equal_bytes(tmp_path: Path) -> None:
    for name in ("a", "b"):
        stack = _stack()
        write_table(tmp_path / f"{name}_table", stack, _rate_model(stack))
        write_image(tmp_path / f"{name}_image", _node_model())
    for kind in ("table", "image"):
        first, second = (tmp_path / f"{name}_{kind}" for name in ("a", "b"))
        assert first.read_bytes() == second.read_bytes()
