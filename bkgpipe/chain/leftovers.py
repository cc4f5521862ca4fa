"""What a production has left on disk that no present setting uses."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bkgpipe.chain.contents import contents_file
from bkgpipe.chain.inputs import load_table
from bkgpipe.chain.kept import frozen_settings
from bkgpipe.chain.summary import number_chunks
from bkgpipe.settings import STAGES, Settings

__all__ = ["Leftover", "find_leftovers", "is_of_earlier_version", "unused_folders"]

# Names that nothing but a production gives: all else is not ours to remove.
_FOLDER = re.compile(f"({'|'.join(STAGES)})-[0-9a-f]{{6}}")
_SETTINGS = re.compile(r"settings-[0-9a-f]{6}\.cfg")
_CHUNK = re.compile(r"(?P<stage>[a-z]+)_(?P<chunk>\d+)\.h5")


@dataclass(frozen=True, kw_only=True)
class Leftover:
    """A file or folder that may be removed.

    Attributes
    ----------
    path : Path
        The file or folder.
    reason : str
        Why nothing needs it.
    n_bytes : int
        Its size, with all that is in it.
    """

    path: Path
    reason: str
    n_bytes: int


def find_leftovers(settings: Iterable[Settings]) -> list[Leftover]:
    """List what may be removed from an output folder.

    Parameters
    ----------
    settings : iterable of Settings
        The settings whose products are kept; all with the same output folder.

    Returns
    -------
    list of Leftover
        In order of their paths. Links are never among them.
    """
    kept = list(settings)
    output = kept[0].data.output
    found = dict.fromkeys(unused_folders(kept), "not used by these settings")
    found |= dict.fromkeys(_old_settings(kept, output), "of earlier settings")
    for each in kept:
        found |= _in_folders(each)
    return [
        Leftover(path=path, reason=reason, n_bytes=_measure(path))
        for path, reason in sorted(found.items())
        if not path.is_symlink()
    ]


def is_of_earlier_version(settings: Settings) -> bool:
    """Tell whether a folder holds products of bkgpipe 0.1, and no others.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Returns
    -------
    bool
        False from the first run of this version on.
    """
    output = settings.data.output
    is_new = contents_file(settings).exists()
    return not is_new and any(output.glob("select-*/runs.ecsv"))


def unused_folders(settings: Iterable[Settings]) -> list[Path]:
    """List the folders of stages that none of the settings names.

    Parameters
    ----------
    settings : iterable of Settings
        Settings with the same output folder.

    Returns
    -------
    list of Path
        Folders.
    """
    kept = list(settings)
    used = {each.folder(stage).name for each in kept for stage in STAGES}
    output = kept[0].data.output
    paths = sorted(output.iterdir()) if output.is_dir() else []
    return [
        path
        for path in paths
        if _FOLDER.fullmatch(path.name) and path.name not in used and path.is_dir()
    ]


def _old_settings(kept: list[Settings], output: Path) -> list[Path]:
    present = {frozen_settings(each)[0].name for each in kept}
    return [
        path
        for path in (output / "settings").glob("*.cfg")
        if _SETTINGS.fullmatch(path.name) and path.name not in present
    ]


def _in_folders(settings: Settings) -> dict[Path, str]:
    """Find damaged files, and chunks of which no run is asked for any more."""
    found: dict[Path, str] = {}
    output = settings.data.output
    for path in output.glob("*.damaged"):
        found[path] = "damaged, and made again"
    # a folder elsewhere is shared with other productions
    own = [stage for stage in STAGES if settings.folder(stage).parent == output]
    for stage in own:
        for path in settings.folder(stage).glob("*"):
            if path.suffix == ".damaged":
                found[path] = "damaged, and made again"
        for path in _withdrawn_chunks(settings, stage):
            found[path] = "holds no run of these settings"
    return found


def _withdrawn_chunks(settings: Settings, stage: str) -> Iterator[Path]:
    table = load_table(settings)
    if not table.runs:
        return
    present = {stage: set(number_chunks(settings, table, stage))}
    present["nodes"] = set(number_chunks(settings, table, "smooth"))
    for path in settings.folder(stage).glob("*.h5"):
        chunk = _CHUNK.fullmatch(path.name)
        if chunk and int(chunk["chunk"]) not in present.get(chunk["stage"], set()):
            yield path


def _measure(path: Path) -> int:
    files = path.rglob("*") if path.is_dir() else [path]
    return sum(file.lstat().st_size for file in files if not file.is_dir())
