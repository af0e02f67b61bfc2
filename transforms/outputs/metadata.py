"""Metadata: the files and rows of an output folder -> a table beside the pictures.

In: an output folder, its rows written. Out: `metadata.parquet` or `metadata.csv` in it, as Hugging
Face's ImageFolder reads it: a row for each picture whose files are all there, sorted by name, of
all runs; `file_name` is its cutout, `mask_file_name` its mask, then come facts that runs were asked
for, and the user's columns, of one type each. Of several rows of a picture the last decides; a
picture that failed last has none.

Names and rows are joined on this machine's disk. The file replaces the former one when it is whole.
One that no run wrote is left alone, with a warning. Fails as the store does, and where there is no
room; a manifest that can't be read is named in a warning, and its pictures are left out.
"""

import functools
import json
import logging
import os
import posixpath
import re
from typing import Any, Dict, Iterator, List, Mapping, NamedTuple, Optional, Sequence, Tuple

import apache_beam as beam

from .. import naming, strict_json
from ..folder import earlier, layout
from ..pictures.encode import SUFFIXES
from ..pictures.options import RemoveOptions
from ..pictures.prompts import CLOTH_CATEGORIES
from ..pictures.requested import SHOWS
from ..runtime.grouping import Groups
from ..sources.suffixes import PICTURE_SUFFIXES
from ..store import stores, uris
from . import facts, tables
from .columns import Types, values
from .parts import in_shard

# What ImageFolder opens, by whoever wrote it.
NAMES = ("metadata.csv", "metadata.jsonl", "metadata.parquet")

# What comes first in the table, and has the column that every such table has.
FIRST = "cutout"

# What a file's name may have behind its picture's, besides the suffix of its format.
_PART = re.compile(rf"(?:\.(?:{'|'.join(CLOTH_CATEGORIES)}))?\.[a-z][a-z0-9-]*$")

# ImageFolder takes such columns for pictures, or makes them of ours.
_TAKEN = re.compile(r"(?:.*_)?file_names?|image|mask", re.DOTALL)

# What JSON may hold by an escape, and no file as text: it is written as that escape.
_ESCAPED = re.compile(r"\\u[dD][89a-fA-F]")
_HALF = re.compile("[\ud800-\udfff]")

# Of a file that no row tells of: no run, no ends, no columns, no facts.
_NO_ROW: Tuple[Any, ...] = ("", (), "", {})

_log = logging.getLogger(__name__)


class WriteMetadata(beam.PTransform):
    """Writes the table once the URIs of all manifests, its input, are there.

    Args:
      output: the output folder.
      format: a key of `tables.FORMATS`.
    """

    def __init__(self, output: str, format: str) -> None:
        super().__init__()
        self.output = output
        self.format = format

    def expand(self, manifests: beam.PCollection) -> beam.PCollection:
        return (
            manifests
            | "Once all rows are there" >> beam.combiners.Count.Globally()
            | "Write the table" >> beam.Map(_write_after, self.output, self.format)
        )


def _write_after(_: int, output: str, format: str) -> None:
    write(output, format)


def write(output: str, format: str) -> None:
    """Writes the table of a folder; see the module's docstring."""
    name = f"metadata.{format}"
    with Groups() as groups:
        there, manifests = _add_files(groups, output)
        own = _own(output) if there else []
        if strangers := sorted(set(there) - set(own)):
            shown = uris.without_secrets(uris.join(output, strangers[0]))
            _log.warning("no metadata is written: %r is there, which no run wrote", shown)
            return
        for manifest in manifests:
            _add_rows(groups, manifest)
        types, kinds, asked = Types(), set(), set()
        for entry in _entries(groups):
            types.add(entry.metadata)
            kinds |= set(entry.files)
            asked |= facts.asked_for(entry.facts)
        if kinds:
            if name not in own:
                _claim(output, [*own, name])
            header = _header(types, sorted(kinds, key=_order), facts.of_table(asked))
            with stores.spool(output) as spool:
                path = posixpath.join(spool, name)
                rows = map(header.row, _entries(groups))
                tables.write(path, format, header.types, rows, header.made)
                stores.upload(output, name, path, tables.FORMATS[format].mime_type)
    for former in there:
        if former != name or not kinds:
            stores.remove(uris.join(output, former))


