"""Make the exclusion masks of a block of runs."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.datamodel import ExclusionMask, ExclusionRegion, Run
from bkgpipe.io.catalogs import read_catalog
from bkgpipe.io.mask import write_masks
from bkgpipe.io.mask_files import read_mask_file
from bkgpipe.io.regions import read_regions
from bkgpipe.numerics.mask import make_exclusion_mask, size_regions
from bkgpipe.settings import Settings
from bkgpipe.tasks.base import ChunkTask
from bkgpipe.tasks.chunks import AllChunks
from bkgpipe.tasks.collect import collect
from bkgpipe.tasks.select import Select

__all__ = ["AllMasks", "Mask", "read_exclusion_regions"]


class Mask(ChunkTask):
    """Mask runs: reads catalogues, regions and masks, writes ``mask_{chunk}.h5``."""

    stage = "mask"

    def inputs(self) -> str:
        """Digest of what the task is made from."""
        return self.chunk_inputs()

    def requires(self) -> Select:
        return self.sibling(Select)

    def run(self) -> None:
        runs = {run.obs_id: run for run in self.used}
        regions = read_exclusion_regions(self.settings)

        def mask(obs_id: int) -> ExclusionMask:
            return self._make_mask(runs[obs_id], regions)

        chunk = collect(runs, mask, refused={})

        with self.output().temporary_path() as path:
            write_masks(Path(path), self.header(), chunk)

    def _make_mask(
        self, run: Run, regions: tuple[ExclusionRegion, ...]
    ) -> ExclusionMask:
        return make_exclusion_mask(
            run,
            regions,
            nside=self.settings.mask.nside,
            search_radius=self.settings.mask.search_radius,
        )


def read_exclusion_regions(settings: Settings) -> tuple[ExclusionRegion, ...]:
    """Gather the excluded regions that the settings name.

    Parameters
    ----------
    settings : Settings
        Settings.

    Returns
    -------
    tuple of ExclusionRegion
        Regions of catalogues, files and settings, all with a radius.

    Raises
    ------
    InputError
        If a catalogue, region or mask file cannot be used.
    """
    mask = settings.mask
    found: list[ExclusionRegion] = []
    for name in mask.catalogs:
        found += read_catalog(
            str(name),
            gammapy_data=settings.data.gammapy_data,
            star_radius=mask.star_radius,
            star_magnitude=mask.star_magnitude,
        )
    for path in mask.regions:
        found += read_regions(path, nside=mask.nside)
    found += [read_mask_file(path, nside=mask.nside) for path in mask.masks]
    for circle in mask.circles:
        found.append(
            ExclusionRegion(
                name=circle.name,
                origin="luigi.cfg",
                ra=circle.ra,
                dec=circle.dec,
                radius=circle.radius,
            )
        )
    return size_regions(
        found,
        radius=mask.radius,
        extension_factor=mask.extension_factor,
        max_radius=mask.max_radius,
    )


class AllMasks(AllChunks):
    """Every chunk of `Mask`."""

    stage = "mask"
    stage_class = Mask
