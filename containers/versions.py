"""The versions of Python, Beam and the packages that an image of workers is made of.

    python containers/versions.py                     build arguments: this Python and its Beam
    python containers/versions.py packages EXTRA      the packages of rembg-beam[EXTRA], one a line
    python containers/versions.py check PYTHON BEAM   fails where these are not the image's

What is submitted is pickled: workers have the Python and the Beam of who submits. Needs nothing but
Python 3.11 or later.
"""

import re
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Iterator, List, Optional

HERE = f"{sys.version_info.major}.{sys.version_info.minor}"


def arguments() -> str:
    """`--build-arg`s with the versions of this environment, from which jobs are submitted."""
    beam = _installed_beam()
    if beam is None:
        sys.exit("run this with the Python that has rembg-beam, from which jobs are submitted")
    return f"--build-arg PYTHON_VERSION={HERE} --build-arg BEAM_VERSION={beam}"


def packages(project: dict, extra: str) -> Iterator[str]:
    """The requirements of a project and of one extra, which may name others of its own."""
    yield from project["dependencies"]
    yield from _of_extra(project, extra)


def problems(python: str, beam: str, constraints: str) -> List[str]:
    """What keeps this image from running jobs that are submitted with these versions."""
    found = []
    if python != HERE:
        found.append(f"PYTHON_VERSION is {python}, and the image's Python is {HERE}")
    pinned = re.findall(r"^apache-beam==(\S+)$", constraints, re.MULTILINE)
    for place, there in [("constraints.txt", pinned[0]), ("the image", _installed_beam())]:
        if there not in (beam, None):
            found.append(
                f"BEAM_VERSION is {beam}, and {place} has apache-beam {there}: submit with "
                f"{there}, or write {beam} into constraints.txt"
            )
    return found


def _of_extra(project: dict, extra: str) -> Iterator[str]:
    extras = project["optional-dependencies"]
    if extra not in extras:
        sys.exit(f"rembg-beam has no extra {extra!r}; it has {', '.join(extras)}")
    for requirement in extras[extra]:
        own = re.fullmatch(rf"{project['name']}\[([\w-]+)\]", requirement)
        yield from _of_extra(project, own[1]) if own else [requirement]


def _installed_beam() -> Optional[str]:
    try:
        return metadata.version("apache-beam")
    except metadata.PackageNotFoundError:
        return None


def main(given: List[str]) -> None:
    match given:
        case []:
            print(arguments())
        case ["packages", extra]:
            print(
                *packages(tomllib.loads(Path("pyproject.toml").read_text())["project"], extra),
                sep="\n",
            )
        case ["check", python, beam]:
            if found := problems(python, beam, Path("constraints.txt").read_text()):
                sys.exit("\n".join(found))
        case _:
            sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv[1:])
