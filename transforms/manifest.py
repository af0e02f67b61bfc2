"""Manifest: outcomes -> Parquet files under the output folder, one partition per run.

In: `Outcome` rows. Out: the paths of the files `OUTPUT/_manifest/run=ID/part-*.parquet`. All runs
together read as one data set:

    pyarrow.dataset.dataset("OUTPUT/_manifest", partitioning="hive")

Fails as Beam's `WriteToParquet` does, and with it the pipeline.
"""

import datetime
import functools
import re
import uuid
from dataclasses import dataclass
from typing import Any, Dict, Optional

import apache_beam as beam
import pyarrow as pa
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.parquetio import WriteToParquet

from .elements import Outcome
from .storage import naming

SCHEMA = pa.schema(
    [
        pa.field("schema_version", pa.int32(), nullable=False),
        pa.field("uri", pa.string(), nullable=False),
        pa.field("status", pa.string(), nullable=False),
        pa.field("outputs", pa.list_(pa.string()), nullable=False),
        pa.field("model", pa.string(), nullable=False),
        pa.field("step", pa.string()),
        pa.field("error", pa.string()),
        pa.field("message", pa.string()),
        pa.field("width", pa.int32()),
        pa.field("height", pa.int32()),
        pa.field("animated", pa.bool_()),
        pa.field("provider", pa.string()),
        pa.field("batched", pa.bool_()),
        pa.field("peak", pa.float64()),
        pa.field("foreground", pa.float64()),
        pa.field("matting", pa.string()),
        pa.field("metadata", pa.string(), nullable=False),
    ]
)


def new_run_id() -> str:
    """A name for a run: its start in UTC, and six random characters.

    >>> len(new_run_id())
    23
    """
    now = datetime.datetime.now(datetime.UTC)
    return f"{now:%Y%m%dT%H%M%SZ}-{uuid.uuid4().hex[:6]}"


def folder(output: str, run: str) -> str:
    """The folder of a run's rows.

    >>> folder("gs://bucket/out", "r1")
    'gs://bucket/out/_manifest/run=r1'
    """
    return naming.join(output, folder_name(run))


def folder_name(run: str) -> str:
    """The same, relative to the output folder.

    >>> folder_name("r1")
    '_manifest/run=r1'
    """
    return f"{naming.MANIFEST}/run={run}"


def row(outcome: Outcome) -> Dict[str, Any]:
    """The outcome under the column names of `SCHEMA`."""
    return {name: getattr(outcome, name) for name in SCHEMA.names}


@dataclass(kw_only=True, eq=False)
class WriteManifest(beam.PTransform):
    """Writes outcomes as Parquet; see the module's docstring.

    Attributes:
      output: the output folder.
      run: the run's id, letters, digits, `_`, `.` and `-`; `new_run_id()` makes one.
      temporary: a folder on the same file system for files that are not yet whole; None for one
        that readers of the data set skip.
    """

    output: str
    run: str
    temporary: Optional[str] = None

    def __post_init__(self) -> None:
        super().__init__()
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]*", self.run):
            raise ValueError(f"run={self.run!r} must be letters, digits, '_', '.' and '-' only")

    def expand(self, outcomes: beam.PCollection) -> beam.PCollection:
        write = WriteToParquet(
            naming.join(folder(self.output, self.run), "part"),
            SCHEMA,
            codec="zstd",
            file_name_suffix=".parquet",
        )
        # Beam's place for unfinished files is beside the finished ones, where a killed run leaves
        # them to break the data set.
        temporary = self.temporary or naming.join(self.output, f"{naming.MANIFEST}/_temporary")
        write._sink._create_temp_dir = functools.partial(_temporary_folder, temporary)
        return outcomes | "Outcomes to rows" >> beam.Map(row) | "Write rows" >> write


def _temporary_folder(temporary: str, prefix: str) -> str:
    final = FileSystems.split(prefix)[0]
    if not FileSystems.exists(final):
        FileSystems.mkdirs(final)
    return naming.join(temporary, uuid.uuid4().hex)
