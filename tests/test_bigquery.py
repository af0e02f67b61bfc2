"""BigQuery, as far as it goes without the service: what is asked for, and rows as it sends them."""

import datetime
import io
import json
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Dict, Iterator, List

import apache_beam as beam
import fastavro
import pytest
from apache_beam.io.gcp import bigquery as beams
from apache_beam.testing.util import assert_that, equal_to
from google.cloud.bigquery_storage_v1 import types

from rembg_beam.pipelines import cli
from rembg_beam.transforms import Columns, ReadSources
from rembg_beam.transforms.sources import bigquery

SCHEMA = {
    "type": "record",
    "name": "row",
    "fields": [
        {"name": "link", "type": ["null", "string"]},
        {
            "name": "price",
            "type": {"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2},
        },
        {"name": "at", "type": {"type": "long", "logicalType": "timestamp-micros"}},
        {"name": "day", "type": {"type": "int", "logicalType": "date"}},
        {"name": "tags", "type": {"type": "array", "items": "string"}},
        {
            "name": "size",
            "type": {"type": "record", "name": "s", "fields": [{"name": "w", "type": "double"}]},
        },
    ],
}


def row(link: Any) -> Dict[str, Any]:
    return {
        "link": link,
        "price": Decimal("7.10"),
        "at": datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
        "day": datetime.date(2026, 1, 2),
        "tags": ["a", "b"],
        "size": {"w": 1.0},
    }


class Service:
    """BigQuery and its Storage API, as Beam's source calls them, with some rows in one stream.

    Attributes:
      asked: the tables that were read.
    """

    def __init__(self, rows: List[Dict[str, Any]]) -> None:
        self.rows = rows
        self.asked: List[str] = []

    def create_read_session(self, parent: str, read_session: Any, **_: Any) -> Any:
        self.asked.append(read_session.table)
        schema = types.AvroSchema(schema=json.dumps(SCHEMA))
        return types.ReadSession(streams=[types.ReadStream(name="s")], avro_schema=schema)

    def read_rows(self, stream: str, **_: Any) -> Iterator[Any]:
        buffer = io.BytesIO()
        for each in self.rows:
            fastavro.schemaless_writer(buffer, SCHEMA, each)
        schema = types.AvroSchema(schema=json.dumps(SCHEMA))
        data = types.AvroRows(serialized_binary_rows=buffer.getvalue())
        yield types.ReadRowsResponse(avro_rows=data, row_count=len(self.rows), avro_schema=schema)

    def get_table(self, *_: str) -> Any:
        return SimpleNamespace(numBytes=1)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    made = Service([row("https://host/a.jpg"), row(None), row("b.jpg")])
    monkeypatch.setattr(beams.bq_storage, "BigQueryReadClient", lambda: made)
    monkeypatch.setattr(beams.bigquery_tools, "BigQueryWrapper", Wrapper(made))
    return made


class Wrapper:
    """Stands for Beam's class of that name."""

    def __init__(self, made: Service) -> None:
        self._made = made

    def __call__(self, **_: Any) -> Service:
        return self._made

    def from_pipeline_options(self, _: Any) -> Service:
        return self._made

    def _bigquery_client(self, _: Any) -> None: ...


def test_rows_of_a_table(service: Service) -> None:
    with beam.Pipeline() as pipeline:
        sources, failures = pipeline | ReadSources(
            input=["bq://my-project.shop.photos"], columns=Columns(uri_column="link")
        )
        metadata = {
            "price": "7.10",
            "at": "2026-01-02T03:04:05+00:00",
            "day": "2026-01-02",
            "tags": ["a", "b"],
            "size": {"w": 1.0},
        }
        found = sources | beam.Map(lambda each: (each.uri, each.name, json.loads(each.metadata)))
        why = failures | beam.Map(lambda failed: failed[1].message)
        assert_that(found, equal_to([("https://host/a.jpg", None, metadata)]), "sources")
        bad = "bq://my-project.shop.photos: its `link` is {} and must be a URI or {} path"
        assert_that(
            why, equal_to([bad.format(None, "a"), bad.format("'b.jpg'", "an absolute")]), "failures"
        )
    assert service.asked == ["projects/my-project/datasets/shop/tables/photos"]


def test_rows_that_lack_a_column_fail_the_pipeline(service: Service) -> None:
    pipeline = beam.Pipeline()
    _ = pipeline | ReadSources(input=["bq://my-project.shop.photos"])
    with pytest.raises(Exception, match="none of its columns is called uri, url"):
        pipeline.run()


def test_what_is_asked_for() -> None:
    inputs = ["bq://my-project.d.t", "bq://SELECT url FROM `d.t` WHERE a = 'x@y'", "photos"]
    pipeline = beam.Pipeline()
    _ = pipeline | ReadSources(input=inputs)
    found = [
        part.transform.source
        for part in _transforms(pipeline)
        if isinstance(part.transform, beam.io.Read) and "BigQuery" in part.full_label
    ]
    table, query = found
    assert (table.table_reference.projectId, table.table_reference.tableId) == ("my-project", "t")
    assert (query.query.get(), query.use_legacy_sql) == (inputs[1][5:], False)
    assert pipeline.to_runner_api().components.transforms


def _transforms(pipeline: beam.Pipeline) -> List[Any]:
    found: List[Any] = []

    class Visitor(beam.pipeline.PipelineVisitor):
        def visit_transform(self, part: Any) -> None:
            found.append(part)

        def enter_composite_transform(self, part: Any) -> None:
            found.append(part)

    pipeline.visit(Visitor())
    return found


@pytest.mark.parametrize("uri", ["bq://table", "bq://d.t", "bq://", "bq://my-project.d.t/x"])
def test_what_is_neither_a_table_nor_a_query(
    uri: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(ValueError, match="neither a table nor a query"):
        bigquery.target(uri)
    assert cli.main(["run", "--model", "tiny", "--input", uri, "--output", str(tmp_path)]) == 2
    assert "bq://PROJECT.DATASET.TABLE or bq://SELECT ..." in capsys.readouterr().err


def test_a_run_over_a_table(service: Service, photos: Path, tmp_path: Path, tree: Any) -> None:
    service.rows = [row(str(photos / "a.jpg"))]
    arguments = [
        "--input",
        "bq://my-project.d.t",
        "--uri_column",
        "link",
        "--relative_to",
        str(photos),
    ]
    assert cli.main(["run", "--model", "tiny", *arguments, "--output", str(tmp_path / "out")]) == 0
    assert tree(tmp_path / "out") == ["a.jpg.png"]
