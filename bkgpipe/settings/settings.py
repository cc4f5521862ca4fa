"""The one frozen settings object."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from bkgpipe.errors import SettingsError
from bkgpipe.settings.fingerprint import stage_fingerprint
from bkgpipe.settings.model_sections import (
    ExportSettings,
    FitSettings,
    RankSettings,
    SkySettings,
    SmoothSettings,
    StackSettings,
)
from bkgpipe.settings.run_sections import (
    BinningSettings,
    CountSettings,
    DataSettings,
    MaskSettings,
    SelectSettings,
)
from bkgpipe.settings.sections import RunSettings
from bkgpipe.settings.site_sections import SiteSettings
from bkgpipe.stages.table import stage_grain
from bkgpipe.store.store_folder import StoreFolder, store_folder

__all__ = ["Settings"]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of a production.

    Attributes
    ----------
    path : Path
        File that they were read from.
    data, select, mask, binning, count : object
        One object for each section of the file.
    rank, stack, fit, smooth, export, sky, run : object
        Likewise.
    sites : mapping of str to SiteSettings
        Each section ``[site:NAME]``, by its name.
    """

    path: Path
    data: DataSettings
    select: SelectSettings
    mask: MaskSettings
    binning: BinningSettings
    count: CountSettings
    rank: RankSettings
    stack: StackSettings
    fit: FitSettings
    smooth: SmoothSettings
    export: ExportSettings
    sky: SkySettings
    run: RunSettings
    # a mapping has no hash, and where a production runs does not tell it from others
    sites: Mapping[str, SiteSettings] = field(default_factory=dict, compare=False)

    @cached_property
    def store(self) -> StoreFolder:
        """Folder of the data store."""
        return store_folder(self.data.store or Path(), allow=self.data.allow)

    @property
    def outputs(self) -> tuple[Path, ...]:
        """Folders that are written to: of all products, and of masks and counts."""
        shared = self.data.counts or self.data.output
        return tuple(dict.fromkeys((self.data.output, shared)))

    @property
    def in_groups(self) -> bool:
        """Whether runs share the model of their group, instead of one of their own."""
        return stage_grain(self, "smooth") == "groups"

    @cached_property
    def _fingerprints(self) -> dict[str, str]:
        return {}

    def fingerprint(self, stage: str) -> str:
        """Return the hash of all settings that a stage depends on.

        Parameters
        ----------
        stage : str
            Stage, as ``count``.

        Returns
        -------
        str
            Six hexadecimal digits.
        """
        if stage not in self._fingerprints:
            self._fingerprints[stage] = stage_fingerprint(self, stage)
        return self._fingerprints[stage]

    def take_fingerprints(self, given: Mapping[str, str]) -> None:
        """Take fingerprints from where the files are that they follow from.

        Parameters
        ----------
        given : mapping of str to str
            Fingerprint of each stage.
        """
        self._fingerprints.update(given)

    def folder(self, stage: str) -> Path:
        """Return the folder of a stage's products.

        Parameters
        ----------
        stage : str
            Stage, as ``count``.

        Returns
        -------
        Path
            The folder, as ``output/count-3fa9c1``; it need not exist.
        """
        of_runs = stage_grain(self, stage) == "runs"
        output = self.outputs[-1] if of_runs else self.data.output
        return output / f"{stage}-{self.fingerprint(stage)}"

    def site(self, name: str) -> SiteSettings:
        """Return the settings of a batch site.

        Parameters
        ----------
        name : str
            Its name.

        Returns
        -------
        SiteSettings
            The site.

        Raises
        ------
        SettingsError
            If there is no such section, or its image is not there.
        """
        if name not in self.sites:
            raise SettingsError(
                what=f"no section [site:{name}]; sites: {', '.join(self.sites) or '-'}",
                where=str(self.path),
                fix="Add it; docs/settings.md lists its keys",
            )
        site = self.sites[name]
        if site.container and not site.container.exists():
            raise SettingsError(
                what=f"no image {site.container}",
                where=f"[site:{name}] container",
                fix="Build it with containers/build.sh, or name one that is there",
            )
        return site
