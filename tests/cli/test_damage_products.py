"""Damaged checkpoints and disks that fail: what is said, and that a run goes on.

Each case starts from a production that is done up to `count`, spoils it, and goes on to
`stack`: the sums must be those of an undisturbed production.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import h5py
import luigi
import numpy as np
import pytest
from click.testing import CliRunner, Result

from bkgpipe.chain.inputs import forget
from bkgpipe.cli.main import main
from bkgpipe.flow import report
from bkgpipe.flow.engine import build as engine
from bkgpipe.product.hdf5 import read_header
from bkgpipe.stages.count.files import COUNTS
from bkgpipe.stages.stack.files import STACKS

Spoil = Callable[[Path], Any]


@pytest.fixture(scope="module")
def _counted(
    prepare: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    folder = prepare(tmp_path_factory.mktemp("products"))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr("bkgpipe.cli.logs.set_up_logging", _leave_logging)
        patch.setattr(report, "_MAX_MODELS", 1)
        patch.setattr(engine, "_PAUSE", 0.1)
        assert _call("run").exit_code == 0
        yield folder


def _leave_logging(*, verbose: bool) -> None:
    """Stand in for `set_up_logging`."""


def _call(*words: str) -> Result:
    forget()
    luigi.configuration.get_config().reload()
    return CliRunner().invoke(main, list(words), catch_exceptions=False)


@pytest.fixture
def out(_counted: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Output folder of a production that is done, to be spoilt; restored afterwards."""
    monkeypatch.chdir(_counted)
    monkeypatch.setattr("bkgpipe.cli.logs.set_up_logging", _leave_logging)
    monkeypatch.setattr(report, "_MAX_MODELS", 1)
    kept = _counted.parent / "kept"
    shutil.copytree(_counted / "out", kept)
    yield _counted / "out"
    shutil.rmtree(_counted / "out")
    kept.rename(_counted / "out")
    forget()


def _one(out: Path, pattern: str) -> Path:
    (path,) = out.glob(pattern)
    return path


def _bytes(change: Callable[[bytes], bytes]) -> Spoil:
    return lambda path: path.write_bytes(change(path.read_bytes()))


def _edit(change: Callable[[h5py.File], Any]) -> Spoil:
    """Change a file by hand."""

    def spoil(path: Path) -> None:
        with h5py.File(path, "r+") as file:
            change(file)

    return spoil


def _middle(content: bytes) -> bytes:
    """Exchange two blocks of bytes."""
    n = len(content) // 2
    return (
        content[:n]
        + content[n + 500 : n + 1000]
        + content[n : n + 500]
        + content[n + 1000 :]
    )


def _new_kind(file: h5py.File) -> None:
    data = file["records/counts_3d"][()]
    del file["records/counts_3d"]
    file["records/counts_3d"] = data.astype(float)


def _change_cell(file: h5py.File) -> None:
    counts = file["records/counts_3d"]
    data = counts[()]
    data[1, 0, 3, 4] += 1
    counts[...] = data


def _claim_much(file: h5py.File) -> None:
    del file["records/counts_3d"]
    shape = (3, 10**4, 10**5, 10**4)
    file["records"].create_dataset("counts_3d", shape, "i8", chunks=(1, 10, 10, 10))


def _take_elsewhere(file: h5py.File) -> None:
    del file["records/counts_3d"]
    file["records/counts_3d"] = h5py.ExternalLink("count_335.h5", "records/counts_3d")


def _lose_a_record(file: h5py.File) -> None:
    for name in ("ids", "sums"):
        data = file["records"][name][()]
        del file["records"][name]
        file["records"][name] = data[1:]


def _exchange_records(file: h5py.File) -> None:
    for each in file["records"].values():
        if (
            isinstance(each, h5py.Dataset)
            and len(each) == 3
            and each.name[-3:] != "ids"
        ):
            each[...] = each[()][[1, 0, 2]]


def _folder(path: Path) -> None:
    path.unlink()
    path.mkdir()
    (path / "file").touch()


def _other_settings(path: Path) -> None:
    header = replace(read_header(path), fingerprint="abcdef")
    COUNTS.write(path, header, COUNTS.read(path))


def _other_stage(path: Path) -> None:
    shutil.copy(_one(path.parents[1], "mask-*/mask_334.h5"), path)


def _words(old: str, new: str) -> Spoil:
    def change(path: Path) -> None:
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new, 1))

    return change


_COUNT = "count-*/count_334.h5"
_RUNS, _GROUPS = "select-*/runs.ecsv", "stack-*/groups.ecsv"
_UNREADABLE = "the file cannot be read"
_SUM = "the checksum of .* is wrong"
_TABLE = "the table cannot be read"

