"""A model's files, whole and genuine, on this machine.

In: a model, and where its files come from. Out: local paths, checked. They come from

- the package, for the bundled model;
- `model_path`, one file that the user names;
- `model_dir`, a folder with all files, `DIR/MODEL/FILE` or `DIR/FILE`;
- rembg's home, to which rembg downloads what is missing, unless `offline`.

Both names may be local or a URI of any store. What is not local is copied once per machine, through
the store with its checksums and retries, into rembg's home, under a lock between processes, to a
temporary name, checked, renamed; processes that come meanwhile wait. rembg's own downloads go
through the same lock. (`store` is imported where it is used: what it imports takes a second.)

`ModelFileError` names the file and says what is wrong with it: absent, shorter than it should be,
or of another checksum than rembg knows (unless `MODEL_CHECKSUM_DISABLED` is set, as for rembg).
"""

import functools
import glob
import hashlib
import os
import uuid
from contextlib import suppress
from typing import Any, List, Optional, Tuple

import filelock

from ..store import uris
from . import catalogue
from .catalogue import Model, ModelFile
from .rembg_import import import_rembg

_CHUNK_BYTES = 1 << 20


class ModelFileError(RuntimeError):
    """A model's file is absent, or is not what it should be."""


def ensure(
    model: Model,
    *,
    model_path: Optional[str] = None,
    model_dir: Optional[str] = None,
    offline: bool = False,
) -> Tuple[str, ...]:
    """Local paths of a model's files, in the order its session class opens them."""
    if model.name == catalogue.TINY and model_path is None:
        return (catalogue.bundled_path(),)
    if model_path is not None:
        return (_from_uri(model_path, f"model {model.name!r}", None),)
    if model_dir is not None:
        return tuple(_from_folder(model_dir, model, file) for file in model.files)
    return _from_rembg(model, offline)


def present(model: Model) -> Tuple[str, ...]:
    """The files of a model that lie in rembg's home, unchecked; the bundled one's always do."""
    if model.name == catalogue.TINY:
        return (catalogue.bundled_path(),)
    found = (_in_home(model, file) for file in model.files)
    return tuple(path for path in found if path)


def home() -> str:
    """rembg's home, where its `BaseSession.rembg_home` finds it.

    Written out because importing rembg needs onnxruntime; a test compares the two.
    """
    if os.getenv("U2NET_HOME"):
        return os.path.expanduser(os.environ["U2NET_HOME"])
    data = os.getenv("XDG_DATA_HOME")
    default = os.path.join(data, "rembg") if data else os.path.join("~", ".rembg")
    return os.path.expanduser(os.getenv("REMBG_HOME", default))


def check(path: str, file: ModelFile, source: str) -> None:
    """Raises `ModelFileError` unless the file has the checksum that rembg knows."""
    if file.checksum is None or os.getenv("MODEL_CHECKSUM_DISABLED") is not None:
        return
    kind, _, expected = file.checksum.partition(":")
    found = _digest(path, kind)
    if found != file.checksum:
        raise ModelFileError(
            f"{source}: its {os.path.getsize(path)} bytes have {found.replace(':', ' ')}, and "
            f"rembg's {file.name} has {expected}: it is truncated or another file. Remove it and "
            "fetch it again, or set MODEL_CHECKSUM_DISABLED=1 if it is meant to be different"
        )


def check_is_file(path: str, whose: str) -> None:
    """Raises `ModelFileError` for a folder, a pipe or a device."""
    if not os.path.isfile(path):
        raise ModelFileError(
            f"{whose}: {path!r} is a folder, a pipe or a device, and a model is a file, which is "
            "read by each worker"
        )


def checksum(model: Model, paths: Tuple[str, ...]) -> str:
    """Of a model's files at these paths, `md5:…` or `sha256:…` as rembg has it, joined by `+`."""
    kinds = [(file.checksum or "sha256").partition(":")[0] for file in model.files] or ["sha256"]
    return "+".join(_digest(path, kind) for path, kind in zip(paths, kinds))


def expected_checksum(
    model: Model, *, model_path: Optional[str] = None, model_dir: Optional[str] = None
) -> Optional[str]:
    """The same as far as it is known where the files may not be; None if it isn't.

    Of a file in place of rembg's, or one whose check is turned off, it is known if it is here.
    """
    if model_path is not None:
        return _digest_if_here(model_path)
    if model.name == catalogue.TINY:
        return checksum(model, (catalogue.bundled_path(),))
    known = [file.checksum for file in model.files]
    if known and all(known) and os.getenv("MODEL_CHECKSUM_DISABLED") is None:
        return "+".join(map(str, known))
    here = present(model)
    if model_dir is None and here and len(here) == len(model.files):
        return checksum(model, here)
    return None


def copy_once(source: str, target: str, file: ModelFile) -> str:
    """Copies a file to a local path unless it is there; one process does, the others wait."""
    from ..store import stores

    os.makedirs(os.path.dirname(target), exist_ok=True)
    with filelock.FileLock(target + ".lock"):
        for left in glob.glob(glob.escape(target) + ".*.part"):
            os.unlink(left)  # of a process that was killed: the lock is ours
        if not os.path.exists(target):
            temporary = f"{target}.{uuid.uuid4().hex}.part"
            try:
                stores.download(source, temporary)
                check(temporary, file, source)
                os.replace(temporary, target)
            finally:
                with suppress(FileNotFoundError):
                    os.unlink(temporary)
    return target


