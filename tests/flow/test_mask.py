from __future__ import annotations

import healpy
import numpy as np
import pytest

from bkgpipe.errors import InputError
from bkgpipe.flow.exclusion import read_exclusion_regions
from bkgpipe.flow.mask import AllMasks
from bkgpipe.stages.mask.files import MASKS


def test_regions_come_from_catalogues_files_and_settings(production, tmp_path):
    (tmp_path / "regions.reg").write_text("icrs\ncircle(10, 20, 0.4)\n")
    task = production(mask__regions="regions.reg", mask__circles="blob: 83.6 22.0 0.7")

    regions = read_exclusion_regions(task.settings)

    assert len(regions) == 8 + 1 + 1
    assert all(region.radius == pytest.approx(0.35) for region in regions[:8])
    assert regions[8].radius == pytest.approx(0.4)
    blob = regions[9]
    assert (blob.name, blob.origin) == ("blob", "luigi.cfg")
    assert (blob.ra, blob.dec, blob.radius) == (83.6, 22.0, 0.7)


def test_stars_have_settings_of_their_own(production, tmp_path):
    table = tmp_path / "veritas/crab-point-like-ED/Hipparcos_MAG8_1997.dat"
    table.parent.mkdir(parents=True)
    table.write_text("10.5\t-20.5\t 3\t 5.9\t0.1\n11.5\t-20.5\t 4\t 6.0\t0.1\n")
    task = production(
        data__gammapy_data=str(tmp_path),
        mask__catalogs="stars",
        mask__radius="0.5 deg",
        mask__star_radius="0.2 deg",
        mask__star_magnitude="6",
    )

    (star,) = read_exclusion_regions(task.settings)

    assert (star.name, star.radius) == ("HIP 3", pytest.approx(0.2))


def test_masks_are_regions_at_the_nside_of_the_settings(production, tmp_path):
    excluded = healpy.query_disc(64, [0.0, 0.6, 0.8], 0.05)
    kept = np.ones(healpy.nside2npix(64))
    kept[excluded] = 0
    healpy.write_map(tmp_path / "sky.fits", kept, coord="C", dtype=np.float32)
    task = production(mask__masks="sky.fits", mask__catalogs="")

    (region,) = read_exclusion_regions(task.settings)

    assert region.name == "sky.fits"
    finer = (task.settings.mask.nside // 64) ** 2
    assert region.pixels.size == pytest.approx(excluded.size * finer, rel=0.01)


def test_no_region_at_all(production, build):
    task = production(mask__catalogs="")

    assert read_exclusion_regions(task.settings) == ()
    assert build(task.sibling(AllMasks))
    for path in task.settings.folder("mask").glob("*.h5"):
        for mask in MASKS.read(path).records.values():
            assert mask.excluded_pixels.size == 0


def test_a_catalogue_that_is_no_table(production, tmp_path):
    (tmp_path / "a.fits").write_text("words")
    task = production(mask__catalogs="a.fits")

    with pytest.raises(InputError, match=r"a\.fits"):
        read_exclusion_regions(task.settings)


def test_the_source_of_each_run_is_excluded(production, build):
    task = production()
    assert build(task.sibling(AllMasks))

    for run in task.table.runs:
        chunk = task.settings.folder("mask") / f"mask_{run.obs_id // 3}.h5"
        mask = MASKS.read(chunk).records[run.obs_id]
        ra, dec, radius, _ = mask.region_circles[0]
        area = mask.excluded_pixels.size * healpy.nside2pixarea(
            mask.nside, degrees=True
        )
        disc = 3.1416 * radius**2
        # discs of neighbouring fields may be in it, and may overlap
        assert 0.98 * disc < area < 1.02 * disc * len(mask.region_names)
        pixel = healpy.ang2pix(mask.nside, ra, dec, lonlat=True)
        assert pixel in mask.excluded_pixels
