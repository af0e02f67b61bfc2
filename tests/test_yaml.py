"""Beam YAML: the examples, what a config may say, and the rows that go in and come out."""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Dict

import apache_beam as beam
import pyarrow.dataset
import pytest
import yaml as pyyaml
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.utils.timestamp import Timestamp
from apache_beam.yaml import generate_yaml_docs, yaml_provider
from apache_beam.yaml import main as beam_yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rembg_beam import yaml
from rembg_beam.pipelines.settings import RunOptions
from rembg_beam.transforms import Outcome, Source
from rembg_beam.transforms.outputs.options import DataSet
from rembg_beam.transforms.setting import flat
from rembg_beam.yaml.rows import Rows

EXAMPLES = Path(__file__).resolve().parent.parent / "examples" / "yaml"


def execute(text: str) -> None:
    beam_yaml.run(["--yaml_pipeline", text, "--runner=FnApiRunner"])


def spec(config: Dict[str, Any], elements: Any = ("a.jpg",), **more: Any) -> str:
    """A pipeline of our own providers: elements, and `RemoveBackground` with a config."""
    transforms = [
        {"type": "Create", "config": {"elements": list(elements)}},
        {"type": "RemoveBackground", "input": "Create", "config": config},
    ]
    providers = [{"include": yaml.PROVIDERS}]
    return pyyaml.safe_dump(
        {"providers": providers, "pipeline": {"transforms": transforms}, **more}
    )


def run_example(name: str) -> None:
    beam_yaml.run(["--yaml_pipeline_file", f"examples/yaml/{name}", "--runner=FnApiRunner"])


def test_every_example_is_executed() -> None:
    tested = {"table.yaml", "folder.yaml", "job.yaml", "uris.yaml"}
    assert {path.name for path in EXAMPLES.glob("*.yaml")} == tested


def test_a_csv_becomes_cutouts_rows_and_failures(workplace: Path, tree: Any) -> None:
    run_example("table.yaml")
    assert tree("cutouts/examples") == ["animals/chelsea.png.webp", "astronaut.jpg.webp"]
    (shop,) = Path("cutouts").glob("shop.json-*")
    rows = sorted(map(json.loads, shop.read_text().splitlines()), key=lambda row: row["sku"])
    assert [(row["sku"], row["price"]) for row in rows] == [(7, 19.5), (8, None)]
    assert rows[1]["outputs"] == ["cutouts/examples/animals/chelsea.png.webp"]
    (failed,) = Path("cutouts").glob("failed.csv-*")
    head, line = failed.read_text().splitlines()
    assert head == "uri,step,error,message"
    assert line.startswith("examples/not-there.jpg,read,FileNotFoundError,")
    manifest = pyarrow.dataset.dataset("cutouts/_manifest", partitioning="hive").to_table()
    told = zip(manifest["status"].to_pylist(), manifest["metadata"].to_pylist())
    assert sorted(told) == [
        ("failed", '{"price": 3.2, "sku": 9}'),
        ("written", '{"price": 19.5, "sku": 7}'),
        ("written", '{"price": null, "sku": 8}'),
    ]


@pytest.mark.long
def test_a_folder_becomes_masks(workplace: Path, tree: Any) -> None:
    run_example("folder.yaml")
    assert tree("masks") == [
        *("animals/chelsea.png.png", "astronaut.jpg.png"),
        *("coffee.jpg.png", "rocket.jpg.png"),
    ]


@pytest.mark.long
def test_a_job_leaves_out_what_is_done(workplace: Path, caplog: Any) -> None:
    for status in ("written", "skipped"):
        caplog.clear()
        with caplog.at_level("INFO"):
            run_example("job.yaml")
        rows = [json.loads(text) for text in caplog.messages if text.startswith('{"uri"')]
        assert [row["status"] for row in rows] == [status] * 4


def test_uris_become_cutouts(workplace: Path, tree: Any) -> None:
    run_example("uris.yaml")
    assert tree("cutouts") == ["examples/coffee.jpg.png", "examples/rocket.jpg.png"]


