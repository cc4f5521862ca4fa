"""Where the catalogues lie that have names."""

from __future__ import annotations

from pathlib import Path

from bkgpipe.errors import SettingsError

__all__ = ["CATALOG_FILES", "find_catalog"]

# Below the folder of the gammapy data
CATALOG_FILES = {
    "gammacat": "catalogs/gammacat/gammacat.fits.gz",
    "3hwc": "catalogs/3HWC.ecsv",
    "hgps": "catalogs/hgps_catalog_v1.fits.gz",
    "stars": "veritas/crab-point-like-ED/Hipparcos_MAG8_1997.dat",
}


def find_catalog(name_or_path: str | Path, *, gammapy_data: Path | None) -> Path:
    """Find the file of a catalogue.

    Parameters
    ----------
    name_or_path : str or Path
        ``gammacat``, ``3hwc``, ``hgps`` or ``stars`` in either case, or a file.
    gammapy_data : Path or None
        Folder with ``catalogs/`` and ``veritas/``; only asked for by the four names.

    Returns
    -------
    Path
        The file; it need not exist.

    Raises
    ------
    SettingsError
        If a catalogue is named and `gammapy_data` is None.
    """
    file = CATALOG_FILES.get(str(name_or_path).lower())
    if file is None:
        return Path(name_or_path)
    if gammapy_data is None:
        raise SettingsError(
            what=f"catalogue {name_or_path} needs the folder of the gammapy data",
            where="[mask] catalogs",
            fix="Set GAMMAPY_DATA or [data] gammapy_data",
        )
    return gammapy_data / file
