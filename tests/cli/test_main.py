from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from bkgpipe import __version__
from bkgpipe.cli.main import main

_THREADS = "OMP_NUM_THREADS"
_COMMANDS = ("check", "demo", "init", "plan", "run", "show", "simulate", "status")


def test_version():
    result = CliRunner().invoke(main, ["--version"])

    assert result.exit_code == 0
    assert result.stdout.strip().endswith(__version__)


def test_help_names_every_command():
    result = CliRunner().invoke(main, ["-h"])

    assert result.exit_code == 0
    assert set(_COMMANDS) <= set(result.stdout.split())


def test_help_lists_each_command_once_by_topic():
    lines = CliRunner().invoke(main, ["-h"]).stdout.splitlines()

    rows = [line.split()[0] for line in lines if re.match(r"  [a-z]+  ", line)]
    assert sorted(rows) == sorted(main.commands)
    assert rows[:5] == ["demo", "index", "init", "check", "plan"]
    assert "Making models:" in lines
    assert "Quality checks:" in lines
    assert not [line for line in lines if len(line) > 80]


@pytest.mark.parametrize("command", _COMMANDS)
def test_each_command_has_help(command):
    result = CliRunner().invoke(main, [command, "--help"])

    assert result.exit_code == 0
    assert f"{command} [OPTIONS]" in result.stdout


@pytest.mark.parametrize(
    "words",
    [["nonsense"], ["run", "nonsense"], ["run", "--workers", "0"], ["show", "none.h5"]],
)
def test_wrong_use_is_exit_code_2(bkgpipe, tmp_path, monkeypatch, words):
    monkeypatch.chdir(tmp_path)

    result = bkgpipe(*words)

    assert result.exit_code == 2
    assert result.stderr.startswith("Usage:")


@pytest.mark.parametrize("command", ["check", "plan", "run", "status"])
def test_missing_settings_file_is_told_in_one_line(
    bkgpipe, tmp_path, monkeypatch, command
):
    monkeypatch.chdir(tmp_path)

    result = bkgpipe(command)

    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == (
        "Error: luigi.cfg: cannot be read (No such file or directory). "
        "Name the file with --config, or write one with bkgpipe init.\n"
    )


def test_verbose_shows_the_traceback_and_keeps_the_exit_code(
    bkgpipe, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)

    result = bkgpipe("-v", "check")

    assert result.exit_code == 2
    assert result.stderr.startswith("Traceback")
    assert "SettingsError: luigi.cfg: cannot be read" in result.stderr


@pytest.mark.parametrize("command", ["check", "plan", "run", "status"])
def test_misspelt_key_is_exit_code_2_and_names_the_nearest(bkgpipe, folder, command):
    result = bkgpipe(command, "--set", "smooth.sigmma=2")

    assert result.exit_code == 2
    assert "[smooth] sigmma is not a key" in result.stderr
    assert "did you mean sigma?" in result.stderr
    assert not (folder / "out").exists()


def test_misspelt_section_and_bad_value_are_told_together(bkgpipe, folder):
    text = (folder / "luigi.cfg").read_text().replace("[rank]", "[rnk]")
    (folder / "luigi.cfg").write_text(text)

    result = bkgpipe("check", "--set", "data.chunk_size=0")

    assert result.exit_code == 2
    assert "luigi.cfg: 2 problem(s):" in result.stderr
    assert "[rnk] is not a section" in result.stderr
    assert "did you mean rank?" in result.stderr
    assert "[data] chunk_size: 0 is below the least value 1" in result.stderr


@pytest.mark.parametrize(("given", "found"), [({}, "1"), ({_THREADS: "3"}, "3")])
def test_one_thread_unless_told_otherwise(given: dict[str, str], found: str):
    code = (
        "import os, sys\n"
        "from bkgpipe.cli.main import main\n"
        "early = 'numpy' in sys.modules\n"
        "try:\n"
        "    main(['status', '--config', 'none.cfg'])\n"
        "except SystemExit:\n"
        f"    print(os.environ['{_THREADS}'], early)\n"
    )
    bare = {key: text for key, text in os.environ.items() if "THREADS" not in key}

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=bare | given,
    )

    assert done.stdout == f"{found} False\n"


def test_what_is_imported_is_hardly_searched_for_garbage():
    code = (
        "import gc\n"
        "from bkgpipe.cli.main import main\n"
        "searches = []\n"
        "gc.callbacks.append(lambda phase, _: searches.append(phase))\n"
        "try:\n"
        "    main(['status', '--config', 'none.cfg'])\n"
        "except SystemExit:\n"
        "    print(searches.count('start'))\n"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    assert int(done.stdout) < 50