def test_the_snippets_of_the_docs_run(workplace: Path, tree: Any) -> None:
    """The first is a pipeline, the second a transform of one."""
    page = EXAMPLES.parents[1] / "docs" / "yaml.md"
    pipeline, transform = re.findall(r"```yaml\n(.*?)```", page.read_text(), re.DOTALL)
    execute(pipeline)
    assert tree("cutouts/examples") == ["animals/chelsea.png.png", "astronaut.jpg.png"]
    (transform,) = pyyaml.safe_load(transform)
    assert yaml.RemoveBackground(**transform["config"])._failures == "failures"


def test_the_provider_file_names_every_transform() -> None:
    (provider,) = pyyaml.safe_load(Path(yaml.PROVIDERS).read_text())
    names = [name for name in yaml.__all__ if name != "PROVIDERS"]
    assert provider["transforms"] == {name: f"rembg_beam.yaml.{name}" for name in names}


@pytest.mark.parametrize("package", ["jinja2", "jsonschema"])
def test_what_beam_yaml_lacks_is_named_with_the_command_that_installs_it(package: str) -> None:
    code = (
        f"import runpy, sys; sys.modules[{package!r}] = None; "
        "runpy.run_module('rembg_beam.yaml', run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 1
    assert package in done.stderr and "pip install 'rembg-beam[yaml]'" in done.stderr
    assert "Traceback" not in done.stderr


NAMES = [name for name in yaml.__all__ if name != "PROVIDERS"]


@pytest.mark.parametrize("name", NAMES)
def test_beams_generator_documents_every_setting(name: str) -> None:
    provider = yaml_provider.as_provider(name, getattr(yaml, name))
    page = generate_yaml_docs.transform_docs(name, [name], {name: [provider]})
    module = sys.modules[getattr(yaml, name).__module__]
    for key, each in module.SETTINGS.items():
        assert f"**{key}** `" in page
        assert each.help in page
    fields = {field.name: field.type for field in provider.config_schema(name).fields}
    assert ("error_handling" in fields) == (name in ("ReadSources", "RemoveBackground"))
    assert "Row fields" in page if "error_handling" in fields else True


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"model": "tiny"}, "RemoveBackground needs output: the folder for the cutouts"),
        ({"output": "out"}, "RemoveBackground needs model: one of u2net, "),
        (
            {"session": {"model": "tiny"}},
            "session is no setting of RemoveBackground; .* by itself: model, provider, ",
        ),
        ({"options": {"only_mask": True}}, "options is no setting .* by itself: only_mask, "),
        ({"only_masks": True}, "only_masks is no setting .*; did you mean only_mask?"),
        ({"model": "tyni"}, "tyni.*tiny"),
        ({"max_bytes": "many"}, "max_bytes: 'many' must be a number of bytes, such as"),
        ({"only_mask": "yes"}, "only_mask: 'yes' must be true or false"),
        ({"format": "gif"}, "format: 'gif' must be one of png, webp, jpeg"),
        ({"quality": 90}, "quality belongs to jpeg and lossy webp"),
        ({"only_mask": True, "bgcolor": "white"}, "only_mask with bgcolor makes no sense"),
        ({"cloth_category": "hat"}, "cloth_category: 'hat' must be one of upper, lower, full"),
        ({"error_handling": {"output": "good"}}, "with any name but good"),
        ({"error_handling": {"tag": "bad"}}, "must be a mapping, output: NAME"),
        ({"output": "https://host/out"}, "can't be written to"),
        ({"uri_column": 7.5, "max_pixels": 0}, "max_pixels=0 must be a positive integer"),
    ],
)
def test_a_wrong_config_is_refused_in_our_words(config: Dict[str, Any], message: str) -> None:
    defaults = {"output": "out", "model": "tiny"}
    given = config if "needs" in message else {**defaults, **config}
    with pytest.raises(ValueError, match=message):
        yaml.RemoveBackground(**given)


