from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import healpy as hp
import numpy as np
import pytest

from bkgpipe.errors import InputError
from bkgpipe.stages.mask.data import ExclusionRegion
from bkgpipe.stages.mask.regions import read_regions

NSIDE = 2048
PIXEL = np.degrees(np.degrees(hp.nside2pixarea(NSIDE)))  # deg2
Reader = Callable[[str], tuple[ExclusionRegion, ...]]


@pytest.fixture
def read(tmp_path: Path) -> Reader:
    def _read(text: str) -> tuple[ExclusionRegion, ...]:
        path = tmp_path / "sources.reg"
        path.write_text(text)
        return read_regions(path, nside=NSIDE)

    return _read


def test_circles_are_discs(read: Reader) -> None:
    icrs, galactic, words = read(
        "# Region file format: DS9\n"
        "global color=green\n"
        "icrs\n"
        "circle(83.633, 22.0145, 0.5) # text={Crab nebula}\n"
        "galactic\n"
        "circle(184.5575, -5.7843, 30')\n"
        'fk5;circle(5:34:31.92, 22:00:52.2, 3600")\n'
    )

    assert (icrs.name, icrs.ra, icrs.dec) == ("Crab nebula", 83.633, 22.0145)
    assert [region.radius for region in (icrs, galactic, words)] == pytest.approx(
        [0.5, 0.5, 1.0]
    )
    for region in (galactic, words):
        assert region.ra == pytest.approx(83.633, abs=1e-3)
        assert region.dec == pytest.approx(22.0145, abs=1e-3)
    assert icrs.pixels.size == 0
    assert icrs.origin.endswith("sources.reg")
    assert galactic.name.endswith("shape 2 (CircleSkyRegion)")


@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ("ellipse(83.6, 22.0, 1.0, 0.4, 30)", np.pi * 1.0 * 0.4),
        ("box(83.6, 22.0, 1.0, 0.4, 30)", 0.4),
        ("annulus(83.6, 22.0, 0.5, 1.0)", np.pi * 0.75),
        ("ellipse(83.6, 22.0, 0.5, 0.25, 1.0, 0.5, 30)", np.pi * 0.375),
        ("box(83.6, 22.0, 0.5, 0.25, 1.0, 0.5, 30)", 0.375),
        ("polygon(0.0, 0.0, 1.0, 0.0, 1.0, 1.0)", 0.5),
    ],
)
def test_other_shapes_are_pixels(read: Reader, shape: str, area: float) -> None:
    (region,) = read(f"icrs\n{shape}")

    assert region.pixels.dtype == np.int64
    assert (np.diff(region.pixels) > 0).all()
    assert region.pixels.size * PIXEL == pytest.approx(area, rel=0.01)
    vectors = np.array(hp.pix2vec(NSIDE, region.pixels))
    centre = hp.ang2vec(region.ra, region.dec, lonlat=True)
    assert np.degrees(np.arccos(centre @ vectors)).max() < region.radius


def test_ellipse_lies_along_its_position_angle(read: Reader) -> None:
    (region,) = read("icrs\nellipse(83.6, 22.0, 0.2, 1.0, 45)")

    lon, lat = hp.pix2ang(NSIDE, region.pixels, lonlat=True)
    east, north = (lon - 83.6) * np.cos(np.radians(22.0)), lat - 22.0
    # DS9 turns counterclockwise: the long axis goes from north to east
    assert np.corrcoef(east, north)[0, 1] > 0.8


@pytest.mark.parametrize("place", ["(0.0, 60.0", "(359.9, -89.5", "(180.0, 0.0"])
def test_shapes_anywhere_on_the_sky(read: Reader, place: str) -> None:
    (region,) = read(f"icrs\nellipse{place}, 1.0, 0.5, 10)")
    assert region.pixels.size * PIXEL == pytest.approx(np.pi * 0.5, rel=0.01)


def test_shape_between_pixel_centres_has_one_pixel(read: Reader) -> None:
    (region,) = read('icrs\nellipse(83.6, 22.0, 1", 0.5", 0)')
    expected = hp.ang2pix(NSIDE, 83.6, 22.0, lonlat=True)
    assert region.pixels.tolist() == [expected]


def test_crtf(tmp_path: Path) -> None:
    path = tmp_path / "sources.crtf"
    path.write_text(
        "#CRTFv0\n"
        "circle[[83.6deg, 22.0deg], 0.5deg], coord=ICRS, label='Crab'\n"
        "ann circle[[10.0deg, 22.0deg], 0.5deg], coord=ICRS\n"
        "rotbox[[10.0deg, 22.0deg], [1.0deg, 0.5deg], 0deg], coord=ICRS\n"
    )

    circle, box = read_regions(path, nside=NSIDE)

    assert (circle.name, circle.radius) == ("Crab", 0.5)
    assert box.pixels.size * PIXEL == pytest.approx(0.5, rel=0.01)


