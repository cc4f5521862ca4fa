"""The rates of a production, by their numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

from bkgpipe.errors import InputError
from bkgpipe.stages.smooth.data import RateModel
from bkgpipe.stages.smooth.files import MODELS

__all__ = ["Models", "no_model"]

_LISTED = 10


class _NoModelError(InputError, KeyError):
    """A mapping without such a key, told in our words."""


class Models(Mapping[int, RateModel]):
    """The rates of a production, read one by one.

    Parameters
    ----------
    files : mapping of int to Path
        File that holds each.
    """

    def __init__(self, files: Mapping[int, Path]) -> None:
        self._files = files

    def __getitem__(self, number: int) -> RateModel:
        if number not in self._files:
            raise no_model(number, self._files, where="models")
        return MODELS.read_one(self._files[number], number)

    def __contains__(self, number: object) -> bool:
        return number in self._files  # without reading it

    def __iter__(self) -> Iterator[int]:
        return iter(self._files)

    def __len__(self) -> int:
        return len(self._files)

    def __repr__(self) -> str:
        numbers = [str(number) for number in self._files]
        shown = numbers if len(numbers) <= 6 else [*numbers[:3], "…", *numbers[-2:]]
        return f"<{len(numbers)} models: {', '.join(shown)}>"


def no_model(number: int, known: Iterable[int], *, where: str) -> InputError:
    """Make the error of a number that has no model.

    Parameters
    ----------
    number : int
        What was asked for.
    known : iterable of int
        Numbers that have one.
    where : str
        Where they are.

    Returns
    -------
    InputError
        To be raised; a mapping takes it for a missing key.
    """
    words = [str(each) for each in known]
    some = ", ".join(words[:_LISTED]) + ", …" * (len(words) > _LISTED)
    return _NoModelError(
        what=f"there is no model {number}",
        where=where,
        fix=f"Choose one of {some}" if words else "Run the production first",
    )
