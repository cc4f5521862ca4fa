"""What `run` refuses, `check` names in the same words, and nothing else."""

from __future__ import annotations

import re

import pytest
from spoilt import STORES


@pytest.mark.parametrize("name", STORES)
def test_check_and_run_say_the_same(bkgpipe, folder, name):
    case = STORES[name]
    case.spoil(folder / "store")
    words = [word for each in case.settings for word in ("--set", each)]

    checked = bkgpipe("check", *words)
    ran = bkgpipe("run", case.stage, *words, "--set", "run.allow_refused=true")

    told = re.findall(r"^Problem: (.*)$", checked.stdout, re.MULTILINE)
    refused = re.findall(r"^  refused \d+: (.*)$", ran.stdout, re.MULTILINE)
    stopped = re.findall(r"^Error: (.*)$", ran.stderr, re.MULTILINE)
    assert sorted(told) == sorted([*refused, *stopped]), ran.output
    assert all(re.search(case.told, sentence) for sentence in told), told
    assert checked.exit_code == (1 if told else 0)
    assert told
