"""The table beside the pictures: Hugging Face's ImageFolder opens it, whatever was run before."""

import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, Callable, Dict, List

import datasets
import pyarrow.parquet
import pytest
from apache_beam import Create, Pipeline
from support import kinds

from rembg_beam.pipelines import cli
from rembg_beam.transforms import RemoveBackground, RemoveBackgrounds, Source
from rembg_beam.transforms.elements import Cutout, Facts, Part
from rembg_beam.transforms.folder import layout, manifest
from rembg_beam.transforms.models import catalogue
from rembg_beam.transforms.outcomes import RunColumns, written
from rembg_beam.transforms.outputs import metadata
from rembg_beam.transforms.outputs.options import DataSet

BOTH = "--outputs=cutout,mask"


@pytest.fixture
def go(rembg_home: Path, photos: Path, tmp_path: Path, capfd: Any) -> Callable[..., str]:
    """Runs a model over photos, each with columns of its own; what it says."""

    def go(columns: Dict[str, Any], *flags: str, model: str = "tiny", name: str = "") -> str:
        lines = [
            json.dumps({"uri": str(photos / photo), "name": name or photo, **own})
            for photo, own in columns.items()
        ]
        (tmp_path / "list").write_text("\n".join(lines))
        given = ["--input_list", str(tmp_path / "list"), "--output", str(tmp_path / "out")]
        capfd.readouterr()
        cli.main(["run", "--model", model, "--offline", *given, *flags])
        return "".join(capfd.readouterr())

    return go


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., Any]:
    """What ImageFolder makes of the folder: its features and rows, pictures decoded."""

    def load(streaming: bool = False, **more: Any) -> Any:
        found = datasets.load_dataset(
            "imagefolder",
            data_dir=str(tmp_path / "out"),
            split="train",
            streaming=streaming,
            cache_dir=str(tmp_path / "cache"),
            **more,
        )
        return found.features, list(found)

    return load


def table(output: Path) -> List[Dict[str, Any]]:
    rows: List[Dict[str, Any]] = pyarrow.parquet.read_table(output / "metadata.parquet").to_pylist()
    return rows


COLUMNS: Dict[str, Dict[str, Any]] = {
    "sub/b.JPEG": {"sku": 7, "price": 2, "caption": 'it\'s, "so"\nto say', "tags": ["x", "ü"]},
    "a.jpg": {"sku": 8, "price": 2.5, "caption": "", "tags": []},
    "text.jpg": {"sku": "failed pictures have no say", "left": 1},
    "cmyk.jpg": {"sku": None, "price": 1e-7, "caption": "日本", "on": True},
}


@pytest.mark.parametrize("streaming", [False, True])
def test_imagefolder_opens_it(go: Any, load: Any, streaming: bool) -> None:
    assert go(COLUMNS, BOTH).startswith("3 written, 0 skipped, 1 failed")
    features, rows = load(streaming)
    values = {name: feature.dtype for name, feature in features.items() if name != "tags"}
    assert values == {
        **{"image": "PIL.Image.Image", "mask": "PIL.Image.Image"},
        **{"caption": "string", "on": "bool", "price": "float64", "sku": "int64"},
    }
    assert features["tags"] == datasets.List(datasets.Value("string"))
    assert [(row["image"].mode, row["mask"].mode) for row in rows] == [("RGBA", "L")] * 3
    assert [row["image"].size for row in rows] == [row["mask"].size for row in rows]
    expected = [COLUMNS[name] for name in ("a.jpg", "cmyk.jpg", "sub/b.JPEG")]
    for row, own in zip(rows, expected, strict=True):
        for name in values.keys() - {"image", "mask"} | {"tags"}:
            assert row[name] == own.get(name), name


@pytest.mark.parametrize("streaming", [False, True])
def test_imagefolder_opens_csv(go: Any, load: Any, tmp_path: Path, streaming: bool) -> None:
    go(COLUMNS, BOTH, "--metadata=csv")
    assert not (tmp_path / "out/metadata.parquet").exists()
    features, rows = load(streaming)
    assert list(features)[:2] == ["image", "mask"]
    assert [row["image"].mode for row in rows] == ["RGBA"] * 3
    assert [row["caption"] for row in rows] == [None, "日本", COLUMNS["sub/b.JPEG"]["caption"]]
    assert [row["price"] for row in rows] == [2.5, 1e-7, 2.0]
    assert [row["tags"] for row in rows] == ["[]", None, '["x", "ü"]']


