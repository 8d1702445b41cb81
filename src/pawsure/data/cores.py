"""How many cores this process may use."""

from __future__ import annotations

import math
import os
from pathlib import Path

_QUOTA = Path("/sys/fs/cgroup/cpu.max")


def available_cores(quota: Path = _QUOTA) -> int:
    """Cores that this process may use, by its affinity and its container's quota.

    A container with a quota of 2 of 64 cores still sees 64; with a thread for each, all of them
    stand still for most of every tenth of a second.

    Args:
        quota: file of Linux's control groups (version 2): "MICROSECONDS PERIOD" or "max PERIOD".
    """
    affinity = getattr(os, "sched_getaffinity", None)  # Linux
    cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    try:
        allowed, period = map(int, quota.read_text().split())
        return max(1, min(cores, math.ceil(allowed / period)))
    except (OSError, ValueError, ZeroDivisionError):  # also "max", which is no number
        return cores