# file, how it is spoilt, and what is said of it
CASES: dict[str, tuple[str, Spoil, str]] = {
    "truncated": (_COUNT, _bytes(lambda c: c[: len(c) // 2]), _UNREADABLE),
    "cut at the end": (_COUNT, _bytes(lambda c: c[:-1]), _UNREADABLE),
    "empty": (_COUNT, _bytes(lambda _: b""), _UNREADABLE),
    "words": (_COUNT, _bytes(lambda _: b"no HDF5"), _UNREADABLE),
    "zeros": (_COUNT, _bytes(lambda c: bytes(len(c))), _UNREADABLE),
    "bytes exchanged": (_COUNT, _bytes(_middle), f"{_UNREADABLE}|{_SUM}"),
    "folder": (_COUNT, _folder, "Is a directory|cannot be read"),
    "value": (_COUNT, _edit(_change_cell), _SUM),
    "header": (_COUNT, _edit(lambda f: f.attrs.modify("seconds", 0.0)), _SUM),
    "kind": (_COUNT, _edit(_new_kind), _SUM),
    "no record": (_COUNT, _edit(_lose_a_record), _SUM),
    "no records": (_COUNT, _edit(lambda f: f.pop("records")), _UNREADABLE),
    "no array": (_COUNT, _edit(lambda f: f.pop("records/counts_3d")), _UNREADABLE),
    "records exchanged": (_COUNT, _edit(_exchange_records), _SUM),
    "huge array": (_COUNT, _edit(_claim_much), "claims 80000000000000 bytes"),
    "link": (_COUNT, _edit(_take_elsewhere), "is missing or a link"),
    "other settings": (_COUNT, _other_settings, "is a product of count-abcdef"),
    "other stage": (_COUNT, _other_stage, "is a product of mask-"),
    "row of runs": (_RUNS, _words("Field 1003", "Field 1009"), _SUM),
    "header of runs": (_RUNS, _words("inputs: ", "inputs: '1' # "), f"{_SUM}|{_TABLE}"),
    "runs truncated": (_RUNS, _bytes(lambda c: c[:-300]), _SUM),
    "runs empty": (_RUNS, _bytes(lambda _: b""), _TABLE),
    "runs folder": (_RUNS, _folder, _TABLE),
    "groups edited": (_GROUPS, _words(" 1003 ", " 1004 "), _SUM),
    "groups empty": (_GROUPS, _bytes(lambda _: b""), _TABLE),
}


def _stack(out: Path) -> tuple[list[int], np.ndarray]:
    """Runs of all groups, and the counts of the groups."""
    stacks = STACKS.read(_one(out, "stack-*/stack_0.h5")).records.values()
    obs_ids = [int(obs_id) for stack in stacks for obs_id in stack.obs_ids]
    return obs_ids, np.stack([stack.counts_3d for stack in stacks])


@pytest.mark.parametrize("name", CASES)
def test_a_damaged_checkpoint_is_set_aside_and_made_again(
    out: Path, all_told: Callable[[], str], name: str
):
    pattern, spoil, told = CASES[name]
    obs_ids, counts = _stack(out)
    _one(out, "stack-*/stack_0.h5").unlink()
    if "groups" not in name:
        _one(out, _GROUPS).unlink()
    path = _one(out, pattern)
    spoil(path)

    result = _call("run", "stack")

    assert result.exit_code == 0, result.output + all_told()
    assert re.search(f"{path}.*({told}).*It was moved to .*damaged", all_told())
    assert path.with_name(path.name + ".damaged").exists()
    assert path.is_file()
    again = _stack(out)
    assert again[0] == obs_ids
    np.testing.assert_array_equal(again[1], counts)
    assert _call("run", "stack").stdout.startswith("Nothing to do.")


def test_the_file_of_another_chunk_is_made_again(out: Path):
    _, counts = _stack(out)
    _one(out, "stack-*/stack_0.h5").unlink()
    path = _one(out, _COUNT)
    shutil.copy(path.with_name("count_335.h5"), path)

    assert _call("run", "stack").exit_code == 0

    assert list(COUNTS.read(path).records) == [1002, 1003, 1004]
    np.testing.assert_array_equal(_stack(out)[1], counts)


def test_what_is_not_of_the_product_does_no_harm(out: Path):
    before = _one(out, _COUNT)
    with h5py.File(before, "r+") as file:
        file.copy("records", "others")
        file["notes"] = np.arange(4)
        file["records/counts_3d"].attrs["note"] = "looked at"
    _, counts = _stack(out)
    _one(out, "stack-*/stack_0.h5").unlink()

    assert _call("run", "stack").exit_code == 0

    np.testing.assert_array_equal(_stack(out)[1], counts)
    assert not list(out.rglob("*.damaged"))


@pytest.mark.parametrize(
    ("pattern", "spoil"),
    [
        ("production.json", _bytes(lambda c: c[: len(c) // 2])),
        ("production.json", _words('"n_used": 8', '"n_used": 9')),
        ("production.json", _folder),
        ("report-*/index.html", _bytes(lambda c: c[:-200])),
        ("report-*/index.html", _words("</html>", "<p>more</p></html>")),
        ("export-*/store.json", _bytes(lambda _: b"{}")),
    ],
)
def test_a_damaged_record_or_page_is_made_again(out: Path, all_told, pattern, spoil):
    path = _one(out, pattern)
    spoil(path)
    if pattern != "production.json":
        (out / "production.json").unlink()

    result = _call("run")

    assert result.exit_code == 0, result.output
    assert f"{path}: is not what was written. It was moved to" in all_told()
    assert path.is_file()
    assert _call("run").stdout.startswith("Nothing to do.")


def test_a_damaged_product_of_a_whole_production_is_found_when_it_is_told(out: Path):
    path = _one(out, "export-*/export_334.h5")
    with h5py.File(path, "r+") as file:
        file["records/hours"][1] = 1000.0

    first, second = _call("run"), _call("run")

    assert first.exit_code in {0, 1}
    assert second.exit_code == 0, second.output
    assert "Models: 16" in second.stdout
    assert path.is_file()


def test_what_cannot_be_moved_aside_is_told(out: Path, all_told, monkeypatch):
    path = _one(out, _COUNT)
    path.write_bytes(b"")
    _one(out, "stack-*/stack_0.h5").unlink()
    _fail(monkeypatch, errno.EROFS, _COUNT)

    result = _call("run", "stack")

    assert result.exit_code == 1
    assert "It cannot be moved aside (Read-only file system)" in all_told()
    assert "was moved" not in all_told()
    assert "Traceback" not in result.output
    monkeypatch.undo()


def _fail(monkeypatch: pytest.MonkeyPatch, number: int, pattern: str) -> None:
    """Let the operating system refuse to rename files."""
    whole = Path.replace

    def refuse(self: Path, target: Path) -> Path:
        if Path(target).match(pattern) or self.match(pattern):
            raise OSError(number, os.strerror(number))
        return whole(self, target)

    monkeypatch.setattr(Path, "replace", refuse)


@pytest.mark.parametrize(
    "number",
    [
        errno.ENOSPC,
        errno.EDQUOT,
        errno.EROFS,
        errno.EACCES,
        errno.EIO,
        errno.ENOENT,
        errno.ESTALE,
    ],
)
def test_a_disk_that_fails(out: Path, all_told, number):
    _, counts = _stack(out)
    _one(out, "stack-*/stack_0.h5").unlink()
    _one(out, _COUNT).unlink()
    with pytest.MonkeyPatch.context() as patch:
        _fail(patch, number, _COUNT)

        result = _call("run", "stack")

    assert result.exit_code == 1
    assert f"cannot be written ({os.strerror(number)})" in all_told()
    assert "with free space" in all_told()
    assert not list(out.rglob(".*"))
    assert _call("run", "stack").exit_code == 0
    np.testing.assert_array_equal(_stack(out)[1], counts)


def test_a_full_disk_is_no_fault_of_a_run(out: Path, all_told):
    for pattern in ("export-*/export_334.h5", "export-*/store.json", "production.json"):
        _one(out, pattern).unlink()
    with pytest.MonkeyPatch.context() as patch:
        _fail(patch, errno.ENOSPC, "bkg_3d_1003.fits")

        result = _call("run", "export", "--set", "run.allow_refused=true")

    assert result.exit_code == 1
    assert "bkg_3d_1003.fits: cannot be written (No space left" in all_told()
    assert "refused" not in result.stdout.replace("0 refused", "")
    again = _call("run", "export")
    assert again.exit_code == 0
    assert "Models: 16" in again.stdout


@pytest.mark.parametrize("seconds", [1.0, 4e9])
def test_a_clock_that_jumps(out: Path, seconds):
    for path in out.rglob("*"):
        os.utime(path, (seconds, seconds))

    result = _call("run")

    assert result.exit_code == 0
    assert result.stdout.startswith("Nothing to do.")


def test_files_that_may_grow_no_further(folder, start):
    """A limit of the operating system cuts HDF5 files in the middle of writing."""
    code = (
        "import resource, signal\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (12000, -1))\n"
        "from bkgpipe.cli.main import main\n"
        "main(['run', 'count'])"
    )
    (folder / "limited.py").write_text(code)

    limited = start(folder, "limited")
    stdout, stderr = limited.communicate(timeout=180)

    assert limited.returncode == 1, stdout + stderr
    assert "cannot be written" in stderr
    assert "Traceback" not in stderr
    assert not list((folder / "out").glob("count-*/*"))