def zone(width: float, south: float, north: float) -> float:
    """Solid angle between two meridians and two parallels [deg2]."""
    height = np.sin(np.radians(north)) - np.sin(np.radians(south))
    return float(np.degrees(width * height))


@pytest.mark.parametrize("frame", ["ICRS", "GALACTIC"])
@pytest.mark.parametrize("dec", [0.0, -40.0, 60.0, 80.0, 89.0])
@pytest.mark.parametrize("ra", [83.6, 359.5])
def test_crtf_corner_boxes_lie_between_meridians_and_parallels(
    read: Reader, ra: float, dec: float, frame: str
) -> None:
    (region,) = read(
        f"#CRTFv0\nbox[[{(ra - 4) % 360}deg, {dec - 0.7}deg], "
        f"[{(ra + 4) % 360}deg, {dec + 0.7}deg]], coord={frame}\n"
    )

    assert region.pixels.size * PIXEL == pytest.approx(
        zone(8.0, dec - 0.7, dec + 0.7), rel=0.03
    )
    sky = hp.pix2ang(NSIDE, region.pixels, lonlat=True)
    if frame == "GALACTIC":
        sky = hp.Rotator(coord="CG")(*sky, lonlat=True)
    east = (sky[0] - ra + 180) % 360 - 180
    # half a pixel more is a pixel that has its centre inside
    assert np.abs(east).max() < 4.05
    assert np.abs(sky[1] - dec).max() < 0.75


@pytest.mark.parametrize("corners", [("8h", "16h"), ("120deg", "240deg")])
def test_wide_crtf_boxes_follow_the_parallels(read: Reader, corners: tuple) -> None:
    west, east = corners
    (region,) = read(
        f"#CRTFv0\nglobal coord=ICRS\n\n# a comment\n"
        f"box [[{west}, 60deg], [{east}, 62deg]], label='a box'\n"
    )

    assert region.name == "a box"
    assert region.pixels.size * PIXEL == pytest.approx(zone(120, 60, 62), rel=0.01)
    _, lat = hp.pix2ang(NSIDE, region.pixels, lonlat=True)
    assert (lat.min(), lat.max()) == pytest.approx((60.0, 62.0), abs=0.05)


CAP = 2 * np.pi * np.degrees(np.degrees(1.0))


@pytest.mark.parametrize("frame", ["ICRS", "GALACTIC"])
@pytest.mark.parametrize("dec", [0.0, -40.0, 60.0, 80.0])
@pytest.mark.parametrize(
    ("shape", "area"),
    [
        ("centerbox[[{place}], [3deg, 1.6deg]]", 4.8),
        ("rotbox[[{place}], [3deg, 1.6deg], 30deg]", 4.8),
        ("ellipse[[{place}], [2deg, 1deg], 30deg]", 2 * np.pi),
        ("annulus[[{place}], [1deg, 2deg]]", 3 * np.pi),
        ("box({ds9}, 3, 1.6, 30)", 4.8),
        ("box({ds9}, 1, 0.8, 2, 1.6, 30)", 2.4),
        ("ellipse({ds9}, 2, 1, 30)", 2 * np.pi),
        ("ellipse({ds9}, 1, 0.5, 2, 1, 30)", 1.5 * np.pi),
        ("annulus({ds9}, 1, 2)", 3 * np.pi),
    ],
)
def test_shapes_about_a_centre_have_their_area(
    read: Reader, shape: str, area: float, *, dec: float, frame: str
) -> None:
    text = shape.format(place=f"359.7deg, {dec}deg", ds9=f"359.7, {dec}")
    is_crtf = "[" in shape
    head = f"#CRTFv0\nglobal coord={frame}\n" if is_crtf else f"{frame.lower()}\n"

    (region,) = read(head + text)

    assert region.pixels.size * PIXEL == pytest.approx(area, rel=0.02)


@pytest.mark.parametrize(("inner", "outer"), [(0.5, 1.0), (5.0, 10.0), (20.0, 40.0)])
def test_annuli_of_any_size_have_their_area(
    tmp_path: Path, inner: float, outer: float
) -> None:
    path = tmp_path / "sources.reg"
    path.write_text(f"icrs\nannulus(83.6, 40.0, {inner}, {outer})")
    nside = 1024 if outer < 2 else 256

    (region,) = read_regions(path, nside=nside)

    caps = np.cos(np.radians([outer, inner]))
    area = region.pixels.size * np.degrees(np.degrees(hp.nside2pixarea(nside)))
    assert area == pytest.approx(CAP * (caps[1] - caps[0]), rel=0.01)


