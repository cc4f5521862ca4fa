"""Read all of a production to its end, and compare every checksum that there is."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bkgpipe.chain.inputs import load_table
from bkgpipe.chain.record import read_marked_files, read_page_header, read_record_header
from bkgpipe.core.seal import Seal
from bkgpipe.errors import BkgpipeError
from bkgpipe.product.chunk_file import read_identities
from bkgpipe.product.hdf5 import visit_all
from bkgpipe.product.seal import require_sealed
from bkgpipe.settings import Settings
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.export.files import ENTRIES, NODES, read_seals
from bkgpipe.stages.fit.files import FIT
from bkgpipe.stages.mask.files import MASKS
from bkgpipe.stages.rank.files import CANDIDATES, RANKINGS
from bkgpipe.stages.select.files import read_runs_table
from bkgpipe.stages.sky.files import (
    RUN_SKIES,
    read_fields,
    read_hot_spots,
    read_reaches,
)
from bkgpipe.stages.smooth.files import MODELS
from bkgpipe.stages.stack.files import STACKS, read_groups
from bkgpipe.store.files import inflate, locate, open_fits, read_content
from bkgpipe.store.fits_sums import has_sums
from bkgpipe.store.index import find_index

__all__ = ["Verified", "verify_all"]

# Readers of checkpoints, which between them read every value
_READERS: tuple[tuple[str, str, tuple[Callable[[Path], object], ...]], ...] = (
    ("select", "runs.ecsv", (read_runs_table,)),
    ("mask", "mask_*.h5", (MASKS.read, read_identities)),
    ("count", "count_*.h5", (COUNTS.read, read_identities)),
    ("rank", "candidates*.h5", (CANDIDATES.read_one,)),
    ("rank", "rank_*.h5", (RANKINGS.read,)),
    ("stack", "groups.ecsv", (read_groups,)),
    ("stack", "stack_*.h5", (STACKS.read,)),
    ("fit", "fit.h5", (FIT.read_one,)),
    ("smooth", "smooth_*.h5", (MODELS.read,)),
    ("export", "nodes_*.h5", (NODES.read,)),
    ("export", "export_*.h5", (ENTRIES.read,)),
    ("export", "store.json", (read_record_header,)),
    ("sky", "sky_*.h5", (RUN_SKIES.read,)),
    ("sky", "fields.ecsv", (read_fields,)),
    ("sky", "hot_spots.ecsv", (read_hot_spots,)),
    ("sky", "circles.ecsv", (read_reaches,)),
    ("sky", "sky.json", (read_record_header,)),
    ("report", "index.html", (read_page_header,)),
)


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What came of reading one file.

    Attributes
    ----------
    kind : str
        ``checkpoint``, ``deliverable`` or ``input``.
    has_sum : bool
        False if it has no checksum, so that nothing could be compared.
    problem : str
        What is wrong, as a sentence; empty if nothing is.
    """

    kind: str
    has_sum: bool
    problem: str


def verify_all(settings: Settings) -> Iterator[Verified]:
    """Read checkpoints, deliverables and inputs, and compare their checksums.

    Parameters
    ----------
    settings : Settings
        Settings of the production.

    Yields
    ------
    Verified
        What came of each file; nothing is changed.
    """
    for stage, pattern, readers in _READERS:
        everything = (visit_all,) if pattern.endswith(".h5") else ()
        for path in sorted(settings.folder(stage).glob(pattern)):
            yield _verify("checkpoint", partial(_read, (*readers, *everything), path))
    record = settings.data.output / "production.json"
    if record.exists():
        yield _verify("checkpoint", partial(_read, (read_record_header,), record))
    yield from _verify_sealed(settings)
    yield from _verify_inputs(settings)


def _verify_sealed(settings: Settings) -> Iterator[Verified]:
    folder = settings.folder("export")
    markers = {
        path: read_seals if path.suffix == ".h5" else read_marked_files
        for path in (*sorted(folder.glob("export_*.h5")), folder / "store.json")
    }
    for place in (("report", "pages.json"), ("sky", "sky.json")):
        markers[settings.folder(place[0]) / place[1]] = read_marked_files
    for marker, read in markers.items():
        try:
            seals = read(marker) if marker.exists() else []
        except BkgpipeError as error:
            yield Verified(kind="deliverable", has_sum=True, problem=str(error))
            continue
        for seal in seals:
            yield _verify("deliverable", partial(_read_sealed, marker.parent, seal))


def _verify_inputs(settings: Settings) -> Iterator[Verified]:
    store = settings.store
    for name in ("obs-index", "hdu-index"):
        yield _verify("input", partial(_read_index, store, name))
    files = {
        file: f"run {run.obs_id} ({file})"
        for run in load_table(settings).used
        for file in (run.events_file, run.gti_file)
        if file
    }
    for file, where in files.items():
        yield _verify("input", partial(_read_input, store, file, where))


def _verify(kind: str, read: Callable[[], bool]) -> Verified:
    try:
        return Verified(kind=kind, has_sum=read(), problem="")
    except BkgpipeError as error:
        return Verified(kind=kind, has_sum=True, problem=str(error))


def _read(readers: Iterable[Callable[[Path], object]], path: Path) -> bool:
    for read in readers:
        read(path)
    return True


def _read_sealed(folder: Path, seal: Seal) -> bool:
    require_sealed(folder, seal)
    return True


def _read_index(store: Path, name: str) -> bool:
    path = find_index(store, name)
    return _read_fits(path, where=str(path))


def _read_input(store: Path, file: str, where: str) -> bool:
    return _read_fits(locate(store, file, where=where), where=where)


def _read_fits(path: Path, *, where: str) -> bool:
    """Compare the checksums of a FITS file; tell whether it has any."""
    content = inflate(read_content(path, where=where), where=where)
    with open_fits(content, where=where):
        return has_sums(content)
