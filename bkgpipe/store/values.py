"""Values of headers and index tables: missing ones, and those of the wrong kind.

Files of others spell a number as text, leave it blank or undefined, or put a word in
its place. What is absent, undefined, blank or not finite is *unknown*; a word, truth
value or complex number where a number belongs is *wrong*, and refused by name.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

import numpy as np
from astropy.io import fits

from bkgpipe.errors import InputError
from bkgpipe.text import printable

__all__ = [
    "column_numbers",
    "is_known",
    "read_number",
    "read_value",
    "read_whole_number",
    "read_word",
    "require_number",
    "wrong_value",
]

_CORRECT = "Correct the keyword in the file, or leave it out if it is unknown"
_SHOWN = 40  # characters of a value, in messages


def read_word(header: Mapping[str, Any], *keys: str) -> str:
    """Return the first of some keywords that has a value, as a word.

    Parameters
    ----------
    header : mapping of str to object
        FITS header.
    *keys : str
        Keywords, the best first.

    Returns
    -------
    str
        Its value, free of control characters; empty if all are unknown.
    """
    found = (read_value(header, key) for key in keys)
    return next(
        (printable(str(value)).strip() for value in found if is_known(value)), ""
    )


def read_number(
    header: Mapping[str, Any],
    *keys: str,
    where: str,
    expected: str = "a number",
    fix: str = _CORRECT,
) -> float:
    """Return the first of some keywords that has a value, as a number.

    Parameters
    ----------
    header : mapping of str to object
        FITS header.
    *keys : str
        Keywords, the best first.
    where : str
        File, and run if it is of one, for the error.
    expected : str
        What the value should be, for the error.
    fix : str
        What to do about a wrong value, for the error.

    Returns
    -------
    float
        Its value, also of a number that is written as text; NaN if all are unknown.

    Raises
    ------
    InputError
        If the value is no number.
    """
    for key in keys:
        value = read_value(header, key)
        try:
            number = _number(value)
        except (ValueError, TypeError) as error:
            raise wrong_value(
                f"{key} is {_shown(value)}", expected, where=where, fix=fix
            ) from error
        if math.isfinite(number):
            return number
    return math.nan


def require_number(
    header: Mapping[str, Any],
    key: str,
    *,
    where: str,
    expected: str = "a number",
    fix: str = "Correct the keyword in the file, or exclude the run",
) -> float:
    """Return the value of a keyword that must be known.

    Parameters
    ----------
    header : mapping of str to object
        FITS header.
    key : str
        Keyword.
    where, expected, fix : str
        As for `read_number`.

    Returns
    -------
    float
        Its value.

    Raises
    ------
    InputError
        If the value is no number, or unknown.
    """
    number = read_number(header, key, where=where, expected=expected, fix=fix)
    if math.isfinite(number):
        return number
    value = read_value(header, key)
    found = f"has no {key}" if key not in header else f"{key} is {_shown(value)}"
    raise wrong_value(found, expected, where=where, fix=fix)


def read_whole_number(
    header: Mapping[str, Any],
    key: str,
    *,
    where: str,
    expected: str = "a whole number",
    fix: str = _CORRECT,
) -> int | None:
    """Return the value of a keyword that counts or names something.

    Parameters
    ----------
    header : mapping of str to object
        FITS header.
    key : str
        Keyword.
    where, expected, fix : str
        As for `read_number`.

    Returns
    -------
    int or None
        Its value; None if it is unknown.

    Raises
    ------
    InputError
        If the value is no whole number.
    """
    value = read_value(header, key)
    with suppress(ValueError, TypeError):
        return int(str(value))  # all digits, of which a float has sixteen
    number = read_number(header, key, where=where, expected=expected, fix=fix)
    if math.isnan(number):
        return None
    if number.is_integer():
        return int(number)
    raise wrong_value(f"{key} is {_shown(value)}", expected, where=where, fix=fix)


def column_numbers(
    values: Any, *, where: str, obs_ids: Sequence[int] | None = None
) -> np.ndarray:
    """Return the numbers of a column.

    Parameters
    ----------
    values : array_like
        Numbers, also as words or masked, any shape.
    where : str
        File and column, for the error.
    obs_ids : sequence of int, optional
        Run of each row, also as words, for the error.

    Returns
    -------
    np.ndarray
        Native float64, same shape; blank and masked ones are NaN.

    Raises
    ------
    InputError
        If one of them is no number.
    """
    # words come as chararray, which no number can be in
    plain = values if np.ma.isMaskedArray(values) else np.asarray(values)
    if plain.dtype.kind in "SUO":
        return _numbers_of_words(plain, where=where, obs_ids=obs_ids)
    if plain.dtype.kind not in "iuf":
        kind = {"b": "truth values", "c": "complex numbers"}.get(plain.dtype.kind)
        found = f"holds {kind or plain.dtype}"
        raise wrong_value(
            found, "numbers", where=where, fix=_fix_column(obs_ids is not None)
        )
    masked: Any = np.ma.asarray(plain, dtype=np.float64)
    return np.asarray(np.ma.filled(masked, np.nan))


def _numbers_of_words(
    values: Any, *, where: str, obs_ids: Sequence[int] | None
) -> np.ndarray:
    mask = np.ma.getmaskarray(values).ravel()
    flat = np.ma.getdata(values).ravel().tolist()
    numbers = np.full(len(flat), np.nan)
    for i in np.flatnonzero(~mask).tolist():
        try:
            numbers[i] = _number(flat[i])
        except (ValueError, TypeError) as error:
            row = f"in row {i + 1}" if obs_ids is None else f"for run {int(obs_ids[i])}"
            found, fix = f"is {_shown(flat[i])} {row}", _fix_column(obs_ids is not None)
            raise wrong_value(found, "a number", where=where, fix=fix) from error
    return numbers.reshape(np.shape(values))


def _fix_column(is_index: bool) -> str:
    blank = ", and leave what is unknown blank" * is_index
    return f"Correct the column in the file{blank}"


def is_known(value: Any) -> bool:
    """Tell whether a value of a header or table says anything.

    Parameters
    ----------
    value : object
        A value as astropy reads it.

    Returns
    -------
    bool
        False for what is absent, undefined, masked, blank, or not finite.
    """
    if value is None or value is np.ma.masked or isinstance(value, fits.card.Undefined):
        return False
    if isinstance(value, str):
        return bool(value.strip())
    return not isinstance(value, float) or math.isfinite(value)


def wrong_value(found: str, expected: str, *, where: str, fix: str) -> InputError:
    """Make the error for a value that is not what it should be.

    Parameters
    ----------
    found : str
        Keyword or column, and its value.
    expected : str
        What was expected.
    where : str
        File, and run if it is of one.
    fix : str
        What to do.

    Returns
    -------
    InputError
        The error.
    """
    return InputError(what=f"{found}, expected {expected}", where=where, fix=fix)


def read_value(header: Mapping[str, Any], key: str) -> Any:
    """Return a value of whatever kind.

    Parameters
    ----------
    header : mapping of str to object
        FITS header.
    key : str
        Keyword.

    Returns
    -------
    object
        Its value, None if it is absent. What is no value by the standard, such as NaN
        or an hour angle without quotes, is the text that stands there.
    """
    try:
        return header.get(key)
    except fits.VerifyError:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", fits.verify.VerifyWarning)
            card = fits.Card.fromstring(header.cards[key].image)  # type: ignore[attr-defined]
            return card.value


def _number(value: Any) -> float:
    """Make a number of a value; NaN if it is unknown."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace").rstrip("\0")
    if not is_known(value):
        return math.nan
    if isinstance(value, bool | np.bool_ | complex):
        raise TypeError(type(value).__name__)
    # Fortran writes exponents with D, and only Python lets digits be parted
    text = str(value).strip()
    if "_" in text:
        raise ValueError(text)
    return float(text.upper().replace("D", "E") if text[-1:].isdigit() else text)


def _shown(value: Any) -> str:
    """Show a value as its header or table has it, at most so long."""
    if isinstance(value, bytes):
        value = value.decode(errors="replace").rstrip("\0")
    if isinstance(value, bool | np.bool_):
        return f"{'T' if value else 'F'}, a truth value"
    if value is None or isinstance(value, fits.card.Undefined):
        return "undefined"
    text = printable(str(value)).strip()
    text = text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
    if not isinstance(value, str):
        return text
    return f"'{text}'" if text else "blank"
