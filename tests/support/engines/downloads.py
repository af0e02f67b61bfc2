"""What engines are made of, by their own package managers, kept in `.engines/` of this checkout.

Each function gives the path of what it got; `Missing` says which tool or file can't be had here.
"""

import os
import shutil
import subprocess
from pathlib import Path

import apache_beam

FOLDER = Path(__file__).resolve().parents[3] / ".engines"


class Missing(Exception):
    """Something an engine needs is not to be had."""


def prism() -> Path:
    """Beam's Prism of the installed Beam's version, built by Go."""
    path = FOLDER / "bin" / f"prism-{apache_beam.__version__}"
    if not path.exists():
        module = "github.com/apache/beam/sdks/v2/go/cmd/prism"
        _call("go", "install", f"{module}@v{apache_beam.__version__}", GOBIN=str(path.parent))
        path.with_name("prism").rename(path)
    return path


def _call(tool: str, *arguments: str, **environment: str) -> None:
    if shutil.which(tool) is None:
        raise Missing(f"{tool} is not installed")
    done = subprocess.run(
        [tool, *arguments], env={**os.environ, **environment}, capture_output=True, text=True
    )
    if done.returncode:
        raise Missing(f"{tool} failed: {(done.stderr or done.stdout).strip()[-500:]}")
