"""List what is too large to be read without scrolling.

``python sizes.py FOLDER`` prints functions of more than 40 lines of code, modules of
more than 400 lines and folders of more than 32 modules; exit code 1 if there are any.
"""

from __future__ import annotations

import ast
import io
import sys
import tokenize
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

__all__ = ["find_large"]

_MAX_FUNCTION, _MAX_MODULE, _MAX_FOLDER = 40, 400, 32
_NO_CODE = {
    *(tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE),
    *(tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER),
}
_Function = ast.FunctionDef | ast.AsyncFunctionDef


def find_large(folder: Path) -> Iterator[str]:
    """Name what is larger than its limit, a sentence each."""
    paths = sorted(folder.rglob("*.py"))
    for place, n_modules in Counter(path.parent for path in paths).items():
        if n_modules > _MAX_FOLDER:
            yield f"{place}: {n_modules} modules, at most {_MAX_FOLDER}"
    for path in paths:
        yield from _find_in(path)


def _find_in(path: Path) -> Iterator[str]:
    text = path.read_text(encoding="utf-8")
    n_lines = len(text.splitlines())
    if n_lines > _MAX_MODULE:
        yield f"{path}: {n_lines} lines, at most {_MAX_MODULE}"
    tree, code = ast.parse(text), _code_lines(text)
    for function in ast.walk(tree):
        if isinstance(function, _Function):
            own = range(function.lineno, (function.end_lineno or 0) + 1)
            size = len(code.intersection(own).difference(_docstring_lines(function)))
            if size > _MAX_FUNCTION:
                name = f"{path}:{function.lineno}: {function.name}"
                yield f"{name} has {size} lines, at most {_MAX_FUNCTION}"


def _code_lines(text: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    spans = [range(t.start[0], t.end[0] + 1) for t in tokens if t.type not in _NO_CODE]
    return {line for span in spans for line in span}


def _docstring_lines(function: _Function) -> range:
    if ast.get_docstring(function) is None:
        return range(0)
    first = function.body[0]
    return range(first.lineno, (first.end_lineno or 0) + 1)


if __name__ == "__main__":
    found = list(find_large(Path(sys.argv[1])))
    print(*found, sep="\n", end="\n" * bool(found))  # noqa: T201
    sys.exit(bool(found))
