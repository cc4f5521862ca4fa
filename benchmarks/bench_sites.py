"""Make one production in several places, and compare models and times.

    python benchmarks/bench_sites.py CONFIG FOLDER --site NAME --site NAME ...

CONFIG is a settings file with a section for each site. The production is made anew in
sub-folders of FOLDER: with two workers, with a luigid and three processes, and at each
site. Models must be equal, bit for bit, to those of the first.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import numpy as np
from astropy.io import fits

from bkgpipe.batch.jobs import Journal, find_sites, site_folder

_PORT = 18_082
_Models = dict[str, list[bytes]]


@click.command()
@click.argument("config", type=click.Path(exists=True, path_type=Path))
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--site", "sites", multiple=True, help="Batch site; may be repeated.")
def main(config: Path, folder: Path, sites: tuple[str, ...]) -> None:
    """Print a table of places, times, jobs, and whether the models are equal."""
    places = {"local, 2 workers": ["--workers", "2"], "luigid, 3 processes": None}
    places |= {f"site {site}": ["--site", site] for site in sites}
    expected: _Models = {}
    click.echo(f"{'place':24} {'wall [s]':>8} {'jobs':>5} {'models':>6}  equal")
    for number, (place, words) in enumerate(places.items()):
        output = folder / str(number)
        shutil.rmtree(output, ignore_errors=True)
        command = ["run", "--config", config, "--set", f"data.output={output}"]
        started = time.monotonic()
        _run(command, words)
        seconds = time.monotonic() - started
        models = _read_models(output)
        expected = expected or models
        click.echo(
            f"{place:24} {seconds:8.1f} {_count_jobs(output):5} {len(models):6}  "
            f"{'yes' if models == expected else 'NO'}"
        )


def _run(command: list[object], words: list[str] | None) -> None:
    if words is not None:
        _wait([_start([*command, *words])])
        return
    with _luigid():
        shared = ["--scheduler-host", "127.0.0.1", "--scheduler-port", _PORT]
        _wait([_start([*command, *shared]) for _ in range(3)])


def _start(words: list[object]) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "bkgpipe", *map(str, words)]
    return subprocess.Popen(  # noqa: S603
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def _wait(processes: list[subprocess.Popen[str]]) -> None:
    for process in processes:
        told, _ = process.communicate()
        if process.returncode:
            click.echo(told)
            sys.exit(process.returncode)


@contextmanager
def _luigid() -> Iterator[None]:
    command = [Path(sys.executable).with_name("luigid")]
    command += ["--address", "127.0.0.1", "--port", str(_PORT)]
    server = subprocess.Popen(  # noqa: S603
        list(map(str, command)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    time.sleep(3)
    try:
        yield
    finally:
        server.terminate()
        server.wait()


def _read_models(output: Path) -> _Models:
    """Read the data of all models."""
    models = {}
    for path in sorted(output.glob("export-*/store/models/*.fits")):
        with fits.open(path) as hdus:
            models[path.name] = [
                np.asarray(hdu.data).tobytes() for hdu in hdus if hdu.data is not None
            ]
    return models


def _count_jobs(output: Path) -> int:
    return sum(
        len(Journal(site_folder(output, site)).read()) for site in find_sites(output)
    )


if __name__ == "__main__":
    main()
