"""What is collected, and what the tests on a GPU say.

Doctests are collected by path, but belong to modules that are installed as `rembg_beam.…`. With
`-m gpu` the one module with such tests is collected alone: others need packages which a machine
with a GPU need not have.
"""

import importlib
import os
import sys
from pathlib import Path
from typing import Any, Callable, List, Optional

import pytest

ROOT = Path(__file__).resolve().parent

# pymatting's loops take every core, and those of two tests at once wait for each other, spinning.
os.environ.setdefault("NUMBA_NUM_THREADS", "1")

# Google's and Amazon's machines are not asked for credentials; Google's library reads this when it
# is imported, whichever test does so first.
os.environ |= {"NO_GCE_CHECK": "true", "AWS_EC2_METADATA_DISABLED": "true"}

_TOLD = pytest.StashKey[List[str]]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--emulate-gpu", action="store_true", help="tests marked gpu run on an emulated one"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> Optional[bool]:
    is_other = collection_path.suffix == ".py" and collection_path.name != "test_gpu.py"
    return True if config.option.markexpr == "gpu" and is_other else None


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Adds a line to the end of pytest's report."""
    return request.config.stash.setdefault(_TOLD, []).append


def pytest_terminal_summary(terminalreporter: Any, config: pytest.Config) -> None:
    if lines := config.stash.get(_TOLD, []):
        terminalreporter.section("measured")
        terminalreporter.write_line("\n".join(lines))


def pytest_collect_file(file_path: Path) -> None:
    """Loads a module of the packages by its own name, and tells pytest that it is the one which
    pytest would load, a second time, by its path."""
    if file_path.suffix != ".py" or ROOT not in file_path.parents or file_path.stem == "__main__":
        return
    parts = file_path.relative_to(ROOT).with_suffix("").parts
    if parts[0] in ("transforms", "pipelines", "testing", "beam_yaml"):
        name = ".".join(parts).removesuffix(".__init__")
        sys.modules[name] = importlib.import_module(f"rembg_beam.{name.removeprefix('beam_')}")
