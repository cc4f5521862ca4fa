"""Errors that say what went wrong, where, and what to do about it."""

from __future__ import annotations

from bkgpipe.text import printable

__all__ = [
    "AccessError",
    "BinningMismatchError",
    "BkgpipeError",
    "BusyError",
    "DamagedFileError",
    "DriftScanError",
    "InputError",
    "MissingFileError",
    "NoEventsError",
    "NoRunsError",
    "OutputError",
    "PassingError",
    "SettingsError",
    "SiteError",
    "TransferError",
]


class BkgpipeError(Exception):
    """Base of all errors that bkgpipe raises on purpose.

    They quote files of others, of which no control character may reach a terminal.

    Parameters
    ----------
    what : str
        What is wrong, with the values found and expected.
    where : str
        The file, run, section or key concerned.
    fix : str
        What the user can do about it.

    Attributes
    ----------
    what, where, fix : str
        As given, but safe to print.
    """

    def __init__(self, *, what: str, where: str, fix: str) -> None:
        what, where, fix = (printable(text, keep="\n") for text in (what, where, fix))
        super().__init__(what, where, fix)
        self.what = what
        self.where = where
        self.fix = fix

    def __str__(self) -> str:
        return f"{self.where}: {self.what}. {self.fix}."

    def __reduce__(self) -> tuple[object, ...]:
        return (_rebuild, (type(self), self.what, self.where, self.fix))


class InputError(BkgpipeError):
    """An input file or table cannot be used as it is."""


class DriftScanError(InputError):
    """The runs do not point at a place in the sky."""


class SettingsError(BkgpipeError):
    """The settings cannot be used as they are."""


class NoEventsError(BkgpipeError):
    """Nothing is left to make a model from."""


class NoRunsError(BkgpipeError):
    """No run, or too few hours, pass the selection."""


class BinningMismatchError(BkgpipeError):
    """Arrays that should share their edges do not."""


class DamagedFileError(BkgpipeError):
    """A product of an earlier stage is not what was written."""


class BusyError(BkgpipeError):
    """Another process works on the same production."""


class OutputError(BkgpipeError):
    """A product cannot be written."""


class PassingError(BkgpipeError):
    """A file cannot be read at the moment, which says nothing about its content."""


class TransferError(BkgpipeError):
    """What a job was sent, or what came back from it, is not what was written."""


class SiteError(BkgpipeError):
    """A batch system does not do what is asked of it."""


class AccessError(SiteError):
    """A server refuses what it is shown: a proxy, token, key or password."""


class MissingFileError(SiteError):
    """A storage server has no such file."""


def _rebuild(kind: type[BkgpipeError], what: str, where: str, fix: str) -> BkgpipeError:
    return kind(what=what, where=where, fix=fix)
