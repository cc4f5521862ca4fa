from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from bkgpipe.cli.main import main


def _walk(command: click.Command, name: str) -> Iterator[tuple[str, click.Command]]:
    yield name, command
    if isinstance(command, click.Group):
        for word, each in command.commands.items():
            yield from _walk(each, f"{name} {word}")


_ALL = dict(_walk(main, "bkgpipe"))


def _examples(command: click.Command) -> list[str]:
    heading, *lines = (command.epilog or "").removeprefix("\b\n").splitlines()
    assert heading == ("Example:" if len(lines) == 1 else "Examples:")
    return [line.strip() for line in lines]


@pytest.fixture(autouse=True)
def _files_need_not_exist(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(click.Path, "convert", lambda _self, value, _param, _ctx: value)


def _parse(line: str) -> tuple[str, dict[str, object]]:
    """Parse a command line without calling it."""
    program, *words = shlex.split(re.split(r" [>|] ", line)[0])
    assert program == "bkgpipe"
    name, command = program, main
    while isinstance(command, click.Group):
        assert words, f"{name} is no command"
        assert words[0] in command.commands
        command = command.commands[words[0]]
        name = f"{name} {words.pop(0)}"
    return name, command.make_context(name, words).params


@pytest.mark.parametrize("name", _ALL)
def test_each_command_has_an_example_that_parses(name):
    examples = _examples(_ALL[name])

    assert examples
    for line in examples:
        called, _ = _parse(line)
        assert called.startswith(name)
        assert len(line) < 78


@pytest.mark.parametrize("name", _ALL)
def test_examples_end_the_help_line_by_line(name):
    words = name.split()[1:]

    result = CliRunner().invoke(main, [*words, "--help"])

    assert result.exit_code == 0
    lines = result.stdout.rstrip().splitlines()
    shown = [f"    {line}" for line in _examples(_ALL[name])]
    assert lines[-len(shown) :] == shown


@pytest.mark.parametrize("words", [[], ["simulate"]])
def test_each_summary_is_shown_to_its_end(words):
    shown = CliRunner().invoke(main, [*words, "--help"], terminal_width=80).stdout

    assert "..." not in shown.replace("COMMAND [ARGS]...", "")


@pytest.mark.parametrize("option", ["--json", "--set", "--workers", "--plot"])
def test_an_option_is_the_same_in_all_commands(option):
    helps = {
        parameter.help.partition("settings")[0]
        for command in _ALL.values()
        for parameter in command.params
        if option in parameter.opts
    }

    assert len(helps) == 1


@pytest.mark.parametrize(
    "line",
    [
        "bkgpipe plan --sett smooth.sigma=2",
        "bkgpipe run cuont",
        "bkgpipe run --workers many",
        "bkgpipe plan nonsense",
        "bkgpipe explain",
        "bkgpipe init",
        "bkgpipe nonsense",
        "bkgpipe simulate",
    ],
)
def test_a_wrong_example_would_be_found(line):
    with pytest.raises((click.UsageError, AssertionError)):
        _parse(line)


def test_values_of_an_example_are_read():
    name, values = _parse('bkgpipe run count --set mask.radius="0.5 deg" > log')

    assert name == "bkgpipe run"
    assert values["stage"] == "count"
    assert values["overrides"] == ("mask.radius=0.5 deg",)
