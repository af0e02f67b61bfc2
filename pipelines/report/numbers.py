"""Numbers: rows, a batch at a time -> what is said of all of them.

In: batches of `rows.last`. Out: `Numbers`; and for each row with a mask its folder, its share of
foreground and how many reasons there are to doubt it, from which the worst are chosen. What is kept
of a row is a few numbers, so a million take some tens of megabytes. Nothing can fail.

A picture is odd in its folder if its share of foreground lies further from the folder's median than
`ODD` times the median of such distances (the median absolute deviation, scaled by 1.4826 to that of
a normal distribution, as in Iglewicz and Hoaglin, How to Detect and Handle Outliers, 1993).
"""

import posixpath
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Dict, List, NamedTuple, Optional, Tuple

import numpy as np

from ...transforms.elements import FAILED, STATUSES
from ...transforms.folder.earlier import Manifest
from ...transforms.store import uris
from .rows import MSECS, Batch
from .spent import Seconds

ODD = 4.5
_NORMAL = 1.4826

# A folder with fewer says nothing of what is odd there.
_FEW = 8

# A median distance of less would make all but equal ones odd.
_LEAST = 0.01

# Bins of the histograms.
_BINS = 24


class Histogram(NamedTuple):
    """How many rows lie between each two edges."""

    title: str
    unit: str
    edges: List[float]
    counts: List[int]


class Kept(NamedTuple):
    """What is kept of each row with a mask; arrays of one length.

    Attributes:
      manifest: which of `manifests` its row lies in.
      place: its row there.
      folder: which of `folders` its picture lies in.
      foreground: its share of foreground.
      reasons: how many there are to doubt its mask.
      is_odd: whether it is odd in its folder.
    """

    manifests: List[Manifest]
    folders: List[str]
    manifest: Any
    place: Any
    folder: Any
    foreground: Any
    reasons: Any
    is_odd: Any


@dataclass
class Numbers:
    """What is said of all rows.

    Attributes:
      counts: pictures by status.
      errors: failures by class.
      reasons: pictures by each reason to doubt their masks.
      suspect: pictures with any.
      suspect_unknown: pictures that didn't fail and whose rows don't say.
      odd: pictures that are odd in their folder.
      models: pictures by model, checksum and provider.
      bytes_in, bytes_out: of all files.
      steps: seconds of threads, and of what pictures waited.
      histograms: of foreground, milliseconds, megapixels and bytes.
      folders: pictures, failed and suspect ones of each folder.
    """

    counts: Dict[str, int]
    errors: Dict[str, int]
    reasons: Dict[str, int]
    suspect: int
    suspect_unknown: int
    odd: int
    models: List[Tuple[str, str, str, int]]
    bytes_in: int
    bytes_out: int
    steps: Seconds
    histograms: List[Histogram]
    folders: List[Tuple[str, int, int, int]]

    @property
    def total(self) -> int:
        return sum(self.counts.values())


