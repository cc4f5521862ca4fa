"""Links of the pages that Sphinx does not see, or does not open."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

_ROOT = Path(__file__).parents[2]
_DOCS = _ROOT / "docs"
_PAGES = [
    *(_ROOT / "README.md", _ROOT / "CHANGES", _ROOT / "containers" / "README.md"),
    *sorted(_DOCS.rglob("*.md")),
    *sorted((_DOCS / "changes").glob("*.rst")),
]
_LINK = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_DEFINITION = re.compile(r"^\[[^\]]+\]:\s*(\S+)", re.MULTILINE)
_RST = re.compile(r"`[^`<]*<([^>]+)>`_")
_BARE = re.compile(r"(?<![\w(<])(https?://[^\s)>\]|`]+)")
_LARGEST = 50_000


def _links(page: Path) -> Iterator[str]:
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    text = re.sub(r"`[^`\n]+`(?!_)", "", text) if page.suffix == ".md" else text
    for pattern in (_LINK, _DEFINITION, _RST, _BARE):
        yield from pattern.findall(text)


def _anchors(page: Path) -> set[str]:
    """Names of the headings, as GitHub and myst make them."""
    text = page.read_text(encoding="utf-8")
    text = re.sub(r"^```.*?^```", "", text, flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    plain = (re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", one).lower() for one in headings)
    return {re.sub(r"[^\w\- ]", "", one).strip().replace(" ", "-") for one in plain}


@pytest.mark.parametrize(
    "page", [page for page in _PAGES if page.exists()], ids=lambda page: page.name
)
def test_links_lead_somewhere(page: Path) -> None:
    for link in _links(page):
        parts = urlsplit(link)
        if parts.scheme:
            assert parts.scheme in {"http", "https", "mailto"}, link
            assert parts.netloc.count(".") >= 1 or parts.scheme == "mailto", link
            continue
        target = (page.parent / unquote(parts.path)) if parts.path else page
        assert target.exists(), f"{page.name}: {link} leads nowhere"
        assert target.resolve().is_relative_to(_ROOT), f"{page.name}: {link}"
        if parts.fragment and target.suffix == ".md":
            assert parts.fragment in _anchors(target), f"{page.name}: {link}"


def test_links_are_found(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A `b`: c, [d](e.md)\n[x](y.md#z) ![p](q.png) [r]: no\n\n[s]: https://t.u/v\n"
        "see https://w.x/y. `[not](this.md)`\n```\n[nor](that.md)\n# nor\n```\n",
        encoding="utf-8",
    )

    assert list(_links(page)) == [
        *("e.md", "y.md#z", "q.png", "https://t.u/v"),
        *("https://t.u/v", "https://w.x/y."),
    ]
    assert _anchors(page) == {"a-b-c-d"}


def test_figures_are_small_and_used() -> None:
    pages = "".join(
        page.read_text(encoding="utf-8") for page in _PAGES if page.exists()
    )
    for figure in (_DOCS / "figures").iterdir():
        assert figure.stat().st_size < _LARGEST, figure.name
        assert f"figures/{figure.name}" in pages
