from __future__ import annotations

from planted_copies import leaky, own_cache, planted

__all__ = ["leaky", "own_cache", "planted"]  # fixtures