@dataclass
class Gathered:
    """Takes batches with `add`; then `numbers` and `kept` are all that is known of them."""

    _counts: Counter = field(default_factory=Counter)
    _errors: Counter = field(default_factory=Counter)
    _reasons: Counter = field(default_factory=Counter)
    _models: Counter = field(default_factory=Counter)
    _sums: Counter = field(default_factory=Counter)
    _folders: Dict[str, int] = field(default_factory=dict)
    _of_folder: Counter = field(default_factory=Counter)
    _manifests: List[Manifest] = field(default_factory=list)
    _arrays: List[Tuple[Any, ...]] = field(default_factory=list)
    _values: Dict[str, List[Any]] = field(default_factory=dict)

    def add(self, batch: Batch) -> None:
        """Takes the rows of a batch."""
        table = batch.table
        statuses = table["status"].to_pylist()
        self._counts.update(statuses)
        self._errors.update(each for each in table["error"].to_pylist() if each)
        for name in ("bytes_in", "bytes_out", *MSECS):
            self._sums[name] += int(_array(table, name, 0).sum())
        self._sums["untold_msecs"] += _untold(table)
        self._sums["suspect_unknown"] += sum(
            doubts is None and status != FAILED
            for doubts, status in zip(table["suspect"].to_pylist(), statuses)
        )
        ran_on = zip(*(table[name].to_pylist() for name in ("model", "model_checksum", "provider")))
        self._models.update(each for each in ran_on if each[-1])
        folders = self._folder_numbers(table)
        self._of_folder.update(zip(folders, statuses))
        self._keep(batch, folders)
        self._measure(table)

    def numbers(self, kept: Kept) -> Numbers:
        """What is said of all."""
        doubted = kept.reasons > 0
        for number in kept.folder[doubted]:
            self._of_folder[int(number), "suspect"] += 1
        sums = self._sums
        return Numbers(
            counts={status: self._counts[status] for status in STATUSES},
            errors=dict(self._errors.most_common()),
            reasons=dict(self._reasons.most_common()),
            suspect=int(doubted.sum()),
            suspect_unknown=sums["suspect_unknown"],
            odd=int(kept.is_odd.sum()),
            models=[(*each, count) for each, count in self._models.most_common()],
            bytes_in=sums["bytes_in"],
            bytes_out=sums["bytes_out"],
            steps=Seconds(*(sums[f"{name}_msecs"] / 1000 for name in Seconds._fields)),
            histograms=[_histogram(*each, self._values) for each in _HISTOGRAMS],
            folders=[self._folder(name, number) for name, number in self._folders.items()],
        )

    def kept(self) -> Kept:
        """What the worst are chosen from."""
        arrays = [np.concatenate(each) for each in zip(*self._arrays)] if self._arrays else []
        manifest, place, folder, foreground, reasons = arrays or [np.zeros(0, np.int64)] * 5
        is_odd = _odd(folder, foreground)
        names = list(self._folders)
        return Kept(self._manifests, names, manifest, place, folder, foreground, reasons, is_odd)

    def _folder(self, name: str, number: int) -> Tuple[str, int, int, int]:
        counts = [self._of_folder[number, each] for each in (*STATUSES, "suspect")]
        total = sum(counts[: len(STATUSES)])
        return name, total, counts[STATUSES.index(FAILED)], counts[-1]

    def _folder_numbers(self, table: Any) -> List[int]:
        """Of each row its folder, as its name has it."""
        known = self._folders
        found = []
        for name, uri in zip(table["name"].to_pylist(), table["uri"].to_pylist()):
            folder = folder_of(name, uri)
            found.append(known.setdefault(folder, len(known)))
        return found

    def _keep(self, batch: Batch, folders: List[int]) -> None:
        foreground = _array(batch.table, "foreground", np.nan)
        doubts = batch.table["suspect"].to_pylist()
        counted = np.array([len(each or ()) for each in doubts], np.int16)
        self._reasons.update(reason for each in doubts for reason in each or ())
        has_mask = ~np.isnan(foreground)
        number = np.full(len(foreground), len(self._manifests), np.int32)
        every = (number, batch.places, np.array(folders, np.int32), foreground, counted)
        self._arrays.append(tuple(np.asarray(each)[has_mask] for each in every))
        self._manifests.append(batch.manifest)

    def _measure(self, table: Any) -> None:
        values = {name: _array(table, name, np.nan) for name in _MEASURED}
        values["megapixels"] = values["width"] * values["height"] / 1e6
        for name, array in values.items():
            self._values.setdefault(name, []).append(array[~np.isnan(array)].astype(np.float32))


def folder_of(name: Optional[str], uri: str) -> str:
    """The folder that a picture's name lies in; without a name, its URI.

    >>> folder_of("shoes/red/a.jpg", "gs://bucket/a.jpg"), folder_of(None, "gs://bucket/x/a.jpg")
    ('shoes/red', 'gs://bucket/x')
    """
    return posixpath.dirname(name) if name else posixpath.dirname(uris.without_secrets(uri))


_MEASURED = ("foreground", "remove_msecs", "width", "height", "bytes_out")

# Title, unit, of which values, whether on a logarithmic scale.
_HISTOGRAMS = (
    ("Foreground", "share of the picture", "foreground", False),
    ("Time", "ms of a thread, for the background", "remove_msecs", True),
    ("Size", "megapixels", "megapixels", True),
    ("Output", "bytes", "bytes_out", True),
)


def _untold(table: Any) -> int:
    """Milliseconds of removing in rows of a version that had no column for the model's."""
    had_model, model = (_array(table, name, np.nan) for name in ("width", "model_msecs"))
    return int(_array(table, "remove_msecs", 0)[~np.isnan(had_model) & np.isnan(model)].sum())


def _array(table: Any, name: str, absent: float) -> Any:
    column = table[name].combine_chunks()
    return np.asarray(column.cast("float64").fill_null(absent), np.float64)


def _histogram(
    title: str, unit: str, name: str, is_logarithmic: bool, values: Dict[str, List[Any]]
) -> Histogram:
    found = np.concatenate([*values.get(name, []), np.zeros(0, np.float32)])
    if not is_logarithmic:
        edges = np.linspace(0, 1, _BINS + 1)
    else:
        found = found[found > 0]  # failed pictures have 0 ms, which lies on no such scale
        low, high = (found.min(), found.max()) if found.size else (1.0, 10.0)
        edges = np.geomspace(low, max(high, low * 1.01) * 1.0001, _BINS + 1)
    counts, _ = np.histogram(found, edges)
    return Histogram(title, unit, edges.round(4).tolist(), counts.tolist())


def _odd(folders: Any, foreground: Any) -> Any:
    """Which are odd in their folder."""
    is_odd = np.zeros(len(foreground), bool)
    order = np.argsort(folders, kind="stable")
    starts = np.flatnonzero(np.diff(folders[order], prepend=-1))
    for places in np.split(order, starts)[1:]:
        if len(places) >= _FEW:
            distances = np.abs(foreground[places] - np.median(foreground[places]))
            usual = max(_NORMAL * float(np.median(distances)), _LEAST)
            is_odd[places] = distances > ODD * usual
    return is_odd