def _from_folder(folder: str, model: Model, file: ModelFile) -> str:
    places = [f"{folder.rstrip('/')}/{name}" for name in (f"{model.name}/{file.name}", file.name)]
    for place in places:
        if _exists(place):
            return _from_uri(place, f"model {model.name!r}", file)
    shown = " nor ".join(uris.without_secrets(place) for place in places)
    raise ModelFileError(
        f"model {model.name!r}: there is neither {shown}; `rembg-beam models fetch {model.name} "
        "--to DIR_OR_URI` fills such a folder"
    )


def _from_uri(uri: str, whose: str, file: Optional[ModelFile]) -> str:
    if uris.is_local(uri):
        path = os.path.abspath(uris.local_path(uri))
        if not os.path.exists(path):
            raise ModelFileError(f"{whose}: there is no file {path!r} on this worker")
        check_is_file(path, whose)
        check(path, file or ModelFile(path, None, None), path)
        return path
    from ..store import stores

    found = stores.found(uri)
    if found is None:
        raise ModelFileError(f"{whose}: there is no file {uris.without_secrets(uri)!r}")
    name = uri.rpartition("/")[2]
    # Another content under the same URI is another file.
    facts = f"{uri} {found.size} {found.modified}"
    folder = os.path.join(home(), "rembg_beam", hashlib.sha256(facts.encode()).hexdigest()[:16])
    return copy_once(uri, os.path.join(folder, name), file or ModelFile(name, None, None))


def _from_rembg(model: Model, offline: bool) -> Tuple[str, ...]:
    paths = [_in_home(model, file) for file in model.files]
    if not all(paths):
        if offline:
            missing = ", ".join(file.name for file, path in zip(model.files, paths) if not path)
            raise ModelFileError(
                f"model {model.name!r}: {missing} is not in {_folder(model)!r}, and offline=True "
                "forbids the download; put it there, or name a model_dir that has it"
            )
        return _downloaded(model)
    for path, file in zip(paths, model.files):
        check(str(path), file, str(path))
    return tuple(map(str, paths))


def _downloaded(model: Model) -> Tuple[str, ...]:
    """What rembg's own session class downloads, once per machine."""
    from ..store import retrying

    rembg = import_rembg()
    locks = os.path.join(home(), "rembg_beam")
    os.makedirs(locks, exist_ok=True)
    with filelock.FileLock(os.path.join(locks, f"{model.name}.lock")):
        if model.is_matting:
            variant = model.name.removeprefix("vitmatte-")
            download = functools.partial(
                rembg.matting._ViTMatteFiles.download_models, variant=variant
            )
        else:
            download = rembg.sessions.sessions[model.session].download_models
        try:
            paths: Any = retrying.tried(download).get()
        except OSError as error:
            names = ", ".join(file.name for file in model.files)
            raise ModelFileError(
                f"model {model.name!r} can't be downloaded ({error}): put {names} into "
                f"{_folder(model)!r}, or name a model_dir that has it"
            ) from error
    found: List[str] = [paths] if isinstance(paths, str) else list(paths)
    for path, file in zip(found, model.files):
        check(path, file, path)
    return tuple(found)


def _in_home(model: Model, file: ModelFile) -> Optional[str]:
    """Where rembg would find a file: in its home, or in the flat folder of its first versions."""
    legacy = os.getenv("U2NET_HOME", os.path.join(os.getenv("XDG_DATA_HOME", "~"), ".u2net"))
    for folder in (_folder(model), os.path.expanduser(legacy)):
        path = os.path.join(folder, file.name)
        if os.path.exists(path):
            return path
    return None


def _folder(model: Model) -> str:
    return os.path.join(home(), "models", "vitmatte" if model.is_matting else model.name)


def _digest_if_here(uri: str) -> Optional[str]:
    if uris.is_local(uri) and os.path.isfile(uris.local_path(uri)):
        return _digest(os.path.abspath(uris.local_path(uri)), "sha256")
    return None


def _digest(path: str, kind: str) -> str:
    found = os.stat(path)
    return _digest_of(path, kind, found.st_size, found.st_mtime_ns)


@functools.lru_cache(maxsize=64)
def _digest_of(path: str, kind: str, size: int, changed: int) -> str:
    digest, read = hashlib.new(kind), 0
    with open(path, "rb") as opened:
        while chunk := opened.read(min(_CHUNK_BYTES, size + 1 - read)):
            digest.update(chunk)
            read += len(chunk)
    if read != size:
        raise OSError(f"{path!r} has not the {size} bytes it is said to have: is it being written?")
    return f"{kind}:{digest.hexdigest()}"


def _exists(uri: str) -> bool:
    if uris.is_local(uri):
        return os.path.exists(uris.local_path(uri))
    from ..store import stores

    return stores.found(uri) is not None
