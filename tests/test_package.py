"""The distribution: what is in it, what it needs, and the plan of the house."""

import ast
import graphlib
import importlib.util
import os
import re
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import Dict, Iterator, Set, Tuple

import pytest
from support import installed

import rembg_beam.transforms

# The folders of the packages, and where each is installed.
PACKAGES = {
    "transforms": "rembg_beam/transforms",
    "pipelines": "rembg_beam/pipelines",
    "testing": "rembg_beam/testing",
    "beam_yaml": "rembg_beam/yaml",
}


def test_every_module_has_a_docstring(root: Path) -> None:
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            assert ast.get_docstring(ast.parse(path.read_text())), f"{path} has no docstring"


def test_every_public_name_is_there() -> None:
    for name in rembg_beam.transforms.__all__:
        assert getattr(rembg_beam.transforms, name).__name__ == name
    assert set(rembg_beam.transforms.__all__) <= set(dir(rembg_beam.transforms))
    with pytest.raises(AttributeError, match="has no attribute 'RemoveBackgrund'"):
        rembg_beam.transforms.RemoveBackgrund  # noqa: B018


def test_no_module_is_loaded_twice() -> None:
    """`python -m pytest` puts the root on the path, where `transforms` is a second one."""
    for name in list(sys.modules):
        if name.split(".")[0] in PACKAGES:
            installed_as = f"rembg_beam.{name.removeprefix('beam_')}"
            assert sys.modules[name] is sys.modules.get(installed_as), "run it as `pytest`"


# What `dev` installs, `onnx` aside, which `gpu` has too.
DEV = (
    *("boto3", "build", "cv2", "docstring_parser", "gcp_storage_emulator", "hypothesis", "moto"),
    *("mypy", "pandas", "pillow_heif", "ruff", "trustme", "xdist", "datasets", "webdataset"),
)