class _Entry(NamedTuple):
    """A picture's files by what they are, such as "cutout", the user's columns, and facts."""

    files: Dict[str, str]
    metadata: Dict[str, Any]
    facts: Dict[str, Any]


class _Header(NamedTuple):
    """The table's columns.

    Attributes:
      kinds: what of a picture has a column.
      facts: those that have one.
      stored: the types of the user's columns, by their names.
      names: of these in the table, in the same order.
      types: of all columns in the table, by their names.
      made: those that are not the user's.
    """

    kinds: Sequence[str]
    facts: Sequence[str]
    stored: Mapping[str, str]
    names: Sequence[str]
    types: Dict[str, str]
    made: Sequence[str]

    def row(self, entry: _Entry) -> List[Any]:
        files = [entry.files.get(kind) for kind in self.kinds]
        told = [entry.facts.get(name) for name in self.facts]
        return [*files, *told, *values(entry.metadata, self.stored).values()]


def _header(types: Types, kinds: Sequence[str], told: Mapping[str, str]) -> _Header:
    """The table's columns; those that would be taken for pictures have a `_` behind them, and the
    user's stand in place of facts of their names.

    >>> list(_header(Types().add({"mask": 1, "sku": 2}), ["cutout"], {}).types)
    ['file_name', 'mask_', 'sku']
    """
    stored = types.stored()
    names: List[str] = []
    for name in stored:
        free = name
        while _is_taken(free, kinds) or (free != name and free in {*stored, *names}):
            free += "_"
        names.append(free)
    files = ["file_name" if kind == FIRST else f"{kind}_file_name" for kind in kinds]
    own = dict(zip(names, stored.values(), strict=True))
    told = {name: type for name, type in told.items() if name not in own}
    free_told = {name + "_" * _is_taken(name, kinds): type for name, type in told.items()}
    made = {**dict.fromkeys(files, "text"), **free_told}
    return _Header(kinds, list(told), stored, names, {**made, **own}, list(made))


def _is_taken(name: str, kinds: Sequence[str]) -> bool:
    return _TAKEN.fullmatch(name) is not None or name in kinds[kinds[:1] == [FIRST] :]


def _order(kind: str) -> Tuple[int, str]:
    """Known kinds come in the order in which they are written, others behind them."""
    known = list(SHOWS)
    return (known.index(kind) if kind in known else len(known), kind)


def _add_files(groups: Groups, output: str) -> Tuple[List[str], List[earlier.Manifest]]:
    """Adds what of a file's name lies behind each name that its picture may have.

    Returns:
      The tables that ImageFolder would open, and the files of rows, from the same listing.
    """
    tables_there, manifests = [], []
    for file in stores.listing(output):
        if file.name in NAMES:
            tables_there.append(file.name)
        room, _, below = file.name.partition("/")
        if room == layout.MANIFEST and (manifest := earlier.as_manifest(file, below)):
            manifests.append(manifest)
        is_utf8 = file.name.encode(errors="ignore").decode() == file.name
        if layout.is_own(file.name) or not file.size or not is_utf8:
            continue
        for end in _possible_ends(file.name):
            groups.add("files", file.name.removesuffix(end), (end,))
    return tables_there, manifests