ODD = (
    *(
        "a b.jpg",
        "ü%20.jpg",
        "h#a?q=1&b.jpg",
        "[z]*.jpg",
        "q'\"o,te.jpg",
        "train/x.jpg",
        "dots..jpg",
    ),
    *(
        "test.jpg",
        "new\nline.jpg",
        "日本.jpg",
        "x://y.jpg",
        "p::q.jpg",
        "metadata.csv",
        "back\\s.jpg",
    ),
    *("a.jpg.mask", "_manifest/a.jpg", "mask", ".mask", "cutout.png"),
)


@pytest.mark.parametrize("streaming", [False, True])
def test_names_with_odd_characters(
    go: Any, load: Any, photos: Path, tmp_path: Path, streaming: bool
) -> None:
    """`data_files` for folders called train or test, of which ImageFolder makes splits."""
    lines = [{"uri": str(photos / "a.jpg"), "name": name, "named": name} for name in ODD]
    (tmp_path / "odd").write_text("\n".join(map(json.dumps, lines)))
    assert go({"a.jpg": {}}, BOTH, "--input_list", str(tmp_path / "odd")).startswith("20 written")
    _, rows = load(streaming, data_files="**")
    assert sorted(row["named"] for row in rows if row["named"]) == sorted(ODD)
    assert {row["mask"].mode for row in rows} == {"L"} and len(rows) == 20


def test_a_mask_alone_and_masks_of_extras(go: Any, load: Any, tmp_path: Path) -> None:
    go({"a.jpg": {}, "a.png": {"extras": {"outputs": ["cutout"]}}}, "--only_mask")
    assert table(tmp_path / "out") == [
        {"file_name": None, "mask_file_name": "a.jpg.png"},
        {"file_name": "a.png.png", "mask_file_name": None},
    ]
    go({"a.jpg": {}, "a.png": {}}, "--only_mask", "--on_existing=overwrite")
    assert table(tmp_path / "out") == [{"mask_file_name": f"a.{x}.png"} for x in ("jpg", "png")]
    features, rows = load()
    assert list(features) == ["mask"] and [row["mask"].mode for row in rows] == ["L", "L"]


def test_each_mask_of_a_model_is_a_row(go: Any, load: Any, tmp_path: Path) -> None:
    go({"a.jpg": {"sku": 1}}, BOTH, model=catalogue.CLOTH)
    pairs = [
        (row["file_name"], row["mask_file_name"], row["sku"]) for row in table(tmp_path / "out")
    ]
    names = ("upper", "lower", "full")
    assert pairs == [(f"a.jpg.{x}.cutout.png", f"a.jpg.{x}.mask.png", 1) for x in names]


def test_users_columns_are_never_taken_for_pictures(go: Any, load: Any, tmp_path: Path) -> None:
    own = {"file_name": "x.jpg", "thumb_file_name": 1, "file_names": [], "mask": 2, "mask_": 3}
    go({"a.jpg": {**own, "image": 4}})
    _, (row,) = load()
    assert row.pop("image").mode == "RGBA"
    assert row == {
        **{"file_name_": "x.jpg", "file_names_": "[]", "image_": 4, "mask_": 3, "mask__": 2},
        "thumb_file_name_": 1,
    }


def names(output: Path) -> List[str]:
    return [row["file_name"] for row in table(output)]


