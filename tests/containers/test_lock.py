"""The lock file of the image fits setup.cfg; needs neither Apptainer nor network."""

from __future__ import annotations

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
from packaging.requirements import Requirement

_PIN = re.compile(r"([a-z0-9-]+)==(\S+) \\")


@pytest.fixture
def lock(root: Path) -> str:
    return (root / "containers" / "requirements.lock").read_text(encoding="utf-8")


def test_each_requirement_is_pinned_within_its_range(lock, root):
    settings = ConfigParser()
    settings.read(root / "setup.cfg", encoding="utf-8")
    lines = settings["options"]["install_requires"].split("\n")
    lines += settings["options.extras_require"]["transfer"].split("\n")
    requirements = [Requirement(line) for line in lines if line]
    pins = dict(_PIN.findall(lock))

    assert len(requirements) > 10
    for requirement in requirements:
        assert requirement.name in pins, "run containers/lock.sh"
        pin = pins[requirement.name]
        assert requirement.specifier.contains(pin), f"{requirement}: {pin}"


def test_each_pin_has_hashes(lock):
    blocks = re.split(r"\n(?=\S)", lock)
    pinned = [block for block in blocks if _PIN.match(block)]

    assert len(pinned) == len(_PIN.findall(lock)) > 30
    for block in pinned:
        assert re.search(r"\n    --hash=sha256:[0-9a-f]{64}\b", block), block


def test_lock_names_no_index_and_no_folder(lock):
    assert not re.search(r"://|--index|--find-links|(^|\s)/", lock)
    assert "# " in lock.splitlines()[0]
    assert lock.splitlines()[1].split() == ["#", "containers/lock.sh"]