def test_what_is_for_python_says_so_in_a_pipeline_of_yaml() -> None:
    providers = [{"type": "python", "config": {}, "transforms": {"RemoveBackground": _FOR_PYTHON}}]
    text = spec({"output": "out", "session": {"model": "tiny"}}, providers=providers)
    refusal = r"session=.*model.*tiny.* must be SessionConfig.*rembg_beam\.yaml\.RemoveBackground"
    with pytest.raises(ValueError, match=refusal):
        execute(text)


_FOR_PYTHON = "rembg_beam.transforms.RemoveBackground"


def test_a_job_says_where_its_failures_are() -> None:
    with pytest.raises(
        ValueError, match=r"error_handling is no setting .*; failures are rows, with"
    ):
        yaml.RemoveBackgrounds(output="out", model="tiny", error_handling={"output": "failures"})


def test_beam_yaml_shows_our_words_with_the_line() -> None:
    with pytest.raises(ValueError, match=r'"RemoveBackground" at line .*: session is no setting'):
        execute(spec({"output": "out", "session": {"model": "tiny"}}))


PROMPT = [{"type": "point", "data": [1, 2], "label": 1}]


def test_values_may_be_written_as_in_a_settings_file() -> None:
    remove = yaml.RemoveBackground(
        output="out",
        model="u2net_cloth_seg",
        provider=[{"CUDA": {"device_id": 1}}, "CPU"],
        session_option={"intra_op_num_threads": 2},
        max_bytes="2MB",
        bgcolor="#ff0000",
        cloth_category="upper",
        extras={"sam_prompt": PROMPT},
        allow_private_hosts="10.0.0.0/8",
        quality=None,
    )._remove
    cuda, cpu = remove.config.provider
    assert cuda == ("CUDAExecutionProvider", (("device_id", 1),)) and cpu[0].startswith("CPU")
    assert dict(remove.config.session_option) == {"intra_op_num_threads": 2}
    assert (remove.max_bytes, remove.options.bgcolor) == (2_000_000, (255, 0, 0, 255))
    assert remove.options.extras == {"sam_prompt": PROMPT, "cloth_category": "upper"}
    assert remove.web_options.allow_private_hosts == ("10.0.0.0/8",)


def test_rows_of_other_languages_are_mappings_too() -> None:
    remove = yaml.RemoveBackground(
        output="out",
        model="tiny",
        session_option=beam.Row(intra_op_num_threads=2),
        provider=("CPU",),
    )._remove
    assert dict(remove.config.session_option) == {"intra_op_num_threads": 2}


def test_every_option_of_the_command_but_its_own_is_a_setting_here() -> None:
    """Those say how the command ends, and what it tells meanwhile."""
    from rembg_beam.yaml import job, read, remove

    left_out = {"max_failures", "progress", "metrics_port"}
    assert set(flat(RunOptions)) - set(job.SETTINGS) == left_out
    own = {"on_existing", "retry_failed", "watch", "window", *flat(DataSet)}
    assert set(job.SETTINGS) == own | set(read.SETTINGS) - {"exclude"} | set(remove.SETTINGS)


def _kinds(**kinds: Any) -> RowTypeConstraint:
    return RowTypeConstraint.from_fields(list(kinds.items()))


@pytest.mark.parametrize(
    ("kinds", "message"),
    [
        ({"a": str, "b": int}, "none of its columns is called uri, url, .*it has a, b"),
        ({"uri": str, "status": str, "width": int}, "called as an outcome's: status, width"),
    ],
)
def test_columns_that_can_not_be_are_refused_while_the_pipeline_is_built(
    kinds: Dict[str, Any], message: str
) -> None:
    create = beam.Create([beam.Row(**{name: kind() for name, kind in kinds.items()})])
    with pytest.raises(ValueError, match=message):
        _ = beam.Pipeline() | create | yaml.RemoveBackground(output="out", model="tiny")


