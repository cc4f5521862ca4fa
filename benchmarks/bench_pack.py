"""Bundles of large archives: their sizes beside their events, time and memory.

Stores are those of ``bench_scale.py``, runs of 20 s, and are made where they are
missing; so a bundle is mostly small files, which is the worst case. The floor is a
plain tar file of the same events files. Each size is packed by a process of its own.
Usage: ``python benchmarks/bench_pack.py FOLDER [runs ...]``
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from tempfile import TemporaryDirectory

from bench_scale import write_store

from bkgpipe.batch.bundle.pack import pack_chunks
from bkgpipe.batch.waves import find_tasks
from bkgpipe.chain.kept import load_settings, register
from bkgpipe.chain.runs import runs_by_chunk
from bkgpipe.flow import AllMasks, Select
from bkgpipe.flow.engine.build import build
from bkgpipe.settings import read_settings, settings_template

_COLUMNS = ("runs", "bundles", "KB a bundle", "of its events", "CPU a run [ms]")
_COLUMNS += ("floor [ms]", "peak [MiB]")


def main(folder: Path, sizes: list[int]) -> None:
    """Print a row for each size."""
    print("| " + " | ".join(_COLUMNS) + " |")
    print("|---" * len(_COLUMNS) + "|")
    for n_runs in sizes:
        place = folder / str(n_runs)
        if not (place / "store" / "hdu-index.fits.gz").exists():
            write_store(place / "store", n_runs)
        command = [sys.executable, __file__, "--one", str(place)]
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)  # noqa: S603
        row = json.loads(done.stdout.strip().splitlines()[-1])
        print("| " + " | ".join(str(each) for each in row) + " |", flush=True)


def _pack_one(place: Path) -> None:
    """Pack all chunks of an archive, and print what it took as one line of JSON."""
    config = place / "pack.cfg"
    given = {
        "data.store": "store",
        "data.output": "out-pack",
        "mask.catalogs": "store/sources.ecsv",
        "select.min_livetime": "1 s",
    }
    config.write_text(settings_template(given), encoding="utf-8")
    settings = load_settings(register(read_settings(config)))
    task = Select(config=str(settings.path))
    build(task, settings)
    build(task.sibling(AllMasks), settings)
    chunks = sorted(find_tasks("count", settings.path))
    n_bytes = n_events = 0
    with TemporaryDirectory(dir=place) as folder:
        started = time.process_time()
        jobs = [[chunk] for chunk in chunks]
        for bundle in pack_chunks(settings, "count", jobs, folder=Path(folder)):
            n_bytes += bundle.size
            bundle.path.unlink()
        spent = time.process_time() - started
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        started = time.process_time()
        for runs in runs_by_chunk(task.table, settings.data.chunk_size).values():
            path = Path(folder) / "events.tar"
            with tarfile.open(path, "w") as tar:
                for run in runs:
                    tar.add(settings.store / run.events_file, arcname=run.events_file)
            n_events += sum(run.file_size for run in runs)
        floor = time.process_time() - started
    n_runs = len(task.table.used)
    row = (
        n_runs,
        len(chunks),
        round(n_bytes / len(chunks) / 1e3),
        round(n_bytes / n_events, 2),
        round(1e3 * spent / n_runs, 2),
        round(1e3 * floor / n_runs, 2),
        round(peak),
    )
    print(json.dumps(row))


if __name__ == "__main__":
    if sys.argv[1] == "--one":
        _pack_one(Path(sys.argv[2]))
    else:
        numbers = [int(word) for word in sys.argv[2:]] or [1000, 10_000]
        main(Path(sys.argv[1]).resolve(), numbers)