def test_it_tells_of_all_runs(go: Any, photos: Path, tmp_path: Path, load: Any) -> None:
    output = tmp_path / "out"
    go({"a.jpg": {"sku": 1}, "a.png": {"sku": 2}, "text.jpg": {"sku": 3}})
    assert names(output) == ["a.jpg.png", "a.png.png"]
    # Another run, over others: new columns, and what an earlier one said of the same picture.
    go({"a.jpg": {"sku": 9}, "cmyk.jpg": {"price": 1.5}})
    assert table(output) == [
        {"file_name": "a.jpg.png", "price": None, "sku": 9},
        {"file_name": "a.png.png", "price": None, "sku": 2},
        {"file_name": "cmyk.jpg.png", "price": 1.5, "sku": None},
    ]
    # A picture that failed, mended; an output that was removed, and one that is empty.
    (photos / "text.jpg").write_bytes(kinds.KINDS["RGB JPEG"]())
    (output / "a.png.png").unlink()
    (output / "cmyk.jpg.png").write_bytes(b"")
    assert cli.main(["run", "--model=tiny", "--retry_failed", "--output", str(output)]) == 0
    assert [(row["file_name"], row["sku"]) for row in table(output)] == [
        ("a.jpg.png", 9),
        ("text.jpg.png", 3),
    ]
    # One that an overwriting run failed at, whose older output is there.
    (photos / "text.jpg").write_bytes(b"harmed again")
    assert "1 failed" in go({"text.jpg": {}}, "--on_existing=overwrite")
    assert names(output) == ["a.jpg.png"]
    # What was refused changed nothing.
    assert "1 failed" in go({"a.jpg": {"sku": 5}}, "--on_existing=fail")
    assert [(row["file_name"], row["sku"]) for row in table(output)] == [("a.jpg.png", 9)]
    (output / "a.jpg.png").unlink()
    go({"text.jpg": {}})
    assert not (output / "metadata.parquet").exists()


def test_of_a_pair_that_is_not_whole_there_is_no_row(go: Any, tmp_path: Path) -> None:
    go({"a.jpg": {}, "a.png": {}}, BOTH)
    (tmp_path / "out/a.jpg.mask.png").unlink()
    go({"a.png": {}}, BOTH)
    assert names(tmp_path / "out") == ["a.png.cutout.png"]


@pytest.mark.long
def test_formats_replace_one_another_and_none_leaves_it(go: Any, tmp_path: Path, load: Any) -> None:
    output = tmp_path / "out"
    go({"a.jpg": {"sku": 1}})
    go({"a.jpg": {"sku": 2}}, "--metadata=csv")
    assert not (output / "metadata.parquet").exists()
    go({"a.jpg": {"sku": 3}}, "--metadata=none")
    assert (output / "metadata.csv").read_text() == "file_name,sku\na.jpg.png,2\n"
    go({"a.jpg": {"sku": 4}})
    assert not (output / "metadata.csv").exists()
    assert [row["sku"] for row in load()[1]] == [4]


OTHERS = [pytest.param(f"metadata.{kind}", marks=pytest.mark.long) for kind in ("jsonl", "parquet")]


@pytest.mark.parametrize("name", ["metadata.csv", *OTHERS])
def test_a_table_that_no_run_wrote_stays(
    go: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / name).write_text("a person's")
    for _ in range(2):
        caplog.clear()
        go({"a.jpg": {}})
        assert f"no metadata is written: '{tmp_path}/out/{name}' is there" in caplog.text
        assert [path.name for path in (tmp_path / "out").glob("metadata*")] == [name]
    assert (tmp_path / "out" / name).read_text() == "a person's"