@pytest.mark.parametrize(
    ("kept", "message"),
    [
        ("statsu", "statsu is no column of the rows; did you mean status?"),
        ("file", "the input's file comes out as uri"),
    ],
)
def test_columns_that_can_not_be_kept_are_refused(kept: str, message: str) -> None:
    config = {"output": "out", "model": "tiny", "uri_column": "file", "keep_columns": [kept]}
    create = beam.Create([beam.Row(file="a.jpg", sku=7)])
    with pytest.raises(ValueError, match=re.escape(f"keep_columns: {message}")):
        _ = beam.Pipeline() | create | yaml.RemoveBackground(**config)


VALUES: Dict[str, Any] = {
    **{"text": "é", "number": 1.5, "whole": 2**40, "flag": True, "packed": b"\x00\xff"},
    **{"several": ["a", "b"], "inner": beam.Row(x=1, y="z"), "when": Timestamp(1_700_000_000)},
    "mapping": {"k": 3},
}


def test_columns_come_out_as_they_went_in(photos: Path, tmp_path: Path, run: Any) -> None:
    elements = [beam.Row(path=str(photos / name), **VALUES) for name in ("a.jpg", "text.jpg")]
    remove = yaml.RemoveBackground(output=str(tmp_path / "out"), model="tiny")
    rows = {Path(row.uri).name: row for row in run(elements, remove)}
    assert {name: row.status for name, row in rows.items()} == {
        "a.jpg": "written",
        "text.jpg": "failed",
    }
    for row in rows.values():
        assert list(row._asdict()) == [*Outcome._fields, *VALUES]
        theirs = {name: getattr(row, name) for name in VALUES}
        inner = theirs.pop("inner")
        assert theirs == {name: VALUES[name] for name in theirs} and (inner.x, inner.y) == (1, "z")
        told = json.loads(row.metadata)
        assert told["several"] == ["a", "b"] and told["inner"] == {"x": 1, "y": "z"}
        assert told["when"] == "2023-11-14T22:13:20Z"
        assert told["packed"] == "AP8=" and "path" not in told


