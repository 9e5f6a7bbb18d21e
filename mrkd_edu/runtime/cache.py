"""Where the library keeps what it can make again: trained runs and toy data. Deleting it all is always safe."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """Where runs and toy data are kept: `$MRKD_EDU_CACHE`, else the user's cache folder.

    Example:
        >>> cache_folder().name
        'mrkd_edu'
    """
    if chosen := os.environ.get("MRKD_EDU_CACHE"):
        return Path(os.path.expanduser(chosen))  # unlike that of `Path`, it leaves a name such as ~x as it is
    base = os.environ.get("LOCALAPPDATA" if os.name == "nt" else "XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "mrkd_edu"
