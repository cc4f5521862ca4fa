"""Run the tutorials, and all other pages that can be run.

What a page shows below a command is compared loosely, since numbers depend on versions
and machines: each line must be found in what the command prints, in order, by its first
three words. All numbers and fingerprints are alike in that, words with ``/`` (paths) or
``…`` match anything, and a line that is ``…`` alone stands for any lines.
"""

from __future__ import annotations

import importlib.util
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

_ROOT = Path(__file__).parents[2]
_RUNNER = Path(__file__).with_name("run_page.py")
_TUTORIALS = sorted(
    path
    for path in (_ROOT / "docs" / "tutorials").glob("*.md")
    if path.name != "index.md"
)
_OTHERS = (
    _ROOT / "README.md",
    _ROOT / "docs" / "quickstart.md",
    _ROOT / "docs" / "api.md",
)
_REASONS = {
    "installs": "pip and make use the network; .ci/run does the same itself",
    "batch system": "needs Slurm, HTCondor or a luigid; make test-sites runs them",
    "your data": "needs a store that is not here; tutorials do it on simulated data",
    "other tool": "a fragment of another program, which is not installed",
    "home": "writes to the home of who runs it",
    "minutes": "runs for minutes; .ci/run does the same itself",
}
_N_WORDS = 3


@pytest.fixture(scope="session")
def run_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Any]]:
    """Run a page in a folder of its own: what ran, in order."""
    environment = {k: v for k, v in os.environ.items() if k != "GAMMAPY_DATA"}
    server = subprocess.Popen(  # noqa: S603
        [sys.executable, str(_RUNNER)],
        env=environment | {"MPLBACKEND": "agg"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin
    assert server.stdout

    def run(page: Path) -> list[SimpleNamespace]:
        folder = tmp_path_factory.mktemp(page.stem)
        result = tmp_path_factory.mktemp("result") / "done.json"
        server.stdin.write(json.dumps([str(page), str(folder), str(result)]) + "\n")
        server.stdin.flush()
        assert server.stdout.readline().strip() == "0"
        text = result.read_text(encoding="utf-8")
        return [SimpleNamespace(**done) for done in json.loads(text)]

    with server:
        yield run


@pytest.mark.parametrize("page", [*_TUTORIALS, *_OTHERS], ids=lambda page: page.stem)
def test_page_runs(page: Path, run_page: Callable[..., Any]) -> None:
    done = run_page(page)

    for one in done:
        where = f"{page.name}, line {one.number}: {one.text}\n{one.printed}"
        assert one.code == one.wanted, where
        missing = _find_missing(one.shown, one.printed.splitlines())
        assert not missing, f"not printed: {missing}\n{where}"
    if page in _TUTORIALS:
        assert sum(one.text.startswith("bkgpipe") for one in done) >= 2


@pytest.mark.parametrize("page", [*_TUTORIALS, *_OTHERS], ids=lambda page: page.stem)
def test_blocks_are_run_or_say_why_not(page: Path) -> None:
    spec = _load_runner()
    blocks = list(spec.read_blocks(page.read_text(encoding="utf-8")))

    assert blocks
    for block in blocks:
        where = f"{page.name}, line {block.number}"
        if block.reason:
            assert block.reason in _REASONS, f"{where}: {block.reason}"
        else:
            is_known = block.language in {"console", "python", "text"} or block.file
            assert is_known, f"{where}: say how to run it, or why not"
        if block.language == "console":
            assert block.lines[0].startswith("$ "), where


def test_shown_lines_are_compared_loosely() -> None:
    printed = ["Runs: 12 used (0.9 h), 3 left", "Store:  /a/b", "x", "Done in 3.9 s."]

    assert not _find_missing(["Runs: 9 used (1.1 h)", "…", "Done in 4 s."], printed)
    assert not _find_missing(["Store: …/models/store"], printed)
    assert not _find_missing(["3 MB  export-c02e2f: not"], ["5 MB export-6f4ac7: not"])
    assert _find_missing(["Runs: 9 refused"], printed) == "Runs: 9 refused"
    assert _find_missing(["Done in 4 s.", "Runs: 9 used"], printed) == "Runs: 9 used"


def test_failures_are_seen(tmp_path: Path, run_page: Callable[..., Any]) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "```console\n$ bkgpipe check  # exit code 2\nError: luigi.cfg: cannot\n```\n"
        "<!-- not run: your data -->\n```console\n$ false\n```\n"
        "```text\n# a.txt\n1\n```\n"
        "```python\nfrom pathlib import Path\nprint(Path('a.txt').read_text())\n```\n"
        "```console\n$ cat a.txt | grep \\\n    1\n1\n$ bkgpipe check\n$ true\n```\n",
        encoding="utf-8",
    )

    done = run_page(page)

    assert [(one.number, one.code) for one in done] == [
        (2, 2),
        (14, 0),
        (18, 0),
        (21, 2),
    ]
    assert done[0].shown == ["Error: luigi.cfg: cannot"]
    assert done[2].printed == "1\n"
    assert "# a.txt" in done[1].printed


def _find_missing(shown: list[str], printed: list[str]) -> str:
    """Return the first line shown that is not printed after the one before it."""
    rest = iter(printed)
    for line in shown:
        if line.strip() not in {"", "…"} and not any(_fits(line, one) for one in rest):
            return line
    return ""


def _fits(shown: str, printed: str) -> bool:
    words, found = shown.split()[:_N_WORDS], printed.split()[:_N_WORDS]
    return len(found) >= len(words) and all(
        "/" in word or "…" in word or _plain(word) == _plain(other)
        for word, other in zip(words, found, strict=False)
    )


def _plain(word: str) -> str:
    word = re.sub(r"-[0-9a-f]{6}\b", "-0", word)
    return re.sub(r"\d+(\.\d+)?", "0", word)


def _load_runner() -> Any:
    """Load the runner without what it imports of bkgpipe being in the way."""
    spec = importlib.util.spec_from_file_location("run_page", _RUNNER)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["run_page"] = module
    spec.loader.exec_module(module)
    return module
