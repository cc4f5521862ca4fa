"""Figures as files."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from bkgpipe.errors import OutputError

__all__ = ["save_figure"]

_DPI = 110


def save_figure(figure: Figure, path: Path, *, image_format: str = "png") -> None:
    """Write a figure.

    Parameters
    ----------
    figure : Figure
        The figure.
    path : Path
        File to write; its name does not matter, so that it can be a temporary one.
    image_format : str
        Any format that matplotlib writes, such as ``png``, ``pdf`` or ``svg``.

    Raises
    ------
    OutputError
        If the format is not known or the file cannot be written.
    """
    known = sorted(figure.canvas.get_supported_filetypes())
    if image_format not in known:
        raise OutputError(
            what=f"'{image_format}' is not a format for figures",
            where=str(path),
            fix=f"Use one of {', '.join(known)}",
        )
    try:
        figure.savefig(path, format=image_format, dpi=_DPI)
    except OSError as error:
        raise OutputError(
            what=f"the figure cannot be written ({error.strerror})",
            where=str(path),
            fix="Give a file in an existing folder that you may write to",
        ) from error
