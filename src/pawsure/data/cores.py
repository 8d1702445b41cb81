"""How many cores this process may keep busy."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cores(quota: Path = _QUOTA) -> int:
    """Cores of the machine that this process may use, by its affinity and its container's quota.

    A container that may use 2 of 64 cores still sees 64; with a thread for each, all of them
    stand still for most of every tenth of a second.

    Args:
        quota: where Linux's control groups (version 2) tell "MICROSECONDS PERIOD", or
            "max PERIOD" without a quota.
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        allowed, period = quota.read_text().split()
    except (OSError, ValueError):
        return cores
    if not allowed.isdecimal() or not period.isdecimal():
        return cores
    return max(1, min(cores, math.ceil(int(allowed) / int(period))))
