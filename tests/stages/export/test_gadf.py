from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import astropy.units as u
import numpy as np
import pytest
from astropy.coordinates import EarthLocation, SkyCoord
from astropy.io import fits
from astropy.time import Time
from gammapy.data import FixedPointingInfo
from gammapy.irf import Background2D, Background3D, load_irf_dict_from_file
from gammapy.makers.utils import make_map_background_irf
from gammapy.maps import MapAxis, WcsGeom, WcsNDMap
from gammapy.utils.coordinates import FoVAltAzFrame, FoVICRSFrame

from bkgpipe.core.binning import Binning
from bkgpipe.core.product import ProductHeader
from bkgpipe.errors import OutputError
from bkgpipe.stages.export.gadf import Origin, gadf_rate, write_bkg_2d, write_bkg_3d
from bkgpipe.stages.smooth.data import NodeModel
from bkgpipe.stages.stack.data import Conditions

HEADER = ProductHeader(
    stage="export", fingerprint="3fa9c1", inputs="ab", seconds=1.0, version="1.2.3"
)
ORIGIN = Origin(telescope="HESS", instrument="Phase I", organisation="H.E.S.S.")
BINNING = Binning(
    energy_edges=np.geomspace(0.1, 10.0, 4),
    fov_lon_edges=np.linspace(-2.5, 2.5, 21),
    fov_lat_edges=np.linspace(-2.6, 2.6, 27),
    offset_edges=2.5 * np.sqrt(np.linspace(0.0, 1.0, 6)),
)
CONDITIONS = Conditions(
    zenith=21.0, azimuth=182.0, cos_zenith=0.93, deadc=0.91, muon_efficiency=0.85
)
POINTING = SkyCoord(83.0, -22.0, unit="deg")
PLACE = EarthLocation.from_geodetic(16.5, -23.27, 1835.0)
START = Time(53343.92, format="mjd", scale="tt")


def _model(binning: Binning = BINNING, **changes: object) -> NodeModel:
    """A model that falls as E**-2 and is flat in the field: gammapy's sum is exact."""
    edges = binning.energy_edges
    spectrum = 300.0 / (edges[1:] * edges[:-1])
    model = NodeModel(
        stack_id=4,
        obs_id=23523,
        binning=binning,
        bkg_3d=np.broadcast_to(spectrum[:, None, None], binning.shape_3d).copy(),
        bkg_2d=np.broadcast_to(spectrum[:, None], binning.shape_2d).copy(),
        n_filled_3d=7,
        n_filled_2d=3,
        fov_alignment="RADEC",
        n_runs=12,
        livetime=7200.0,
        conditions=CONDITIONS,
    )
    return replace(model, **changes)  # type: ignore[arg-type]


def _blob(*, lon: float, lat: float, alignment: str) -> NodeModel:
    model = _model(fov_alignment=alignment)
    centers = [
        (edges[1:] + edges[:-1]) / 2
        for edges in (BINNING.fov_lon_edges, BINNING.fov_lat_edges)
    ]
    x, y = np.meshgrid(*centers, indexing="ij")
    blob = 1.0 + 1000.0 * np.exp(-((x - lon) ** 2 + (y - lat) ** 2) / 2 / 0.3**2)
    return replace(model, bkg_3d=model.bkg_3d * blob)


def _predicted(bkg: Background3D | Background2D, *, ontime: float = 60.0) -> WcsNDMap:
    axis = MapAxis.from_energy_edges(BINNING.energy_edges * u.TeV)
    geom = WcsGeom.create(skydir=POINTING, width=3.0, binsz=0.05, axes=[axis])
    return make_map_background_irf(
        pointing=FixedPointingInfo(fixed_icrs=POINTING),
        ontime=ontime * u.s,
        bkg=bkg,
        geom=geom,
        time_start=START,
        location=PLACE,
    )


def test_gammapy_reads_the_3d_model_back(tmp_path: Path) -> None:
    model = _blob(lon=1.0, lat=-0.5, alignment="ALTAZ")
    write_bkg_3d(tmp_path / "bkg.fits", model, header=HEADER, origin=ORIGIN)
    bkg = Background3D.read(tmp_path / "bkg.fits")
    assert bkg.axes.names == ["energy", "fov_lon", "fov_lat"]
    assert bkg.unit == u.Unit("s-1 MeV-1 sr-1")
    assert bkg.fov_alignment.value == "ALTAZ"
    assert bkg.data.dtype.itemsize == 8
    np.testing.assert_allclose(bkg.quantity.to_value("s-1 TeV-1 sr-1"), model.bkg_3d)
    np.testing.assert_allclose(bkg.axes["energy"].edges.value, BINNING.energy_edges)
    np.testing.assert_allclose(bkg.axes["fov_lon"].edges.value, BINNING.fov_lon_edges)
    np.testing.assert_allclose(bkg.axes["fov_lat"].edges.value, BINNING.fov_lat_edges)


