"""Numbers as pictures, and as bytes for a script: small, and from no file."""

import base64
import math
import struct
import zlib

import numpy as np
from jaxtyping import Float

SHADES = 7
"""Of each sign, and one for zero, so that a pixel takes four bits."""

_BELOW, _ABOVE = (0xD0, 0x66, 0x3A), (0x2B, 0x8A, 0xB8)
"""Orange and blue that can be told apart on light and dark paper, by all eyes."""


def signed(values: Float[np.ndarray, "rows columns"], most: float) -> str:
    """A picture, as a data URI, with a pixel for each number.

    Numbers above zero are blue and those below it orange, the more opaque the nearer
    to `most`, the largest magnitude that is told apart. PNG, the third edition, with a
    palette: https://www.w3.org/TR/png-3/.
    """
    levels = np.clip(np.rint(values / max(most, 1e-12) * SHADES), -SHADES, SHADES)
    indices = (levels + SHADES).astype(np.uint8)
    rows, columns = indices.shape
    padded = np.pad(indices, ((0, 0), (0, columns % 2)))
    packed = padded[:, ::2] << 4 | padded[:, 1::2]
    lines = np.pad(packed, ((0, 0), (1, 0)))  # each begins with 0: no filter
    alphas = [255 * abs(level) // SHADES for level in range(-SHADES, SHADES + 1)]
    png = b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            _chunk(b"IHDR", struct.pack(">IIBBBBB", columns, rows, 4, 3, 0, 0, 0)),
            _chunk(b"PLTE", bytes(_BELOW * SHADES + _ABOVE * (SHADES + 1))),
            _chunk(b"tRNS", bytes(alphas)),
            _chunk(b"IDAT", zlib.compress(lines.tobytes(), 9)),
            _chunk(b"IEND", b""),
        )
    )
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def folded(vector: Float[np.ndarray, " D"]) -> Float[np.ndarray, "rows columns"]:
    """A vector in rows, as near to a square as its length can be divided."""
    rows = next(n for n in range(math.isqrt(len(vector)), 0, -1) if not len(vector) % n)
    return vector.reshape(rows, -1)


def shares(values: Float[np.ndarray, "*shape"]) -> str:
    """Numbers from 0 to 1 as a byte each, in base64."""
    levels = np.rint(np.clip(values, 0, 1) * 255).astype(np.uint8)
    return base64.b64encode(levels.tobytes()).decode()


def _chunk(kind: bytes, data: bytes) -> bytes:
    check = zlib.crc32(kind + data)
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)