TYPES = [str, int, float, bool, bytes]
TYPED = st.lists(
    st.sampled_from(TYPES).flatmap(
        lambda kind: st.tuples(st.just(kind), st.none() | st.from_type(kind))
    ),
    max_size=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(TYPED, st.none() | st.text(max_size=8))
def test_a_row_of_any_values_gives_one_of_the_same(typed: Any, uri: Any) -> None:
    """Without the steps in between: a source or a failure, and the row that its outcome becomes."""
    from typing import Optional

    from rembg_beam.transforms.elements import Failure
    from rembg_beam.transforms.outcomes import RunColumns, failed
    from rembg_beam.transforms.sources.columns import Columns

    kinds = {f"c{i}": Optional[kind] for i, (kind, _) in enumerate(typed)}
    values = {f"c{i}": value for i, (_, value) in enumerate(typed)}
    for name, value in values.items():
        if kinds[name] == Optional[int] and value is not None:
            values[name] = max(min(value, 2**63 - 1), -(2**63))
    rows = Rows.of(_kinds(uri=Optional[str], **kinds), Columns())
    element = beam.Row(uri=uri, **values)
    (found,) = rows.taken(element)
    is_bad = isinstance(found, beam.pvalue.TaggedOutput)
    assert is_bad == (uri is None or not uri.strip())
    source = found.value[0] if is_bad else found
    outcome = failed(source, Failure("read", "E", "m"), RunColumns("tiny"))
    row = rows.row(outcome)
    assert [repr(getattr(row, name)) for name in values] == [repr(v) for v in values.values()]
    assert json.loads(row.metadata).keys() == values.keys()
    bad = rows.failed_row(outcome)
    assert (bad.element.uri, bad.msg, bad.uri) == (uri, "E: m", source.uri)


@pytest.mark.parametrize("how", ["texts", "lone column", "uri_column", "sources"])
def test_elements_that_name_a_picture(
    how: str, photos: Path, tmp_path: Path, run: Any, tree: Any
) -> None:
    uri = str(photos / "a.jpg")
    element: Any = {
        "texts": uri,
        "lone column": beam.Row(element=uri),
        "uri_column": beam.Row(file=uri, sku=7),
        "sources": Source.of(uri, name="own/name", metadata={"sku": 7}),
    }[how]
    more = {"uri_column": "file"} if how == "uri_column" else {}
    config = {"output": str(tmp_path / "out"), "model": "tiny", "relative_to": str(photos), **more}
    (row,) = run([element], yaml.RemoveBackground(**config))
    assert (row.status, row.uri) == ("written", uri)
    assert tree(tmp_path / "out") == ["own/name.png" if how == "sources" else "a.jpg.png"]
    told = {"lone column": "{}", "texts": "{}"}.get(how, '{"sku": 7}')
    assert row.metadata == told and getattr(row, "sku", None) == (
        7 if how == "uri_column" else None
    )


def test_a_rows_own_name_and_extras(photos: Path, tmp_path: Path, run: Any, tree: Any) -> None:
    row = beam.Row(uri=str(photos / "a.jpg"), called="x/y", extras='{"only_mask": true}')
    config = {"output": str(tmp_path / "out"), "model": "tiny", "name_column": "called"}
    (outcome,) = run([row], yaml.RemoveBackground(**config))
    assert (outcome.name, json.loads(outcome.extras)) == ("x/y", {"only_mask": True})
    assert tree(tmp_path / "out") == ["x/y.png"]


@pytest.mark.parametrize(
    ("columns", "error"),
    [
        ({"extras": '{"only_mask": tru}'}, "its `extras` is no JSON object"),
        ({"called": ["x"]}, "its `called` is ['x'] and must be a text"),
    ],
)
def test_a_row_that_is_wrong_elsewhere_still_names_its_picture(
    columns: Dict[str, Any], error: str, tmp_path: Path, run: Any
) -> None:
    row = beam.Row(uri="https://me:secret@host/a.jpg", **{"called": "x", **columns})
    config = {"output": str(tmp_path / "out"), "model": "tiny", "name_column": "called"}
    (outcome,) = run([row], yaml.RemoveBackground(**config))
    assert (outcome.uri, outcome.error) == ("https://***@host/a.jpg", "BadLine")
    assert error in outcome.message


def test_columns_that_are_kept_come_out_alone(photos: Path, tmp_path: Path) -> None:
    keep = {"keep_columns": ["sku", "status"], "error_handling": {"output": "bad"}}
    remove = yaml.RemoveBackground(output=str(tmp_path / "out"), model="tiny", **keep)
    rows = [beam.Row(uri=str(photos / name), sku=i) for i, name in enumerate(["a.jpg", "text.jpg"])]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        parts = pipeline | beam.Create(rows) | remove
        good, bad = (list(dict(part.element_type._fields)) for part in parts.values())
        assert (good, bad) == (["sku", "status"], ["element", "msg", "stack", "status"])
        told = parts["good"] | "Good" >> beam.Map(lambda row: tuple(row.as_dict().items()))
        assert_that(told, equal_to([(("sku", 0), ("status", "written"))]), "Those written")
        failed = parts["bad"] | "Bad" >> beam.Map(lambda row: (row.element.sku, row.status))
        assert_that(failed, equal_to([(1, "failed")]), "Those that failed")


def test_failures_leave_with_their_rows_and_nothing_is_lost(
    photos: Path, tmp_path: Path, run: Any
) -> None:
    remove = yaml.RemoveBackground(
        output=str(tmp_path / "out"), model="tiny", error_handling={"output": "bad"}
    )

    class Both(beam.PTransform):
        def expand(self, pictures: Any) -> Any:
            parts = pictures | remove
            assert list(parts) == ["good", "bad"]
            return [
                parts[name] | name >> beam.Map(lambda row, name: (name, row), name)
                for name in parts
            ] | beam.Flatten()

    names = ["a.jpg", "text.jpg", "absent.jpg", None]
    elements = [beam.Row(uri=name and str(photos / name), sku=i) for i, name in enumerate(names)]
    found = run(elements, Both())
    good = [row for part, row in found if part == "good"]
    bad = {row.element.sku: row for part, row in found if part == "bad"}
    assert [(row.status, row.sku) for row in good] == [("written", 0)]
    assert {sku: row.error for sku, row in bad.items()} == {
        1: "NotAPicture",
        2: "FileNotFoundError",
        3: "BadLine",
    }
    for row in bad.values():
        assert row.msg == f"{row.error}: {row.message}" and row.stack == ""
        assert json.loads(row.metadata) == {"sku": row.element.sku}


def test_a_manifest_takes_whole_rows_alone(run: Any) -> None:
    with pytest.raises(ValueError, match="the input lacks the columns schema_version, name, "):
        run([beam.Row(uri="a", status="written")], yaml.WriteManifest(output="out"))
    with pytest.raises(ValueError, match="rows_per_file=0 must be a positive integer"):
        yaml.WriteManifest(output="out", rows_per_file=0)


@pytest.fixture
def table(tmp_path: Path, photos: Path) -> Path:
    path = tmp_path / "table.csv"
    path.write_text("uri,sku\nphotos/a.jpg,7\n,8\n")
    return path


def test_a_job_takes_pictures_too_and_loses_no_column(
    photos: Path, tmp_path: Path, run: Any
) -> None:
    config = {"output": str(tmp_path / "out"), "model": "tiny"}
    uri, metadata = str(photos / "a.jpg"), '{"sku": 7}'
    row = beam.Row(uri=uri, name="x/y", metadata=metadata)
    (outcome,) = run([row], yaml.RemoveBackgrounds(**config))
    assert (outcome.uri, outcome.name, outcome.metadata) == (uri, "x/y", metadata)
    with pytest.raises(ValueError, match="no place for the input's columns sku: put them into"):
        _ = (
            beam.Pipeline()
            | beam.Create([beam.Row(uri=uri, sku=7)])
            | yaml.RemoveBackgrounds(**config)
        )


def test_read_sources_fails_for_what_names_no_picture(table: Path) -> None:
    pipeline = beam.Pipeline(runner="FnApiRunner")
    _ = pipeline | yaml.ReadSources(input=[str(table)])
    with pytest.raises(Exception, match=r"line 3.*error_handling takes it"):
        pipeline.run()


@pytest.mark.long
def test_read_sources_gives_what_names_no_picture_to_error_handling(
    table: Path, tmp_path: Path
) -> None:
    text = pyyaml.safe_dump(
        {
            "providers": [{"include": yaml.PROVIDERS}],
            "pipeline": {
                "transforms": [
                    {
                        "type": "ReadSources",
                        "config": {"input": [str(table)], "error_handling": {"output": "bad"}},
                    },
                    {
                        "type": "RemoveBackground",
                        "input": "ReadSources",
                        "config": {"output": str(tmp_path / "out"), "model": "tiny"},
                    },
                    {
                        "type": "AssertEqual",
                        "name": "One is written",
                        "input": "Statuses",
                        "config": {"elements": [{"status": "written", "metadata": '{"sku": "7"}'}]},
                    },
                    {
                        "type": "MapToFields",
                        "name": "Statuses",
                        "input": "RemoveBackground",
                        "config": {"fields": {"status": "status", "metadata": "metadata"}},
                    },
                    {
                        "type": "MapToFields",
                        "name": "Messages",
                        "input": "ReadSources.bad",
                        "config": {
                            "language": "python",
                            "fields": {"is_bad": "msg.startswith('BadLine: ')"},
                        },
                    },
                    {
                        "type": "AssertEqual",
                        "name": "One is none",
                        "input": "Messages",
                        "config": {"elements": [{"is_bad": True}]},
                    },
                ]
            },
        }
    )
    execute(text)
