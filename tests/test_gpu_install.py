"""An extra for NVIDIA's GPUs installs all that its provider loads, the driver's library aside.

`make test-gpu-install` runs these in a fresh environment of each extra; they need no GPU.
"""

import ctypes
import importlib.util
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Iterator, List, Set, Tuple

import pytest

from rembg_beam.transforms.models import catalogue, libraries, opening, placement, providers
from rembg_beam.transforms.models.config import SessionConfig

pytestmark = pytest.mark.gpu_install

DRIVER = {"libcuda.so.1"}


def labels() -> List[str]:
    """The providers that this environment is for."""
    return ["CUDA", "Tensorrt"] if importlib.util.find_spec("tensorrt_libs") else ["CUDA"]


def needed(path: Path) -> Tuple[List[str], List[Path]]:
    """The libraries that an ELF file names, and the folders in which it has them looked for."""
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as file:
        tags = list(ELFFile(file).get_section_by_name(".dynamic").iter_tags())
    names = [tag.needed for tag in tags if tag.entry.d_tag == "DT_NEEDED"]
    listed = [
        getattr(tag, kind)
        for tag in tags
        for kind in ("rpath", "runpath")
        if tag.entry.d_tag == f"DT_{kind.upper()}"
    ]
    folders = ":".join(listed).replace("$ORIGIN", str(path.parent)).split(":")
    return names, [Path(folder) for folder in folders if folder]


def named_while_running(path: Path) -> Set[str]:
    """Those of its own family that a library opens by name: cuDNN's engines, NVRTC's builtins."""
    data = path.read_bytes()
    if path.name.startswith("libcudnn"):
        (version,) = re.findall(r"\.so(\.\d+)$", path.name)
        return {found.decode() + version for found in re.findall(rb"libcudnn_\w+\.so(?=\0)", data)}
    if path.name.startswith("libnvrtc.so"):
        return {found.decode() for found in re.findall(rb"libnvrtc-builtins\.so[.\d]+(?=\0)", data)}
    return set()


def is_found(name: str, folders: List[Path]) -> bool:
    """As the loader finds it: where the file says, loaded already, or among the system's."""
    if any((folder / name).exists() for folder in folders):
        return True
    try:
        ctypes.CDLL(name)
    except OSError:
        return False
    return True


def lacking(paths: List[Path]) -> Iterator[Tuple[str, str]]:
    for path in paths:
        names, folders = needed(path)
        for name in {*names, *named_while_running(path)}:
            if not is_found(name, folders):
                yield path.name, name


def installed() -> List[Path]:
    """The providers' files, and every library of the packages that came with the extra."""
    import onnxruntime

    site = Path(onnxruntime.__file__).parent.parent
    own = [
        site / "onnxruntime" / "capi" / f"libonnxruntime_providers_{label.lower()}.so"
        for label in labels()
    ]
    return [*own, *site.glob("nvidia/*/lib/*.so*"), *site.glob("tensorrt_libs/*.so*")]


def test_every_library_is_found(caplog: Any) -> None:
    with caplog.at_level(logging.INFO):
        libraries.load([providers.find(label).name for label in labels()])
    assert not caplog.messages
    paths = installed()
    families = ("libcudart", "libcublasLt", "libcudnn_engines_precompiled", "libnvrtc-builtins")
    for family in families:
        assert any(path.name.startswith(family) for path in paths), family
    assert {(path, name) for path, name in lacking(paths) if name not in DRIVER} == set()


def test_what_an_environment_lacks_is_seen(tmp_path: Path) -> None:
    """A copy of cuDNN's own file, without its sisters."""
    (cudnn,) = (path for path in installed() if path.name == "libcudnn.so.9")
    alone = tmp_path / cudnn.name
    alone.write_bytes(cudnn.read_bytes())
    assert ("libcudnn.so.9", "libcudnn_graph.so.9") in set(lacking([alone]))


@pytest.mark.parametrize("label", labels())
def test_onnxruntime_itself_lacks_nothing_but_the_driver(label: str) -> None:
    """In processes of their own, told by onnxruntime whether there is a driver or not."""
    name = providers.find(label).name
    missing = {}
    for loaded in ([], [name]):
        script = f"""
from rembg_beam.transforms.models import catalogue, libraries, placement
libraries.load({loaded})
libraries.without_driver = lambda name: None
print(placement._why(catalogue.bundled_path(), {name!r}, {{}}))
"""
        command = [sys.executable, "-c", script]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        missing[bool(loaded)] = set(re.findall(r"(lib[\w.+-]+): cannot open shared object", told))
    assert missing[False] - DRIVER, "they would be found unloaded: `libraries` is superfluous"
    assert missing[True] <= DRIVER


@pytest.mark.parametrize("label", labels())
def test_a_machine_without_a_driver_is_told_so(label: str) -> None:
    if libraries.without_driver(providers.find(label).name) is None:
        pytest.skip("this machine has a driver")
    with pytest.raises(placement.ProviderNotInUse) as failed:
        opening.open_session(SessionConfig(catalogue.TINY, label))
    message = str(failed.value)
    assert "Why: this machine has no NVIDIA driver: libcuda.so.1 is not found" in message
    assert "\x1b" not in message and "libcublas" not in message