def test_gammapy_reads_the_2d_model_back(tmp_path: Path) -> None:
    model = _model()
    model = replace(model, bkg_2d=model.bkg_2d * np.linspace(1.0, 0.3, 5))
    write_bkg_2d(tmp_path / "bkg.fits", model, header=HEADER, origin=ORIGIN)
    bkg = Background2D.read(tmp_path / "bkg.fits")
    assert bkg.axes.names == ["energy", "offset"]
    assert bkg.fov_alignment.value == "RADEC"
    np.testing.assert_allclose(bkg.quantity.to_value("s-1 TeV-1 sr-1"), model.bkg_2d)
    np.testing.assert_allclose(bkg.axes["offset"].edges.value, BINNING.offset_edges)


@pytest.mark.parametrize("alignment", ["RADEC", "ALTAZ"])
def test_gammapy_sees_a_blob_where_it_is(tmp_path: Path, alignment: str) -> None:
    model = _blob(lon=0.875, lat=-0.5, alignment=alignment)
    write_bkg_3d(tmp_path / "bkg.fits", model, header=HEADER, origin=ORIGIN)
    counts = _predicted(Background3D.read(tmp_path / "bkg.fits")).sum_over_axes()
    index = np.unravel_index(counts.data.argmax(), counts.data.shape)
    peak = counts.geom.to_image().pix_to_coord(index[:0:-1])
    sky = SkyCoord(*peak, frame="icrs")
    if alignment == "RADEC":
        frame = FoVICRSFrame(origin=POINTING)
        assert sky.ra.deg < POINTING.ra.deg
    else:
        origin = FixedPointingInfo(fixed_icrs=POINTING).get_altaz(START, PLACE)
        frame = FoVAltAzFrame(origin=origin, location=PLACE, obstime=START)
    seen = sky.transform_to(frame)
    assert seen.fov_lon.deg == pytest.approx(0.875, abs=0.06)
    assert seen.fov_lat.deg == pytest.approx(-0.5, abs=0.06)


@pytest.mark.parametrize("alignment", ["RADEC", "ALTAZ"])
def test_gammapy_predicts_the_counts_that_went_in(
    tmp_path: Path, alignment: str
) -> None:
    model = _model(fov_alignment=alignment)
    write_bkg_3d(tmp_path / "3d.fits", model, header=HEADER, origin=ORIGIN)
    write_bkg_2d(tmp_path / "2d.fits", model, header=HEADER, origin=ORIGIN)
    spectrum = model.bkg_2d[:, 0] * BINNING.energy_width
    for bkg in (
        Background3D.read(tmp_path / "3d.fits"),
        Background2D.read(tmp_path / "2d.fits"),
    ):
        counts = _predicted(bkg)
        solid_angle = counts.geom.to_image().solid_angle().to_value("sr").sum()
        predicted = counts.data.sum(axis=(1, 2))
        np.testing.assert_allclose(predicted, spectrum * solid_angle * 60.0, rtol=1e-6)


@pytest.mark.parametrize(
    ("write", "hdu_class", "n_filled"),
    [(write_bkg_3d, "BKG_3D", 7), (write_bkg_2d, "BKG_2D", 3)],
)
def test_keywords_are_complete(
    tmp_path: Path, write: type, hdu_class: str, n_filled: int
) -> None:
    write(tmp_path / "bkg.fits", _model(), header=HEADER, origin=ORIGIN)
    header = fits.getheader(tmp_path / "bkg.fits", 1)
    expected = {
        "EXTNAME": "BACKGROUND",
        "HDUCLASS": "GADF",
        "HDUVERS": "0.3",
        "HDUCLAS1": "RESPONSE",
        "HDUCLAS2": "BKG",
        "HDUCLAS3": "FULL-ENCLOSURE",
        "HDUCLAS4": hdu_class,
        "FOVALIGN": "RADEC",
        "TELESCOP": "HESS",
        "INSTRUME": "Phase I",
        "ORIGIN": "H.E.S.S.",
        "CREATOR": "bkgpipe 1.2.3",
        "FPRINT": "3fa9c1",
        "NRUNS": 12,
        "HOURS": 2.0,
        "ZENITH": 21.0,
        "AZIMUTH": 182.0,
        "DEADC": 0.91,
        "MUONEFF": 0.85,
        "NFILLED": n_filled,
        "STACK_ID": 4,
        "OBS_ID": 23523,
    }
    assert {key: header[key] for key in expected} == expected
    assert header["HDUDOC"].startswith("https://")
    names = [key for key in header if key.startswith("HDUCLAS")]
    assert names == ["HDUCLASS", "HDUCLAS1", "HDUCLAS2", "HDUCLAS3", "HDUCLAS4"]