def _possible_ends(name: str) -> Iterator[str]:
    """What of a file's name may lie behind its picture's.

    >>> list(_possible_ends("a.jpg.png")), list(_possible_ends("a.jpg.upper.mask.png"))
    (['.png'], ['.png', '.mask.png', '.upper.mask.png'])
    """
    suffix = next((each for each in SUFFIXES.values() if name.endswith(each)), None)
    if suffix is None:
        return
    yield suffix
    stem = name.removesuffix(suffix)
    part = _PART.search(stem)
    last = os.path.splitext(stem)[1]
    if part and last not in PICTURE_SUFFIXES:
        yield from (end + suffix for end in dict.fromkeys([last, part[0]]))


def _add_rows(groups: Groups, manifest: earlier.Manifest) -> None:
    """Adds what each row says: its run, the ends of its files' names, the user's columns, facts."""
    try:
        for row in earlier.rows(manifest):
            if row.get("name") and row.get("error") not in earlier.UNTOUCHED:
                name = naming.output_name(row["name"], "")
                ends = _ends(name, row["outputs"])
                extras, options = row.get("extras") or "{}", row.get("options")
                kinds = _kinds(ends, extras, options) if ends else ()
                told = facts.for_table(row, [kind for _, kind, _ in kinds])
                groups.add("rows", name, (row["run"], kinds, row["metadata"], told))
    except earlier.BadManifest as error:
        _log.warning("its pictures are left out of the metadata: %s", error)


def _ends(name: str, outputs: Sequence[str]) -> Tuple[str, ...]:
    """What the files' names have behind their picture's.

    >>> _ends("x/a.jpg", ["out/x/a.jpg.mask.png"])
    ('.mask.png',)
    """
    base = posixpath.basename(name)
    return tuple(
        posixpath.basename(uris.local_path(uri) if uris.is_local(uri) else uri).removeprefix(base)
        for uri in outputs
    )


@functools.lru_cache(maxsize=1000)
def _kinds(ends: Tuple[str, ...], extras: str, options: Optional[str]) -> Tuple[Any, ...]:
    """Of each such end: which model's mask it belongs to, what it shows, itself."""
    told = strict_json.loads(options or "{}")
    run = RemoveOptions(**{name: told[name] for name in ("only_mask", "outputs") if name in told})
    found = []
    for end in ends:
        of_mask, _, kind = in_shard(end.rpartition(".")[0], extras, run).rpartition(".")
        found.append((of_mask, kind, end))
    return tuple(found)


def _entries(groups: Groups) -> Iterator[_Entry]:
    """The pictures whose files are all there; of a model with several masks, one for each."""
    for name, kinds in groups:
        _, ends, metadata, told = max(kinds.get("rows", [_NO_ROW]), key=lambda row: row[:3])
        there = {end for (end,) in kinds.get("files", ())}
        for of_mask in dict.fromkeys(each[0] for each in ends):
            own = [(kind, end) for mask, kind, end in ends if mask == of_mask]
            if there.issuperset(end for _, end in own):
                files = {kind: name + end for kind, end in own}
                yield _Entry(files, _fields(metadata), told)


def _fields(metadata: str) -> Dict[str, Any]:
    """The user's columns; none where there is no object.

    >>> _fields('{"caption": "\\\\ud83d"}')
    {'caption': '\\\\ud83d'}
    """
    try:
        found = strict_json.loads(metadata)
    except ValueError:
        return {}
    if not isinstance(found, dict):
        return {}
    if not _ESCAPED.search(metadata):
        return found
    text = json.dumps(found, ensure_ascii=False)
    return dict(json.loads(_HALF.sub(lambda half: f"\\\\u{ord(half[0]):04x}", text)))


def _own(output: str) -> List[str]:
    """Those that runs have written there, or were about to."""
    try:
        return list(strict_json.loads(stores.read(uris.join(output, layout.METADATA)).data))
    except (FileNotFoundError, ValueError, TypeError):
        return []


def _claim(output: str, names: Sequence[str]) -> None:
    data = json.dumps(sorted(names)).encode()
    stores.write(output, layout.METADATA, data, "application/json", durable=True)
