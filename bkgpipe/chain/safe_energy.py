"""The safe energy of a run, as the settings ask for it."""

from __future__ import annotations

from bkgpipe.core.run import Run
from bkgpipe.settings import Settings
from bkgpipe.store.aeff import find_safe_energy

__all__ = ["run_safe_energy"]


def run_safe_energy(settings: Settings, run: Run) -> tuple[float, str]:
    """Return the safe energy of a run: what `init` proposes by, and `count` uses.

    Parameters
    ----------
    settings : Settings
        Settings, for the store and ``[count]``.
    run : Run
        The run.

    Returns
    -------
    energy : float
        Energy [TeV]; zero if nothing tells it.
    origin : str
        ``setting``, ``table``, ``aeff`` (with the offset if it is not the one asked
        for) or ``none``.

    Raises
    ------
    InputError
        If the settings name a place that does not have it, or it cannot be read.
    """
    count = settings.count
    if count.safe_energy_min > 0:
        return count.safe_energy_min, "setting"
    return find_safe_energy(
        settings.store,
        run,
        source=count.safe_energy,
        section="count",
        fraction=count.aeff_fraction,
        offset=count.aeff_offset,
    )