@pytest.mark.parametrize("dec", [0.0, -40.0, 60.0, 80.0])
@pytest.mark.parametrize("text", ["#CRTFv0\npoly[{}], coord=ICRS", "icrs\npolygon({})"])
def test_polygons_have_their_area(read: Reader, text: str, dec: float) -> None:
    is_crtf, half = "poly[" in text, 1.5 / np.cos(np.radians(dec))
    corners = [(-half, -1.0), (half, -1.0), (half, 1.0), (-half, 1.0)]
    words = [
        f"[{(x + 0.2) % 360}deg, {y + dec}deg]"
        if is_crtf
        else f"{(x + 0.2) % 360}, {y + dec}"
        for x, y in corners
    ]

    (region,) = read(text.format(", ".join(words)))

    area = zone(2 * half, dec - 1, dec + 1)
    assert region.pixels.size * PIXEL == pytest.approx(area, rel=0.02)


@pytest.mark.parametrize("kind", ["crtf", "ds9"])
def test_galactic_shapes_lie_along_galactic_north(read: Reader, kind: str) -> None:
    text = {
        "crtf": "#CRTFv0\nrotbox[[30deg, 40deg], [0.4deg, 4deg], 0deg], coord=GALACTIC",
        "ds9": "galactic\nbox(30, 40, 0.4, 4, 0)",
    }[kind]

    (region,) = read(text)

    sky = hp.pix2ang(NSIDE, region.pixels, lonlat=True)
    lon, lat = hp.Rotator(coord="CG")(*sky, lonlat=True)
    east = (lon - 30 + 180) % 360 - 180
    assert np.ptp(lat) == pytest.approx(4.0, abs=0.1)
    assert np.ptp(east * np.cos(np.radians(lat))) < 0.5


def test_a_crtf_ellipse_turns_from_north_to_east(read: Reader) -> None:
    (region,) = read(
        "#CRTFv0\nellipse[[83.6deg, 22deg], [2deg, 0.2deg], 45deg], coord=ICRS\n"
    )

    lon, lat = hp.pix2ang(NSIDE, region.pixels, lonlat=True)
    assert np.corrcoef(lon - 83.6, lat - 22.0)[0, 1] > 0.8


def test_no_regions(read: Reader) -> None:
    assert read("# Region file format: DS9\nicrs\n") == ()


@pytest.mark.parametrize(
    "text",
    [
        "image\ncircle(10, 20, 5)",
        "icrs\npoint(10, 20)",
        "icrs\nline(10, 20, 11, 21)",
        "icrs\n-circle(10, 20, 1)",
        "icrs\nellipse(10, 20, 60, 60, 0)",
        "icrs\ncircle(10, 20, 90)",
        "#CRTFv0\ncircle[[83pix, 22pix], 5pix]",
    ],
)
def test_shapes_that_cannot_be_excluded(read: Reader, text: str) -> None:
    with pytest.raises(InputError, match=r"sources\.reg, shape 1 \(.*Use circle, "):
        read(text)


@pytest.mark.parametrize(
    "text",
    [
        "circle(83.6, 22.0, 0.5)",
        "physical\nbox(10, 20, 5, 6, 0)",
        "icrs\nepanda(1,2,3,4,5,6,7,8,9,10)",
        "icrs\ncircle(83.6, north, 0.5)",
        "icrs\nsquare(83.6, 22, 0.5)",
        "#CRTFv0\nfoo[[1, 2], 2]",
    ],
)
def test_unreadable_files(read: Reader, text: str) -> None:
    with pytest.raises(InputError, match=r"sources\.reg: .*cannot be read.*Write it"):
        read(text)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"absent\.reg: .*Write it as DS9"):
        read_regions(tmp_path / "absent.reg", nside=NSIDE)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_region_file_with_a_byte_order_mark(tmp_path: Path, encoding: str) -> None:
    path = tmp_path / "mark.reg"
    path.write_text("icrs\ncircle(180.9,2.1,0.5) # text={a\tb}\n", encoding=encoding)

    (region,) = read_regions(path, nside=64)

    assert (region.name, region.radius) == ("a b", 0.5)


def test_shapes_in_turns_are_those_of_one_file_each(tmp_path: Path) -> None:
    shapes = [
        "icrs\npolygon(83.0, 22.0, 84.0, 22.0, 83.5, 23.0)",
        "galactic\npolygon(184.0, -5.0, 185.0, -5.0, 184.5, -6.0, 184.0, -5.5)",
        "galactic\ncircle(184.0, -5.0, 0.5)",
        "fk5\nellipse(83.0, 22.0, 0.5, 0.25, 30)",
    ]
    path = tmp_path / "a.reg"

    def read(text: str) -> tuple[ExclusionRegion, ...]:
        path.write_text(f"# Region file format: DS9\n{text}\n")
        return read_regions(path, nside=256)

    together = read("\n".join(shapes))

    for found, shape in zip(together, shapes, strict=True):
        (alone,) = read(shape)
        np.testing.assert_array_equal(found.pixels, alone.pixels)
        expected = (alone.ra, alone.dec, alone.radius)
        assert (found.ra, found.dec, found.radius) == pytest.approx(expected, abs=1e-9)
