from __future__ import annotations

import json
import os
import subprocess
import sys
import time

import pytest

from bkgpipe.product.whole_file import HOST


@pytest.fixture
def dead() -> int:
    """Return the number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def out(folder, bkgpipe):
    """Output folder of the masks of two settings, and of much else."""
    for radius in ("0.3 deg", "0.4 deg"):
        assert bkgpipe("run", "mask", "--set", f"mask.radius={radius}").exit_code == 0
    return folder / "out"


def _names(out) -> set[str]:
    found = (path for path in out.rglob("*") if path.is_file())
    return {str(path.relative_to(out)) for path in found}


def test_folders_and_settings_of_other_values_go(bkgpipe, out):
    kept = bkgpipe("status", "--json", "--set", "mask.radius=0.4 deg")
    (unused,) = json.loads(kept.stdout)["unused"]
    before = _names(out)

    result = bkgpipe("clean", "--yes", "--set", "mask.radius=0.4 deg")

    assert result.exit_code == 0
    gone = before - _names(out)
    masks = {name for name in gone if name.startswith("mask-")}
    assert masks == {f"{unused}/mask_{chunk}.h5" for chunk in (333, 334, 335, 336)}
    (settings,) = gone - masks
    assert settings.startswith("settings/settings-")
    assert f"{unused}: not used by these settings" in result.stdout
    assert not (out / unused).exists()
    again = bkgpipe("run", "mask", "--set", "mask.radius=0.4 deg")
    assert again.stdout.startswith("Nothing to do.")


@pytest.mark.parametrize(
    ("words", "answer"),
    [(["--dry-run"], ""), ([], "n\n"), (["--dry-run", "--yes"], "")],
)
def test_nothing_goes_unless_it_is_wanted(bkgpipe, out, words, answer):
    before = _names(out)

    result = bkgpipe("clean", *words, answer=answer)

    assert result.exit_code == 0
    assert result.stdout.count(": not used by these settings") == 2
    assert "kB  mask-" in result.stdout
    assert result.stdout.endswith("Nothing was removed.\n")
    assert _names(out) == before


def test_it_asks(bkgpipe, out):
    result = bkgpipe("clean", answer="y\n")

    assert "Remove these? [y/N]" in result.stdout
    assert result.stdout.endswith("Removed 4.\n")
    assert not list(out.glob("mask-*"))
    assert len(list(out.glob("select-*"))) == 1


def test_settings_that_are_to_be_kept(bkgpipe, folder, out):
    other = folder / "other.cfg"
    text = (folder / "luigi.cfg").read_text()
    other.write_text(text.replace("\n#radius = 0.35 deg", "\nradius = 0.3 deg"))
    assert other.read_text() != text

    result = bkgpipe("clean", "--yes", "--keep", other)

    assert "Removed 2." in result.stdout
    assert len(list(out.glob("mask-*"))) == 1
    again = bkgpipe("run", "mask", "--set", "mask.radius=0.3 deg")
    assert again.stdout.startswith("Nothing to do.")


def test_settings_of_another_production_cannot_be_kept(bkgpipe, folder):
    other = folder / "other.cfg"
    text = (folder / "luigi.cfg").read_text()
    other.write_text(text.replace("output = out", "output = elsewhere"))

    result = bkgpipe("clean", "--yes", "--keep", other)

    assert result.exit_code == 2
    assert "other.cfg: has another output folder" in result.stderr


def test_damaged_files_and_those_of_dead_processes_go(bkgpipe, out, dead):
    words = ("--set", "mask.radius=0.3 deg")
    (select,) = out.glob("select-*")
    stale = select / f".runs.ecsv.{HOST}-{dead}-0123abcd"
    alive = select / f".runs.ecsv.{HOST}-{os.getpid()}-0123abcd"
    damaged = select / "runs.ecsv.damaged"
    for path in (stale, alive, damaged):
        path.write_text("words")

    result = bkgpipe("clean", "--yes", *words)

    assert "5 B" in result.stdout
    assert not stale.exists()
    assert not damaged.exists()
    assert alive.exists()
    assert (select / "runs.ecsv").exists()


def test_chunks_of_which_all_runs_were_withdrawn_go(bkgpipe, folder, out):
    words = ("--set", "mask.radius=0.3 deg")
    path = folder / "store" / "obs-index.fits.gz"
    table = pytest.importorskip("astropy.table").Table.read(path)
    for key in ("CHECKSUM", "DATASUM"):  # of what it was
        table.meta.pop(key, None)
    table[table["OBS_ID"] != 1001].write(path, overwrite=True)
    assert bkgpipe("run", "mask", *words).exit_code == 0

    result = bkgpipe("clean", "--yes", *words)

    assert "mask_333.h5: holds no run of these settings" in result.stdout
    left = {path.name for path in out.glob("mask-*/*.h5")}
    assert left == {"mask_334.h5", "mask_335.h5", "mask_336.h5"}


def test_what_is_not_of_a_production_stays(bkgpipe, folder, out):
    elsewhere = folder / "elsewhere"
    strangers = [
        out / "mask-notes" / "a.txt",
        out / "Mask-0123ab" / "a.txt",
        out / "old-0123ab" / "a.txt",
        out / "mask-0123abc" / "a.txt",
        out / "settings" / "mine.cfg",
        out / "notes.txt",
        elsewhere / "a.txt",
    ]
    for path in strangers:
        path.parent.mkdir(exist_ok=True)
        path.write_text("words")
    (out / "smooth-0123ab").symlink_to(elsewhere)
    (out / "count-0123ab").write_text("a file")

    assert bkgpipe("clean", "--yes").exit_code == 0

    assert all(path.exists() for path in strangers)
    assert (out / "smooth-0123ab").is_symlink()
    assert (out / "count-0123ab").is_file()


def test_a_production_that_runs_is_left_alone(bkgpipe, out):
    before = _names(out)
    running = out / "running"
    running.mkdir(exist_ok=True)
    submitter = {"pid": 1, "host": "elsewhere", "started": 1.0, "scheduler": "local"}
    (running / "elsewhere-1.json").write_text(json.dumps(submitter))
    os.utime(running / "elsewhere-1.json", (time.time(), time.time()))

    result = bkgpipe("clean", "--yes")

    assert result.exit_code == 1
    assert "process 1 on elsewhere" in result.stderr
    assert _names(out) - {"running/elsewhere-1.json"} == before


@pytest.mark.usefixtures("folder")
def test_before_the_first_run_nothing_is_to_remove(bkgpipe, folder):
    result = bkgpipe("clean", "--yes")

    assert result.exit_code == 0
    assert result.stdout == "Nothing to remove.\n"
    assert not (folder / "out").exists()


def test_a_folder_that_cannot_be_removed(bkgpipe, out, monkeypatch):
    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("bkgpipe.cli.clean.shutil.rmtree", refuse)

    result = bkgpipe("clean", "--yes")

    assert result.exit_code == 1
    assert "cannot be removed (Permission denied)" in result.stderr
    assert len(list(out.glob("mask-*"))) == 2
