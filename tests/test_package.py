"""The distribution: what is in it, what it needs, and the plan of the house."""

import ast
import doctest
import importlib
import pkgutil
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Iterator, List, Set, Tuple

import pytest

import rembg_beam.pipelines
import rembg_beam.transforms

PACKAGES = ("transforms", "pipelines")


def modules() -> List[str]:
    found = []
    for package in (rembg_beam.transforms, rembg_beam.pipelines):
        found.append(package.__name__)
        walked = pkgutil.walk_packages(package.__path__, package.__name__ + ".")
        found += [module.name for module in walked]
    return sorted(found)


def test_every_module_has_a_docstring_and_its_doctests_hold() -> None:
    for name in modules():
        module = importlib.import_module(name)
        assert module.__doc__, f"{name} has no docstring"
        assert doctest.testmod(module, optionflags=doctest.ELLIPSIS).failed == 0


def test_every_public_name_is_there() -> None:
    for name in rembg_beam.transforms.__all__:
        assert getattr(rembg_beam.transforms, name).__name__ == name
    assert set(rembg_beam.transforms.__all__) <= set(dir(rembg_beam.transforms))
    with pytest.raises(AttributeError, match="has no attribute 'RemoveBackgrund'"):
        rembg_beam.transforms.RemoveBackgrund  # noqa: B018


def test_no_module_is_loaded_twice() -> None:
    """`python -m pytest` puts the root on the path, where `transforms` is a second one."""
    assert not {"transforms", "pipelines"} & set(sys.modules), "run it as `pytest`"


def _imports(path: Path) -> Iterator[Tuple[int, str]]:
    """The relative imports of a module: how many folders up, and what."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.level:
            for alias in node.names:
                yield node.level, f"{node.module}.{alias.name}" if node.module else alias.name


def test_steps_and_subpackages_do_not_import_each_other(root: Path) -> None:
    ground = {"setting", "elements", "runtime", "store", "strict_json", "naming", "fast"}
    for room in ("store", "pictures", "models"):
        for path in (root / "transforms" / room).rglob("*.py"):
            inside = len(path.relative_to(root / "transforms").parts) - 1
            outside = {name.split(".")[0] for level, name in _imports(path) if level > inside}
            assert outside <= ground, path
    steps = {"read", "rembg_dofn", "write"}
    for step in steps:
        imported = {name.split(".")[0] for _, name in _imports(root / f"transforms/{step}.py")}
        assert not imported & (steps | {"remove_background", "folder", "sources"}), step
    for path in (root / "transforms").rglob("*.py"):
        depth = len(path.relative_to(root).parts) - 1
        assert all(level <= depth for level, _ in _imports(path)), path


def test_rembg_and_onnxruntime_are_never_imported_at_module_level(root: Path) -> None:
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.Import):
                    names = {alias.name.split(".")[0] for alias in node.names}
                    assert not names & {"rembg", "onnxruntime", "onnx"}, path
                if isinstance(node, ast.ImportFrom):
                    assert node.module not in ("rembg", "onnxruntime", "__future__"), path


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = Path(__file__).resolve().parent.parent
    # Built from a copy: a `build/` folder left by another build leaks into the wheel.
    copy = tmp_path_factory.mktemp("source") / "copy"
    left_out = shutil.ignore_patterns(".*", "build", "dist", "cutouts", "*.egg-info", "__pycache__")
    shutil.copytree(root, copy, ignore=left_out)
    out = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(out)]
    subprocess.run([*command, str(copy)], check=True, capture_output=True)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_every_module_and_the_model_and_nothing_else(
    wheel: Path, root: Path
) -> None:
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected: Set[str] = set()
    for package in PACKAGES:
        for path in (root / package).rglob("*"):
            if path.suffix in (".py", ".onnx") or path.name == "py.typed":
                expected.add(f"rembg_beam/{path.relative_to(root)}")
    assert held == expected
    assert "rembg_beam/transforms/models/tiny.onnx" in held


def test_the_wheel_runs_where_it_is_installed(wheel: Path, photos: Path, tmp_path: Path) -> None:
    """In an environment that sees this one's packages, but not this checkout."""
    environment = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", environment], check=True)
    python = environment / "bin" / "python"
    (site,) = environment.glob("lib/python*/site-packages")
    outer = [path for path in sys.path if path.endswith("site-packages")]
    (site / "outer.pth").write_text("\n".join(outer))
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    command = [*pip, "--no-deps", "--no-index", "--force-reinstall", "--ignore-installed"]
    subprocess.run([*command, str(wheel)], check=True)
    done = subprocess.run(
        [
            *(environment / "bin" / "rembg-beam", "run", "--model", "tiny"),
            *("--input", photos / "a.jpg", "--output", tmp_path / "out"),
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "out" / "a.jpg.png").exists()
    where = subprocess.run(
        [python, "-c", "import rembg_beam.transforms as t; print(t.__file__)"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert str(site) in where.stdout
