"""Read sources: what a job's inputs and lists name, as one transform.

    patterns -> pictures, tables and shards -> rows and samples
    lists    -> lines
    queries  -> rows

In: a pipeline. Out: a pair of PCollections, the sources and the failures of what names no picture.
`RemoveBackgrounds` reads its inputs so. Fails as the steps of `find` do.
"""

from dataclasses import dataclass
from typing import Any, List, Optional, Sequence, Union

import apache_beam as beam

from ..runtime.failures import FAILURES
from ..setting import check, documented, setting
from ..store.web import WebOptions
from . import bigquery, readers
from .columns import Columns
from .find import CONTAINERS, FindPictures, Named, ReadContainers, ReadLists, SourcesOfRows
from .lists import InputList


@documented
@dataclass(kw_only=True, eq=False)
class ReadSources(beam.PTransform):
    """The pictures that inputs and lists name, for a pipeline of one's own.

    Apply it to a pipeline; it gives a pair of PCollections:

        sources, failures = pipeline | ReadSources(input=["train/metadata.csv"])

    `Source` records, and `(Source, Failure)` pairs of what names no picture, such as a row without
    a URI. An input that matches nothing, or a list that can't be opened, fails the pipeline.
    """

    input: Sequence[str] = setting(
        (),
        "a picture, a folder (walked recursively), a glob ('**/' also matches no folder), a URI "
        "that Beam's FileSystems read, an http(s) URL, or a table or shard by its suffix "
        f"({' '.join(readers.TABLES)}), or a table of BigQuery's or a query (bq://...); repeats",
        kind="texts",
        metavar="URI",
    )
    input_list: Sequence[Union[str, InputList]] = setting(
        (),
        "a file with one URI or one JSON object (uri, name, extras, and columns of your own) per "
        "line, or - for standard input; repeats",
        kind="texts",
        metavar="FILE",
    )
    columns: Columns = setting(Columns(), "what the columns of tables are", kind=Columns)
    relative_to: Optional[str] = setting(
        None,
        "the folder that names are relative to",
        more="None for names that follow from each input, up to its first wildcard",
    )
    exclude: Optional[str] = setting(None, "a folder whose files are no input, such as the output")
    web_options: Optional[WebOptions] = setting(
        None,
        "how lists and tables are fetched from http(s), and from which hosts they may be",
        more="None for what the pipeline's option --rembg_beam_web_options says",
        kind=WebOptions,
    )

    def __post_init__(self) -> None:
        super().__init__()
        check(self)
        self._named = Named.of(self.input, self.input_list)
        if not any(self._named):
            raise ValueError("no input: name pictures by input or input_list")

    def expand(self, start: Any) -> Any:
        return self.read(start)

    def read(self, start: Any) -> Any:
        """The pair, by steps of whatever transform is applied."""
        named = self._named
        pairs = [
            *(self._found(start, named.patterns) if named.patterns else []),
            *([self._listed(start, named.lists)] if named.lists else []),
            *(self._queried(start, *each) for each in enumerate(named.queries, 1)),
        ]
        sources = [found for found, _ in pairs] | "All sources" >> beam.Flatten()
        return sources, [bad for _, bad in pairs] | "What names none" >> beam.Flatten()

    def _found(self, start: Any, patterns: Sequence[str]) -> List[Any]:
        """Of the inputs, and of the tables and shards among them."""
        find = FindPictures(relative_to=self.relative_to, exclude=self.exclude)
        reading = ReadContainers(self.columns, self.web_options)
        found, containers, unlisted = (
            start
            | "Inputs" >> beam.Create(patterns).with_output_types(str)
            | "Find pictures" >> beam.ParDo(find).with_outputs(CONTAINERS, FAILURES, main="found")
        )
        rows, bad = (
            containers
            | "Spread tables and shards" >> beam.Reshuffle()
            | "Read tables and shards" >> beam.ParDo(reading).with_outputs(FAILURES, main="rows")
        )
        return [(found, unlisted), (rows, bad)]

    def _listed(self, start: Any, lists: Sequence[InputList]) -> Any:
        reading = ReadLists(self.web_options)
        return (
            start
            | "Lists" >> beam.Create(lists).with_output_types(InputList)
            | "Read lists" >> beam.ParDo(reading).with_outputs(FAILURES, main="listed")
        )

    def _queried(self, start: Any, number: int, uri: str) -> Any:
        """Of a table or query of BigQuery's."""
        taking = beam.ParDo(SourcesOfRows(uri, self.columns)).with_outputs(FAILURES, main="taken")
        rows = start | f"BigQuery {number}" >> bigquery.ReadRows(uri)
        return rows | f"Take rows of BigQuery {number}" >> taking
