"""The chain as a picture: in plain text, for Graphviz, or for Mermaid."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

__all__ = ["FORMS", "ChainLink", "draw_chain"]


@dataclass(frozen=True, kw_only=True)
class ChainLink:
    """A stage in the picture.

    Attributes
    ----------
    word : str
        Its name.
    does : str
        What it does.
    parents : tuple of str
        Stages that it is made from.
    n_done, n_total : int
        Files that are there, and that are to be there; zero and zero where there are
        no such files.
    """

    word: str
    does: str
    parents: tuple[str, ...]
    n_done: int = 0
    n_total: int = 0

    @property
    def progress(self) -> str:
        """How many files are there; empty where that says nothing."""
        return f"{self.n_done} of {self.n_total}" if self.n_total else ""


def draw_chain(links: Sequence[ChainLink], form: str) -> str:
    """Draw the stages of a production, and what each is made from.

    Parameters
    ----------
    links : sequence of ChainLink
        Stages, in the order of the chain.
    form : str
        One of `FORMS`.

    Returns
    -------
    str
        ``text`` as a table, ``dot`` for Graphviz, ``mermaid`` for pages that draw it.
    """
    return FORMS[form](links)


def _text(links: Sequence[ChainLink]) -> str:
    rows = [
        (link.word, link.progress, link.does, ", ".join(link.parents)) for link in links
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    lines = []
    for *cells, parents in rows:
        padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=True)]
        origin = f"from {parents}" if parents else ""
        lines.append("  ".join([*padded, origin]).rstrip())
    return "\n".join(lines)


def _label(link: ChainLink) -> list[str]:
    return [part for part in (link.word, link.does, link.progress) if part]


def _dot(links: Sequence[ChainLink]) -> str:
    lines = ["digraph bkgpipe {", "  rankdir = LR;", "  node [shape = box];"]
    for link in links:
        label = "\\n".join(_label(link))
        lines.append(f'  {link.word} [label = "{label}"];')
        lines += [f"  {parent} -> {link.word};" for parent in link.parents]
    return "\n".join([*lines, "}"])


def _mermaid(links: Sequence[ChainLink]) -> str:
    lines = ["flowchart LR"]
    for link in links:
        label = "<br>".join(_label(link))
        lines.append(f'  {link.word}["{label}"]')
        lines += [f"  {parent} --> {link.word}" for parent in link.parents]
    return "\n".join(lines)


FORMS: dict[str, Callable[[Sequence[ChainLink]], str]] = {
    "text": _text,
    "dot": _dot,
    "mermaid": _mermaid,
}
