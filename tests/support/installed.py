"""The distribution, built and installed where this checkout is not seen."""

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

# Built from a copy: a `build/` folder left by another build leaks into the wheel.
LEFT_OUT = shutil.ignore_patterns(".*", "build", "dist", "cutouts", "*.egg-info", "__pycache__")


def build(folder: Path, *kinds: str) -> None:
    """Puts the sdist, and the wheel built from it, into `folder`; with "--wheel" that alone."""
    copy = folder / "copy"
    shutil.copytree(ROOT, copy, ignore=LEFT_OUT)
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder)]
    subprocess.run([*command, *kinds, str(copy)], check=True, capture_output=True)


def install(file: Path, environment: Path) -> Path:
    """Makes an environment with this one's packages and a wheel or sdist of ours; its Python."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    (site,) = environment.glob("lib/python*/site-packages")
    outer = [path for path in sys.path if path.endswith("site-packages")]
    (site / "outer.pth").write_text("\n".join(outer))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    command = [*pip, "--no-deps", "--no-index", "--force-reinstall", "--ignore-installed"]
    subprocess.run([*command, "--no-build-isolation", str(file)], check=True)
    return python
