"""PNG files of kinds that Pillow does not write."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence

import numpy as np


def png(
    samples: np.ndarray, *, depth: int, kind: int, see_through: Sequence[int] | None = None
) -> bytes:
    """A PNG of whole samples.

    Args:
        samples: (H, W) or (H, W, C), whole numbers below 2**depth.
        depth: bits of a sample: 1, 2, 4, 8 or 16.
        kind: its colour type: 0 grey, 2 RGB, 4 grey and alpha, 6 RGBA.
        see_through: of tRNS, a level for each colour.
    """
    height, width = samples.shape[:2]
    if depth == 16:
        rows = samples.reshape(height, -1).astype(">u2").view(np.uint8)
    else:
        bits = (samples.reshape(height, -1, 1) >> np.arange(depth - 1, -1, -1)) & 1
        rows = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    lines = np.concatenate([np.zeros((height, 1), np.uint8), rows], axis=1)
    parts = [(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, kind, 0, 0, 0))]
    if see_through is not None:
        parts.append((b"tRNS", struct.pack(f">{len(see_through)}H", *see_through)))
    parts += [(b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b"")]
    chunks = [
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    ]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)