def test_group_models_have_no_run_and_unknown_conditions_no_keyword(
    tmp_path: Path,
) -> None:
    conditions = replace(CONDITIONS, muon_efficiency=float("nan"))
    model = _model(obs_id=-1, conditions=conditions)
    write_bkg_3d(tmp_path / "bkg.fits", model, header=HEADER, origin=ORIGIN)
    header = fits.getheader(tmp_path / "bkg.fits", 1)
    assert "OBS_ID" not in header
    assert "MUONEFF" not in header


def _with_errors(**changes: object) -> NodeModel:
    rng = np.random.default_rng(5)
    errors = {
        "error_3d": rng.uniform(0.01, 1.4, BINNING.shape_3d),
        "error_2d": rng.uniform(0.01, 1.4, BINNING.shape_2d),
        "systematic": 0.07,
    }
    return _model(**(errors | changes))


@pytest.mark.parametrize(
    ("write", "kind", "axes"),
    [
        (write_bkg_3d, "3d", ("ENERG", "DETX", "DETY")),
        (write_bkg_2d, "2d", ("ENERG", "THETA")),
    ],
)
def test_errors_stand_beside_the_rates(
    tmp_path: Path, write: type, kind: str, axes: tuple[str, ...]
) -> None:
    model = _with_errors()
    write(tmp_path / "bkg.fits", model, header=HEADER, origin=ORIGIN)

    with fits.open(tmp_path / "bkg.fits") as hdus:
        assert [h.name for h in hdus] == [
            "PRIMARY",
            "BACKGROUND",
            "BACKGROUND_QUALITY",
            "BACKGROUND_ERROR",
        ]
        rate, error = hdus["BACKGROUND"], hdus["BACKGROUND_ERROR"]
        edges = [f"{axis}_{end}" for axis in axes for end in ("LO", "HI")]
        assert error.columns.names == [*edges, "BKG_ERR"]
        for name in edges:
            assert error.columns[name].unit == rate.columns[name].unit
            np.testing.assert_array_equal(error.data[name], rate.data[name])
        assert error.columns["BKG_ERR"].unit == "s-1 MeV-1 sr-1"
        relative = error.data["BKG_ERR"][0] / rate.data["BKG"][0]
        assert rate.header["SYSERR"] == 0.07
        assert "from run to run" in rate.header.comments["SYSERR"]
    wanted = getattr(model, f"error_{kind}")
    np.testing.assert_allclose(relative.T, wanted, rtol=1e-12)


@pytest.mark.parametrize("write", [write_bkg_3d, write_bkg_2d])
def test_no_reader_takes_the_error_for_a_background(
    tmp_path: Path, write: type
) -> None:
    write(tmp_path / "bkg.fits", _with_errors(), header=HEADER, origin=ORIGIN)
    header = fits.getheader(tmp_path / "bkg.fits", "BACKGROUND_ERROR")

    assert header["HDUCLASS"] != "GADF"
    assert header["HDUCLAS1"] != "RESPONSE"
    assert header["HDUCLAS2"] != "BKG"
    assert "HDUCLAS4" not in header
    assert header["FOVALIGN"] == "RADEC"
    assert header["OBS_ID"] == 23523
    found = load_irf_dict_from_file(tmp_path / "bkg.fits")
    assert list(found) == ["bkg"]
    assert found["bkg"].meta["EXTNAME"] == "BACKGROUND"


