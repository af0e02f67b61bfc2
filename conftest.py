"""Doctests are collected by path, but belong to modules that are installed as `rembg_beam.…`."""

import importlib
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def pytest_collect_file(file_path: Path) -> None:
    """Loads a module of the packages by its own name, and tells pytest that it is the one which
    pytest would load, a second time, by its path."""
    if file_path.suffix != ".py" or ROOT not in file_path.parents or file_path.stem == "__main__":
        return
    parts = file_path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in ("transforms", "pipelines"):
        name = ".".join(parts).removesuffix(".__init__")
        sys.modules[name] = importlib.import_module(f"rembg_beam.{name}")
