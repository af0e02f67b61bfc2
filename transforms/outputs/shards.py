"""Shards: a shard's files and rows -> the output folder, where they are whole or not done.

In: the files of a shard on this machine, and the rows of its pictures. Out: the rows that count:
these, or those of another worker that made the shard first. Rows are written last, to
`_manifest/run=ID/shard-00000.parquet`, and name the files with their sizes and checksums. A shard
is done where such rows can be read and the files that they name are there.

Whoever makes a shard may find another's files. If rows name them, that shard is done and counts.
If none do after a while, their maker was killed, or made them by another plan, and they are written
over, as they were seen, if they have the mark of a shard; a file that no run made is never touched.
Two who do so to each other both look again at the end, and go on until the rows of one of them name
what is there. Fails as `stores.upload`, `write` and `listing` do, with `FileExistsError` for
another's file, and with `OSError` where that comes to no end.
"""

import contextlib
import errno
import io
import itertools
import json
import os
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import (
    Any,
    Collection,
    Dict,
    Iterator,
    List,
    NamedTuple,
    Optional,
    Sequence,
    Tuple,
)

import pyarrow as pa
import pyarrow.parquet

from .. import strict_json
from ..elements import Outcome
from ..folder import layout, manifest
from ..store import crc32c, stores, uris
from ..store.listed import Listed
from ..store.retrying import BACKOFF, Backoff
from .writers import FORMATS, ShardFile, Spooled

_OTHERS = "no run made this file, which has a shard's name: move it away and give the command again"

# Files that are read at once to learn what is there.
READERS = 16

# Of the Parquet metadata of rows.
_KEY = b"rembg_beam.shard"

# What rows that are no shard's raise.
_NO_ROWS = (FileNotFoundError, pa.ArrowException, ValueError, KeyError, TypeError)


# A run's id, and its rows of a shard.
_RowsFile = Tuple[str, Listed]


class DoneShard(NamedTuple):
    """A shard that is done.

    Attributes:
      number: of the shard.
      files: its files.
      rows_uri: where its rows are, `earlier.Manifest`.
      run_id: of the run that made it.
      at: when its rows were written, by the store's clock; None if the store doesn't say.
      facts: what its samples have of their rows; see `Fields`.
      columns: see `writers.Format.columns`; None of a shard whose rows don't say.
      original: the suffix of all originals' members; None where rows don't say.
    """

    number: int
    files: Tuple[ShardFile, ...]
    rows_uri: str
    run_id: str
    at: Optional[float]
    facts: Tuple[str, ...] = ()
    columns: Optional[str] = None
    original: Optional[str] = None


def write(
    folder: str,
    number: int,
    files: Sequence[Spooled],
    rows: Sequence[Outcome],
    *,
    run_id: str,
    format: str,
    facts: Sequence[str] = (),
    columns: Optional[str] = None,
    original: Optional[str] = None,
    backoff: Backoff = BACKOFF,
) -> List[Outcome]:
    """Writes a shard; see the module's docstring.

    Args:
      folder: the output folder.
      number: of the shard.
      files: of the shard, none if no picture became a sample.
      rows: of all its pictures, failed ones too.
      run_id: of the run.
      format: a key of `writers.FORMATS`.
      facts: what its samples have of their rows.
      columns: of its samples, as its rows tell later runs; None if that isn't told.
      original: the suffix of its originals' members, told in the same way.
      backoff: how long another worker is waited for.

    Returns:
      The rows that count.
    """
    rows_name = layout.shard_rows(run_id, number)
    own = uris.join(folder, rows_name)
    told = {"facts": list(facts), "columns": columns, "original": original}
    data = _encoded(number, [each.file for each in files], rows, told)
    mime_type = FORMATS[format].mime_type
    seen: Dict[str, Listed] = {}
    for attempt in range(backoff.attempts):
        with contextlib.suppress(FileExistsError):
            for file, path in files:
                over = seen.get(file.name, False)
                stores.upload(folder, file.name, path, mime_type, overwrite=over)
            stores.write(folder, rows_name, data, manifest.MIME_TYPE, overwrite=False, durable=True)
            if all(_is_there(folder, file, path) for file, path in files):
                return list(rows)
        seen = _seen(folder, files)
        theirs, their_rows = _made_by_another(folder, number, backoff, attempt + 1)
        if theirs is None or theirs.rows_uri != own:
            stores.remove(own)  # what they name is not there
        if theirs is not None:
            return _outcomes(their_rows)
        if others := [each for each in seen.values() if not _left_by_runs(folder, [each])]:
            raise FileExistsError(errno.EEXIST, _OTHERS, uris.without_secrets(others[0].uri))
    rule = "other workers kept writing over this shard; let one run at a time write there"
    raise OSError(errno.EBUSY, rule, uris.without_secrets(own))