@pytest.mark.parametrize(
    ("write", "read"),
    [(write_bkg_3d, Background3D.read), (write_bkg_2d, Background2D.read)],
)
def test_errors_change_nothing_in_the_background(
    tmp_path: Path, write: type, read: type
) -> None:
    blob = _blob(lon=1.0, lat=-0.5, alignment="ALTAZ")
    model = replace(_with_errors(), bkg_3d=blob.bkg_3d, systematic=float("nan"))
    plain = replace(model, error_3d=np.empty(0), error_2d=np.empty(0))
    for name, each in (("errors", model), ("plain", plain)):
        write(tmp_path / name, each, header=HEADER, origin=ORIGIN)

    content = (tmp_path / "plain").read_bytes()
    assert (tmp_path / "errors").read_bytes().startswith(content)
    one, other = (_predicted(read(tmp_path / name)) for name in ("errors", "plain"))
    np.testing.assert_array_equal(one.data, other.data)


def test_error_of_the_norm_is_told_as_what_it_is(tmp_path: Path) -> None:
    norm = np.full(3, 1.2)
    scaled = _with_errors(norm=norm, norm_error=norm / 50, systematic=0.02)
    for name, model in (
        ("scaled", scaled),
        ("unknown", replace(scaled, systematic=float("nan"))),
    ):
        write_bkg_3d(tmp_path / name, model, header=HEADER, origin=ORIGIN)

    header = fits.getheader(tmp_path / "scaled", 1)
    assert header["SYSERR"] == 0.02
    assert "statistical" in header.comments["SYSERR"]
    assert "SYSERR" not in fits.getheader(tmp_path / "unknown", 1)
    with fits.open(tmp_path / "scaled") as hdus:
        names = [hdu.name for hdu in hdus[1:]]
    assert names == [
        "BACKGROUND",
        "BACKGROUND_QUALITY",
        "BACKGROUND_ERROR",
        "BKGNORM",
    ]


@pytest.mark.parametrize("write", [write_bkg_3d, write_bkg_2d])
def test_error_of_the_norm_at_each_energy_is_a_table(
    tmp_path: Path, write: type
) -> None:
    model = _with_errors(systematic_energy=np.array([0.3, 0.05, 0.06]))
    write(tmp_path / "bkg.fits", model, header=HEADER, origin=ORIGIN)

    with fits.open(tmp_path / "bkg.fits") as hdus:
        names = [hdu.name for hdu in hdus[1:]]
        table = hdus["SYSERR"].data
        assert names == [
            "BACKGROUND",
            "BACKGROUND_QUALITY",
            "BACKGROUND_ERROR",
            "SYSERR",
        ]
        np.testing.assert_array_equal(table["SYSERR"][0], [0.3, 0.05, 0.06])
        np.testing.assert_array_equal(
            table["ENERG_LO"], hdus["BACKGROUND"].data["ENERG_LO"]
        )
    assert list(load_irf_dict_from_file(tmp_path / "bkg.fits")) == ["bkg"]


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_unusable_errors_are_refused(tmp_path: Path, value: float) -> None:
    model = _with_errors()
    model.error_3d[1, 2, 3] = value
    model.error_2d[0, 1] = value
    for write in (write_bkg_3d, write_bkg_2d):
        with pytest.raises(OutputError, match=r"bkg\.fits: 1 of .* errors are not"):
            write(tmp_path / "bkg.fits", model, header=HEADER, origin=ORIGIN)


def test_equal_models_give_equal_bytes(tmp_path: Path) -> None:
    for name, seconds in (("a", 1.0), ("b", 2.0)):
        header = replace(HEADER, seconds=seconds)
        write_bkg_3d(tmp_path / name, _model(), header=header, origin=ORIGIN)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def _rebinned(**edges: np.ndarray) -> NodeModel:
    axes = {
        "energy_edges": BINNING.energy_edges,
        "fov_lon_edges": BINNING.fov_lon_edges,
        "fov_lat_edges": BINNING.fov_lat_edges,
        "offset_edges": BINNING.offset_edges,
    }
    return _model(Binning(**(axes | edges)))


@pytest.mark.parametrize(
    "name", ["energy_edges", "fov_lon_edges", "fov_lat_edges", "offset_edges"]
)
def test_single_bins_are_refused(tmp_path: Path, name: str) -> None:
    write = write_bkg_2d if name == "offset_edges" else write_bkg_3d
    model = _rebinned(**{name: np.array([0.1, 2.0])})
    with pytest.raises(OutputError, match=r"bkg\.fits: .*Ask for two bins or more"):
        write(tmp_path / "bkg.fits", model, header=HEADER, origin=ORIGIN)