@pytest.mark.long
def test_a_manifest_that_can_not_be_read_is_left_out(
    go: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    go({"a.jpg": {}, "a.png": {}})
    (path,) = (tmp_path / "out/_manifest").glob("run=*/*.parquet")
    path.write_bytes(b"garbled")
    assert "1 written" in go({"a.png": {}}, "--on_existing=overwrite")
    assert "its pictures are left out of the metadata: the manifest" in caplog.text
    assert names(tmp_path / "out") == ["a.png.png"]


def test_a_job_of_ones_own_writes_it_too(photos: Path, tmp_path: Path) -> None:
    remove = RemoveBackground(output=str(tmp_path / "out"), session="tiny", relative_to=str(photos))
    job = RemoveBackgrounds(remove=remove, dataset=DataSet(metadata="csv"))
    sources = [Source.of(str(photos / "a.jpg"), metadata={"sku": "a"}), str(photos / "a.png")]
    with Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | Create(sources) | job
    text = (tmp_path / "out/metadata.csv").read_text()
    assert text == "file_name,sku\na.jpg.png,a\na.png.png,\n"


@pytest.mark.long
def test_on_google_cloud_storage(
    emulator: Any, proxy: Any, encoded: Callable[..., bytes], photos: Path
) -> None:
    emulator.put("gs://b/in/x y.jpg", encoded("JPEG"))
    flags = ["run", "--model=tiny", "--input=gs://b/in", "--output=gs://b/out", BOTH]
    for _ in range(2):
        assert cli.main(flags) == 0
        data = emulator.tree("b", "out/")["metadata.parquet"]
        assert pyarrow.parquet.read_table(pyarrow.BufferReader(data)).to_pylist() == [
            {"file_name": "x y.jpg.cutout.png", "mask_file_name": "x y.jpg.mask.png"}
        ]
    assert cli.main([*flags, "--metadata=csv"]) == 0
    assert "metadata.parquet" not in emulator.tree("b", "out/")


# Of many pictures


def made(output: Path, number: int, size: int = 0) -> None:
    """A folder as a run of so many pictures leaves it, each with columns of so many bytes."""
    picture = output.with_suffix(".picture")
    picture.write_bytes(b"p")
    cutout = Cutout([Part("", b"")], "tiny", Facts())
    for folder in range(10):
        (output / str(folder)).mkdir(parents=True)
    for start in range(0, number, 2_000):
        rows = []
        for index in range(start, min(number, start + 2_000)):
            name = f"{index % 10}/{index:06}.jpg"
            path = output / f"{name}.png"
            os.link(picture, path)
            columns = {"sku": index, "text": f"{index:06}" + "t" * size}
            source = Source.of(name, name=name, metadata=columns)
            rows.append(written(source, cutout, [str(path)], RunColumns("tiny")))
        file = output / layout.run_folder("r") / f"part-{start:05}.parquet"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(manifest.pack(rows)[1])


WRITING = """
import sys
from rembg_beam.transforms.outputs import metadata
metadata.write(sys.argv[1], "parquet")
with open("/proc/self/status") as status:
    print(next(line.split()[1] for line in status if line.startswith("VmHWM")), flush=True)
while sys.argv[2:]:
    metadata.write(sys.argv[1], "parquet")
"""


@pytest.mark.long
def test_memory_stays_flat(tmp_path: Path) -> None:
    """Of 12,000 more pictures less than half of the 36 MB that their columns take is held."""
    # What several threads of Arrow's hold for each other differs by 30 MB from run to run.
    steady = {**os.environ, "OMP_NUM_THREADS": "1", "ARROW_IO_THREADS": "1"}
    steady |= {"ARROW_DEFAULT_MEMORY_POOL": "system", "MALLOC_ARENA_MAX": "1"}
    peaks = []
    for number in (8_000, 20_000):
        output = tmp_path / str(number)
        made(output, number, 3_000)
        command = [sys.executable, "-c", WRITING, str(output)]
        done = subprocess.run(command, env=steady, capture_output=True, text=True, check=True)
        peaks.append(int(done.stdout))
        rows = pyarrow.parquet.read_table(output / "metadata.parquet", columns=["sku"])
        assert rows["sku"].to_pylist() == sorted(range(number), key=lambda n: (n % 10, n))
    assert peaks[1] - peaks[0] < 18_000, peaks


@pytest.mark.long
def test_a_kill_leaves_the_former_or_a_whole_new_one(tmp_path: Path) -> None:
    made(tmp_path, 500)
    for kill in range(3):
        command = [sys.executable, "-c", WRITING, str(tmp_path), "again and again"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(random.Random(kill).uniform(0, 0.2))
        process.kill()
        process.wait()
        process.stdout.close()
        assert len(table(tmp_path)) == 500
    metadata.write(str(tmp_path), "parquet")
    assert sorted(os.listdir(tmp_path)) == [*map(str, range(10)), "_manifest", "metadata.parquet"]


@pytest.mark.parametrize("format", ["parquet", "csv"])
def test_half_of_a_character_is_written_as_its_escape(
    rembg_home: Path, photos: Path, tmp_path: Path, format: str
) -> None:
    """JSON may hold one; lists refuse it, pipelines of one's own may bring it."""
    held = json.dumps({"caption": "a \ud83d", "\ude00": 1})
    job = RemoveBackgrounds(
        remove=RemoveBackground(output=str(tmp_path / "out"), session="tiny"),
        dataset=DataSet(metadata=format),
    )
    with Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | Create([Source(str(photos / "a.jpg"), "a.jpg", "{}", held)]) | job
    if format == "parquet":
        (row,) = table(tmp_path / "out")
        assert row == {"file_name": "a.jpg.png", "\\ude00": 1, "caption": "a \\ud83d"}
    else:
        text = (tmp_path / "out" / "metadata.csv").read_text()
        assert text == "file_name,\\ude00,caption\na.jpg.png,1,a \\ud83d\n"