def own(folder: str, number: int, run_id: str) -> Optional[List[Outcome]]:
    """The rows of a shard that the run has made already, as by an attempt at the same bundle; None
    if it has not, or not whole."""
    file = stores.found(uris.join(folder, layout.shard_rows(run_id, number)))
    for shard, data in _read(number, [(run_id, file)]) if file else ():
        if all(_is_there(folder, each) for each in shard.files):
            return _outcomes(data)
    return None


def done(folder: str) -> Iterator[DoneShard]:
    """The shards of a folder that are done, each once: of several rows the latest run's count."""
    return (shard for shard, _ in done_with_rows(folder))


def done_with_rows(folder: str) -> Iterator[Tuple[DoneShard, bytes]]:
    """The same, by their numbers, each with its file of rows, which is read once."""
    there = {file.name: file for file in stores.listing(folder, deep=False)}

    def latest(named: Tuple[int, List[_RowsFile]]) -> Iterator[Tuple[DoneShard, bytes]]:
        whole = (
            (shard, data)
            for shard, data in _read(*named)
            if all(_seems_there(file, there.get(file.name), shard.at) for file in shard.files)
        )
        return iter(list(itertools.islice(whole, 1)))

    every = iter(_named(folder).items())
    with ThreadPoolExecutor(READERS) as pool:
        while some := list(itertools.islice(every, 2 * READERS)):
            yield from itertools.chain.from_iterable(pool.map(latest, some))


def unnamed(folder: str, shards: Collection[DoneShard]) -> Tuple[List[Listed], List[Listed]]:
    """Files called as shards are that no rows name: those that killed runs left, and others'.

    Args:
      folder: the output folder.
      shards: those that are done.
    """
    named = {file.name for shard in shards for file in shard.files}
    listed = stores.listing(folder, deep=False)
    files = [f for f in listed if layout.is_shard(f.name) and f.name not in named]
    left = _left_by_runs(folder, files)
    return left, [file for file in files if file not in left]


def orphans(folder: str, shards: Optional[Collection[DoneShard]] = None) -> Iterator[Listed]:
    """Files of shards that no rows name, and rows whose files are not there: of killed runs.

    Args:
      folder: the output folder.
      shards: those that are done; None to look.
    """
    shards = list(done(folder)) if shards is None else shards
    yield from unnamed(folder, shards)[0]
    yield from idle_rows(folder, shards)


def idle_rows(folder: str, shards: Collection[DoneShard]) -> Iterator[Listed]:
    """Rows whose files are not there, or not those that they name."""
    rows = {shard.rows_uri for shard in shards}
    return (file for _, _, file in rows_files(folder) if file.uri not in rows)


def _left_by_runs(folder: str, files: Sequence[Listed]) -> List[Listed]:
    """Those that have a shard's mark, and are no older than what says how the folder was made."""
    record = stores.found(uris.join(folder, layout.SETTINGS)) if files else None
    since = (record and record.modified) or 0.0
    young = [file for file in files if (file.modified or since) >= since]
    with ThreadPoolExecutor(READERS) as pool:
        marked = pool.map(_is_marked, young)
        return [file for file, is_ours in zip(young, marked, strict=True) if is_ours]


def _is_marked(file: Listed) -> bool:
    format = next(each for each in FORMATS.values() if file.name.endswith(each.suffix))
    with stores.seekable(file.uri) as opened:
        return format.is_marked(opened)


def _encoded(
    number: int,
    files: Sequence[ShardFile],
    rows: Sequence[Outcome],
    told: Dict[str, Any],
) -> bytes:
    about = {"number": number, "files": [file._asdict() for file in files], **told}
    metadata = {_KEY: json.dumps(about).encode()}
    return manifest.encode(manifest.table(rows).replace_schema_metadata(metadata))