@pytest.mark.parametrize("n_energy", [20, 26, 5])
def test_axes_of_equal_length_are_refused(tmp_path: Path, n_energy: int) -> None:
    write = write_bkg_2d if n_energy == 5 else write_bkg_3d
    model = _rebinned(energy_edges=np.geomspace(0.1, 10.0, n_energy + 1))
    with pytest.raises(OutputError, match=r"bkg\.fits: .*another number of bins"):
        write(tmp_path / "bkg.fits", model, header=HEADER, origin=ORIGIN)
    assert not (tmp_path / "bkg.fits").exists()


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_unusable_rates_are_refused(tmp_path: Path, value: float) -> None:
    model = _model()
    model.bkg_3d[1, 2, 3] = value
    model.bkg_2d[0, 1] = value
    for write in (write_bkg_3d, write_bkg_2d):
        with pytest.raises(OutputError, match=r"bkg\.fits: 1 of .*Smooth more"):
            write(tmp_path / "bkg.fits", model, header=HEADER, origin=ORIGIN)


def test_an_unknown_origin_says_so(tmp_path: Path) -> None:
    write_bkg_3d(tmp_path / "bkg.fits", _model(), header=HEADER, origin=Origin())
    assert fits.getheader(tmp_path / "bkg.fits", 1)["TELESCOP"] == "UNKNOWN"


def test_unit_of_gadf() -> None:
    rate = np.array([2.0]) * u.Unit("s-1 TeV-1 sr-1")
    assert gadf_rate(rate.value)[0] == pytest.approx(
        rate.to_value("s-1 MeV-1 sr-1")[0], rel=1e-15
    )


def test_energies_are_told_in_words_and_bits(tmp_path: Path) -> None:
    edges = np.array([0.1, 0.3, 1.0, 3.0, 10.0])
    binning = replace(_with_errors().binning, energy_edges=edges)
    shape_3d, shape_2d = binning.shape_3d, binning.shape_2d
    is_filled = np.zeros(shape_3d, dtype=bool)
    is_filled[2, 0, 1] = True
    model = NodeModel(
        stack_id=3,
        obs_id=7,
        binning=binning,
        bkg_3d=np.ones(shape_3d),
        bkg_2d=np.ones(shape_2d),
        n_filled_3d=1,
        n_filled_2d=0,
        fov_alignment="RADEC",
        n_runs=2,
        livetime=3600.0,
        conditions=_with_errors().conditions,
        norm=np.array([0.5, 1.0, 1.0, 1.0]),
        norm_error=np.array([0.1, 0.0, 0.0, 0.0]),
        systematic=0.04,
        fit_range=edges[[0, 3]],
        safe_energy=0.25,
        is_filled_3d=is_filled,
        excursions=("cosine of the zenith angle 0.4 (fit: 0.6 to 1)",),
    )

    write_bkg_3d(tmp_path / "bkg", model, header=HEADER, origin=ORIGIN)
    write_bkg_2d(tmp_path / "flat", model, header=HEADER, origin=ORIGIN)

    header = fits.getheader(tmp_path / "bkg", "BACKGROUND")
    assert (header["EFITLO"], header["EFITHI"], header["ESAFELO"]) == (0.1, 3.0, 0.25)
    assert header["EXCURS1"].startswith("cosine of the zenith angle 0.4")
    assert "BKGNORM" not in header
    assert "from run to run" in header.comments["SYSERR"]
    for name, shape in (("bkg", shape_3d), ("flat", shape_2d)):
        table = fits.getdata(tmp_path / name, "BACKGROUND_QUALITY")
        bits = table["QUALITY"][0].T
        assert bits.shape == shape
        along = bits.reshape(4, -1)[:, -1]
        np.testing.assert_array_equal(along, [1 | 4, 4, 4, 4 | 8])
    bits = fits.getdata(tmp_path / "bkg", "BACKGROUND_QUALITY")["QUALITY"][0].T
    assert bits[2, 0, 1] == 2 | 4
    assert Background3D.read(tmp_path / "bkg").data.shape == shape_3d


def test_gammapy_finds_a_rate_at_the_lowest_and_highest_edge(tmp_path: Path) -> None:
    model = _with_errors()
    edges = model.binning.energy_edges * u.TeV

    write_bkg_3d(tmp_path / "bkg", model, header=HEADER, origin=ORIGIN)

    background = Background3D.read(tmp_path / "bkg")
    at_edges = background.evaluate(
        energy=edges[[0, -1]], fov_lon=0.1 * u.deg, fov_lat=0.1 * u.deg
    )
    assert (at_edges.value > 0).all()
