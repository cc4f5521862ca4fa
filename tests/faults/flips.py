"""Flip single bits in the files of a production, one a run.

* ``inputs``: FITS files of the store, which carry CHECKSUM and DATASUM; the whole
  production is made from them.
* ``checkpoints``: all that comes after the file is removed, and made again from it.
* ``deliverables``: models, events and indexes of a production that is done.

A flip is found by ``bkgpipe run`` (which refuses it, or makes the file again) or by
``bkgpipe check --deep``, or it has no effect on the products. Anything else is silent.

Called with a new folder, a number of flips, a seed, the number of a part and of all
parts, and with kinds of files when not all are to be tried; prints a line of JSON for
each flip of its part. By hand::

    python tests/faults/flips.py /tmp/world 20 1 0 1
"""

from __future__ import annotations

import gzip
import json
import os
import shutil
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from astropy.io import fits
from world import World, make_world

_COMMAND = ("run", "export")
_ORDER = (
    "select",
    "mask",
    "count",
    "rank",
    "stack",
    "fit",
    "smooth",
    "export",
    "report",
)
_KINDS = ("inputs", "checkpoints", "deliverables")
_PATTERNS = {
    "inputs": ("store/*index.fits", "store/data/*.fits"),
    "checkpoints": ("out/*-*/*.h5", "out/*-*/*.ecsv"),
    "deliverables": ("out/export-*/store/*.fits*", "out/export-*/store/*/*.fits"),
}


def seal_store(store: Path) -> None:
    """Write all FITS files of a store anew, inflated, with CHECKSUM and DATASUM."""
    for path in sorted(store.rglob("*.fits.gz")):
        plain = path.with_suffix("")
        plain.write_bytes(gzip.decompress(path.read_bytes()))
        with fits.open(plain, memmap=False) as hdus:
            _name_plain_files(hdus)
            hdus.writeto(plain, overwrite=True, checksum=True)
        path.unlink()


def _name_plain_files(hdus: fits.HDUList) -> None:
    for hdu in hdus[1:]:
        if "FILE_NAME" in (hdu.columns.names or ()):
            names = hdu.data["FILE_NAME"]
            hdu.data["FILE_NAME"] = np.char.replace(names, ".fits.gz", ".fits")


def draw_flip(world: World, kind: str, rng: np.random.Generator) -> tuple[Path, int]:
    """Draw a file, and the bit of it that is flipped."""
    found = [p for pattern in _PATTERNS[kind] for p in world.folder.glob(pattern)]
    path = sorted(found)[int(rng.integers(len(found)))]
    return path, int(rng.integers(8 * path.stat().st_size))


def flip(path: Path, bit: int) -> bytes:
    """Flip a bit, and nothing else that can be seen; return what the file was."""
    content = path.read_bytes()
    spoilt = bytearray(content)
    spoilt[bit // 8] ^= 1 << bit % 8
    _put_back(path, bytes(spoilt))
    return content


def _put_back(path: Path, content: bytes) -> None:
    """Replace the content of a file, but not the time of its last change."""
    status = path.stat()
    path.write_bytes(content)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def try_flip(world: World, whole: Path, kind: str, rng: np.random.Generator) -> dict:
    """Flip a bit, run, and tell who found it."""
    world.clear()
    shutil.copytree(whole, world.out)
    path, bit = draw_flip(world, kind, rng)
    _remove_what_follows(world, kind, path)
    content = flip(path, bit)
    outcome, said = _find_out(world)
    if kind == "inputs":
        _put_back(path, content)
    name = str(path.relative_to(world.folder))
    wrong = [f"{name}, bit {bit}: {said}"] * (outcome in ("silent", "hung"))
    crashed = "Traceback" in said
    wrong += [f"{name}, bit {bit}: traceback {said[-1500:]}"] * crashed
    return {"kind": kind, "file": name, "bit": bit, "outcome": outcome, "wrong": wrong}


def _remove_what_follows(world: World, kind: str, path: Path) -> None:
    """Remove what is made from the file that will be spoilt."""
    if kind == "inputs":
        world.clear()
    elif kind == "checkpoints":
        first = _ORDER.index(path.parent.name.partition("-")[0]) + 1
        for word in _ORDER[first:]:
            for folder in world.out.glob(f"{word}-*"):
                shutil.rmtree(folder)
        for marker in path.parent.glob("*.json"):
            marker.unlink()


def _find_out(world: World) -> tuple[str, str]:
    """Tell who finds a flip, and the words."""
    ended = world.run(*_COMMAND)
    if ended.code != 0:
        return "hung" if ended.code is None else "refused by run", ended.said
    differences = world.differences()
    if not differences:
        return "no effect", ended.said
    if all("was set aside" in each for each in differences):
        return "made again by run", ended.said
    return _check(world) or ("silent", "; ".join(differences))


def _check(world: World) -> tuple[str, str] | None:
    """Look for a flip with `check`; None when nothing is found."""
    has_deep = "--deep" in world.run("check", "--help").said
    checked = world.run("check", *["--deep"] * has_deep)
    return ("found by check --deep", checked.said) if checked.code != 0 else None


def _cases(folder: Path, numbers: tuple[int, ...], kinds: list[str]) -> Iterator[dict]:
    n_flips, seed, part, n_parts = numbers
    with make_world(folder) as world:
        seal_store(world.folder / "store")
        world.make_reference(*_COMMAND)
        whole = world.folder / "whole"
        shutil.copytree(world.out, whole)
        for number in range(n_flips)[part::n_parts]:
            rng = np.random.default_rng((seed, number))
            yield try_flip(world, whole, kinds[number % len(kinds)], rng)


def _main(folder: str, *given: str) -> None:
    warnings.simplefilter("ignore")  # of astropy, which mends spoilt headers
    numbers, kinds = tuple(map(int, given[:4])), list(given[4:] or _KINDS)
    for case in _cases(Path(folder), numbers, kinds):
        print(json.dumps(case), flush=True)  # noqa: T201


if __name__ == "__main__":
    _main(*sys.argv[1:])
