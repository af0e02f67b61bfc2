"""What the name of an image tells of what is in it.

In: an image, `registry/name:tag`. Out: versions; empty where the name doesn't tell. Pure functions.
"""

import importlib.metadata
import re
import sys
from typing import Dict, Optional

import apache_beam

_PYTHON = re.compile(r"py(?:thon)?[-_]?(3)\.?(\d{1,2})(?!\d)")
_BEAM = re.compile(r"beam_python3\.\d+_sdk:(\d+\.\d+\.\d+)|beam[-_]?v?(2\.\d+\.\d+)")
_OWN = re.compile(r"rembg-beam(?:-[a-z]+)*:v?(\d+\.\d+\.\d+)(?![\d.])")
_BEAMS_OWN = re.compile(r"beam_python3\.\d+_sdk(?:[:@]|$)")


def versions(image: str) -> Dict[str, str]:
    """The versions of Python, Beam and rembg-beam that a name tells.

    >>> versions("apache/beam_python3.11_sdk:2.77.0")
    {'Python': '3.11', 'Beam': '2.77.0'}
    >>> versions("docker.pkg.dev/p/images/rembg-beam-gpu:0.1.0-py312-beam2.76.0")
    {'Python': '3.12', 'Beam': '2.76.0', 'rembg-beam': '0.1.0'}
    >>> versions("registry:5000/mine:latest")
    {}
    """
    name = image.rpartition("/")[2]
    python, beam, own = _PYTHON.search(name), _BEAM.search(name), _OWN.search(name)
    found = {
        "Python": f"{python[1]}.{python[2]}" if python else None,
        "Beam": (beam[1] or beam[2]) if beam else None,
        "rembg-beam": own[1] if own else None,
    }
    return {what: version for what, version in found.items() if version}


def is_beams_own(image: str) -> bool:
    """Whether it is one of Beam's, which hold no rembg-beam.

    >>> is_beams_own("apache/beam_python3.11_sdk:2.77.0"), is_beams_own("mine:1")
    (True, False)
    """
    return bool(_BEAMS_OWN.search(image.rpartition("/")[2]))


def here() -> Dict[str, str]:
    """Those that jobs are submitted with here."""
    return {
        "Python": f"{sys.version_info.major}.{sys.version_info.minor}",
        "Beam": apache_beam.__version__,
        "rembg-beam": importlib.metadata.version("rembg-beam"),
    }


def differing(image: Optional[str]) -> Optional[str]:
    """How an image's versions differ from those here; None if none is known to."""
    ours = here()
    found = versions(image) if image else {}
    other = [f"{what} {found[what]}" for what in found if found[what] != ours[what]]
    same = [f"{what} {ours[what]}" for what in found if found[what] != ours[what]]
    if not other:
        return None
    return f"{image!r} has {', '.join(other)}, and the job is made with {', '.join(same)}"
