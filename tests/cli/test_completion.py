from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from click.testing import CliRunner

from bkgpipe.cli.main import main


@pytest.mark.parametrize("shell", ["bash", "fish", "zsh"])
def test_each_shell_gets_its_script(shell):
    result = CliRunner().invoke(main, ["completion", shell])

    assert result.exit_code == 0
    assert f"_BKGPIPE_COMPLETE={shell}_complete" in result.stdout


def test_another_shell_is_wrong_use():
    result = CliRunner().invoke(main, ["completion", "tcsh"])

    assert result.exit_code == 2
    assert "'tcsh' is not one of 'bash', 'fish', 'zsh'" in result.stderr


@pytest.mark.parametrize(
    ("words", "incomplete", "found"),
    [
        (["bkgpipe"], "st", {"status"}),
        (["bkgpipe", "simulate"], "", {"mixing", "overlay", "settings", "store"}),
        (["bkgpipe", "run"], "c", {"count"}),
        (["bkgpipe", "plan"], "--s", {"--set", "--site"}),
    ],
)
def test_the_command_answers_what_the_script_asks(words, incomplete, found):
    environment = os.environ | {
        "_BKGPIPE_COMPLETE": "zsh_complete",
        "COMP_WORDS": " ".join([*words, incomplete]),
        "COMP_CWORD": str(len(words)),
    }
    code = "from bkgpipe.cli.main import main; main(prog_name='bkgpipe')"

    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
    )

    # type, value and help, one to a line
    assert set(done.stdout.splitlines()[1::3]) == found


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")
def test_bash_understands_its_script(tmp_path):
    script = tmp_path / "complete"
    script.write_text(CliRunner().invoke(main, ["completion", "bash"]).stdout)

    done = subprocess.run(  # noqa: S603
        ["bash", "--norc", "-c", f"source {script} && complete -p bkgpipe"],  # noqa: S607
        capture_output=True,
        text=True,
        check=True,
    )

    assert "_bkgpipe_completion" in done.stdout