@pytest.mark.long
def test_the_tests_on_a_gpu_need_pytest_alone(root: Path) -> None:
    code = f"import sys, pytest; sys.modules.update(dict.fromkeys({DEV})); sys.exit(pytest.main())"
    flags = ["-m", "gpu", "--emulate-gpu", "-k", "runs_there and tiny"]
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, *flags],
        env={**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        cwd=root,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr


# Floors, lowest first. A room, a module or a folder of `transforms` or all of another package,
# uses what lies below it and nothing beside it; so the steps don't import each other.
FLOORS = (
    {"setting", "store.uris", "strict_json"},
    {"store.members"},
    {"elements", "folder.layout"},
    {"outcomes"},
    {"coders", "runtime", "store"},
    {"naming", "fast"},
    {"pictures", "models"},
    {"cascade"},
    {"masking"},
    {"engine", "sources"},
    {"folder"},
    {"outputs"},
    {"read", "rembg_dofn", "write"},
    {"remove_background", "cut_out", "inference", "read_samples"},
    {"make_shards", "stream"},
    {"job"},
    {"the public names"},
    {"pipelines", "testing"},
    {"beam_yaml"},
)

MODULE_LINES, FUNCTION_LINES = 350, 40


def _modules(root: Path) -> Dict[str, Path]:
    """The modules of both packages by their names, which lack `rembg_beam.`."""
    found = {}
    for path in (path for package in PACKAGES for path in (root / package).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def _graph(modules: Dict[str, Path]) -> Dict[str, Set[str]]:
    """What each module imports of the others, on its top or in a function; not for types alone."""
    graph: Dict[str, Set[str]] = {name: set() for name in modules}
    for name, path in modules.items():
        package = name.split(".")[: None if path.stem == "__init__" else -1]
        for node in _at_run_time(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.level:
                above = package[: len(package) + 1 - node.level]
                source = ".".join([*above, *([node.module] if node.module else [])])
                each = [f"{source}.{alias.name}".lstrip(".") for alias in node.names]
                graph[name] |= {one if one in modules else source for one in each}
    return graph


def _at_run_time(tree: ast.AST) -> Iterator[ast.AST]:
    for node in ast.iter_child_nodes(tree):
        if not (isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)):
            yield node
            yield from _at_run_time(node)


def _room(module: str) -> str:
    package, *inside = module.split(".")
    rooms = [".".join(inside[:depth]) for depth in range(len(inside), 0, -1)]
    found = [room for room in rooms if any(room in floor for floor in FLOORS)]
    if package != "transforms":
        return package
    return found[0] if found else rooms[-1] if rooms else "the public names"


def test_a_room_uses_what_lies_below_it(root: Path) -> None:
    height = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
    graph = _graph(_modules(root))
    homeless = sorted({_room(name) for name in graph} - set(height))
    assert not homeless, f"say in FLOORS where {homeless} belong"
    upwards = {
        (name, used)
        for name in graph
        for used in graph[name]
        if _room(name) != _room(used) and height[_room(name)] <= height[_room(used)]
    }
    assert not upwards


def test_no_module_imports_itself_by_way_of_others(root: Path) -> None:
    try:
        graphlib.TopologicalSorter(_graph(_modules(root))).prepare()
    except graphlib.CycleError as error:
        pytest.fail(" <- ".join(error.args[1]))


def test_no_module_and_no_function_is_too_long(root: Path) -> None:
    """Of a function count the lines from its `def` to its end, without those of its docstring."""
    found = set()
    for name, path in _modules(root).items():
        text = path.read_text()
        if (lines := len(text.splitlines())) > MODULE_LINES:
            found.add(f"{name}: {lines}")
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                told = node.body[0] if ast.get_docstring(node) else None
                taken = (told.end_lineno or 0) - told.lineno + 1 if told else 0
                if (lines := (node.end_lineno or 0) - node.lineno + 1 - taken) > FUNCTION_LINES:
                    found.add(f"{name}.{node.name}: {lines}")
    assert not found


def test_rembg_and_onnxruntime_are_never_imported_at_module_level(root: Path) -> None:
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            for node in ast.parse(path.read_text()).body:
                if isinstance(node, ast.Import):
                    names = {alias.name.split(".")[0] for alias in node.names}
                    assert not names & {"rembg", "onnxruntime", "onnx"}, path
                if isinstance(node, ast.ImportFrom):
                    assert node.module not in ("rembg", "onnxruntime", "__future__"), path


FOLDERS = (
    *PACKAGES,
    "tests",
    "benchmarks",
    "configs",
    "containers",
    "docs",
    "examples",
    "training",
)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Tuple[Path, Path]:
    """A wheel that was built from the sdist, and the sdist."""
    out = tmp_path_factory.mktemp("built")
    installed.build(out)
    (wheel,), (sdist,) = out.glob("*.whl"), out.glob("*.tar.gz")
    return wheel, sdist


def test_the_wheel_holds_every_module_and_the_model_and_nothing_else(
    built: Tuple[Path, Path], root: Path
) -> None:
    with zipfile.ZipFile(built[0]) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected: Set[str] = set()
    for package, place in PACKAGES.items():
        for path in (root / package).rglob("*"):
            kinds = (".py", ".onnx", ".yaml", ".j2", ".css", ".js")
            if path.suffix in kinds or path.name == "py.typed":
                expected.add(f"{place}/{path.relative_to(root / package)}")
    assert held == expected
    assert "rembg_beam/transforms/models/tiny.onnx" in held


def test_the_sdist_holds_what_builds_and_tests_need(built: Tuple[Path, Path], root: Path) -> None:
    with tarfile.open(built[1]) as archive:
        held = {name.partition("/")[2] for name in archive.getnames()}
    walked = [path for folder in FOLDERS for path in (root / folder).rglob("*")]
    names = {str(path.relative_to(root)) for path in (*root.glob("*"), *walked) if path.is_file()}
    lacking = names - held
    assert [name for name in lacking if not re.search(r"(^|/)\.|__pycache__", name)] == []


@pytest.mark.long
@pytest.mark.parametrize("kind", [".whl", ".gz"])
def test_it_runs_where_it_is_installed(
    built: Tuple[Path, Path], kind: str, photos: Path, tmp_path: Path
) -> None:
    """In an environment that sees this one's packages, but not this checkout."""
    (file,) = (file for file in built if file.suffix == kind)
    python = installed.install(file, tmp_path / "environment")
    done = subprocess.run(
        [
            *(python.parent / "rembg-beam", "run", "--model", "tiny"),
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
    assert str(tmp_path / "environment") in where.stdout


@pytest.mark.parametrize("folder", ["benchmarks", "examples", "training", "containers"])
def test_what_lies_beside_the_packages_imports_what_is_there(root: Path, folder: str) -> None:
    imported = [
        (path.name, node.module, alias.name)
        for path in (root / folder).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("rembg_beam.")
        for alias in node.names
    ]
    missing = [
        each
        for each in imported
        if not hasattr(importlib.import_module(str(each[1])), each[2])
        and importlib.util.find_spec(f"{each[1]}.{each[2]}") is None
    ]
    assert not missing