def _outcomes(data: bytes) -> List[Outcome]:
    return [Outcome(**row) for row in manifest.decode(data).to_pylist()]


def rows_files(folder: str) -> Iterator[Tuple[str, int, Listed]]:
    """The run, the shard and the file of all shards' rows."""
    for file in stores.listing(uris.join(folder, layout.MANIFEST)):
        found = layout.shard_of(f"{layout.MANIFEST}/{file.name}")
        if found is not None:
            yield (*found, file)


def _named(folder: str, only: Optional[int] = None) -> Dict[int, List[_RowsFile]]:
    """The files of rows of each shard, or of one."""
    found: Dict[int, List[_RowsFile]] = {}
    for run_id, number, file in rows_files(folder):
        if only in (None, number):
            found.setdefault(number, []).append((run_id, file))
    return dict(sorted(found.items()))


def _read(number: int, there: List[_RowsFile]) -> Iterator[Tuple[DoneShard, bytes]]:
    """What rows say of a shard, the latest run's first; those that can't be read say nothing."""
    for run_id, file in sorted(there, reverse=True):
        try:
            data = stores.read(file.uri).data
            metadata = pa.parquet.read_metadata(io.BytesIO(data)).metadata
            about = strict_json.loads(metadata[_KEY])
        except _NO_ROWS:
            continue
        files, facts = _files(about, file.uri), tuple(about.get("facts", ()))
        columns = about.get("columns")
        columns = sys.intern(columns) if columns else None  # of most shards the same
        told = facts, columns, about.get("original")
        yield DoneShard(number, files, file.uri, run_id, file.modified, *told), data


def _files(about: Any, uri: str) -> Tuple[ShardFile, ...]:
    """The files that rows name; a later version may say more of them."""
    try:
        return tuple(
            ShardFile._make(each[key] for key in ShardFile._fields) for each in about["files"]
        )
    except (KeyError, TypeError) as error:
        raise ValueError(
            f"{uris.without_secrets(uri)!r} says of its shard what this version does not know: "
            "install the version that wrote it, or give the run an output folder of its own"
        ) from error


def _seen(folder: str, files: Sequence[Spooled]) -> Dict[str, Listed]:
    """Of files of a shard's names those that are there, by name."""
    found = {each.file.name: stores.found(uris.join(folder, each.file.name)) for each in files}
    return {name: file for name, file in found.items() if file is not None}


def _made_by_another(
    folder: str, number: int, backoff: Backoff, attempt: int
) -> Tuple[Optional[DoneShard], bytes]:
    """The shard and its file of rows, if another worker has made it by now, or after a while."""
    for seconds in (0.0, backoff.seconds(attempt)):
        backoff.sleep(seconds)
        for shard, data in _read(number, _named(folder, number).get(number, [])):
            if all(_is_there(folder, file) for file in shard.files):
                return shard, data
    return None, b""


def _seems_there(file: ShardFile, found: Optional[Listed], at: Optional[float]) -> bool:
    """Whether a file is there, of its size, and not written after rows of that time; one that was,
    as in a folder that was copied, is read to know."""
    if found is None or found.size != file.size:
        return False
    is_later = at is not None and found.modified is not None and found.modified > at
    if found.crc32c is None and not is_later:
        return True
    return (found.crc32c or _checksum(found.uri)) == file.crc32c


def _is_there(folder: str, file: ShardFile, path: Optional[str] = None) -> bool:
    """Whether a file is there, byte for byte; `path` is where it came from, if from here.

    What was just uploaded to a store that tells no checksum is not read again.
    """
    uri = uris.join(folder, file.name)
    found = stores.found(uri)
    if found is None or found.size != file.size:
        return False
    if found.crc32c is None and path is not None and not uris.is_local(uri):
        return True
    if path is not None and uris.is_local(uri) and os.path.samefile(uris.local_path(uri), path):
        return True
    return (found.crc32c or _checksum(uri)) == file.crc32c


def _checksum(uri: str) -> str:
    with stores.opened(uri) as file:
        return crc32c.of_file(file)
