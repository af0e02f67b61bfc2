"""ICC profiles that Pillow can't make, small and valid (ICC.1:2022): of greys, and of four inks."""

import itertools
import struct
from typing import Dict

from PIL import ImageCms

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def _fixed(*values: float) -> bytes:
    return struct.pack(f">{len(values)}i", *[round(value * 65536) for value in values])


def _profile(kind: bytes, space: bytes, connection: bytes, tags: Dict[bytes, bytes]) -> bytes:
    tags = {
        b"desc": b"desc" + bytes(4) + struct.pack(">I", 5) + b"Test\0" + bytes(78),
        b"cprt": b"text" + bytes(4) + b"None\0",
        b"wtpt": b"XYZ " + bytes(4) + _fixed(0.9642, 1.0, 0.8249),
        **tags,
    }
    at, table, body = 132 + 12 * len(tags), b"", b""
    for name, data in tags.items():
        table += name + struct.pack(">II", at + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    header = struct.pack(">I4sI", at + len(body), b"", 0x02400000) + kind + space + connection
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28)
    header += _fixed(0.9642, 1.0, 0.8249) + bytes(48)
    return header + struct.pack(">I", len(tags)) + table + body


def of_grey(gamma: float = 1.0) -> bytes:
    curve = b"curv" + bytes(4) + struct.pack(">IH", 1, round(gamma * 256))
    return _profile(b"mntr", b"GRAY", b"XYZ ", {b"kTRC": curve})


def of_inks() -> bytes:
    """Cyan, magenta, yellow and black that look as no naive formula has them: pale, greenish."""
    table = b"".join(
        bytes([round(220 * (1 - k) * (1 - (c + m + y) / 4)) + 20, 118, 138])
        for c, m, y, k in itertools.product((0, 1), repeat=4)
    )
    linear = bytes(range(256))
    lut = b"mft1" + bytes(4) + bytes([4, 3, 2, 0]) + _fixed(1, 0, 0, 0, 1, 0, 0, 0, 1)
    lut += linear * 4 + table + linear * 3
    return _profile(b"prtr", b"CMYK", b"Lab ", {b"A2B0": lut})
