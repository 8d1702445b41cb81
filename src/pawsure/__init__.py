"""pawsure: from labelled pictures to an image classifier that can be trusted."""

from __future__ import annotations

__version__ = "0.1.0"
