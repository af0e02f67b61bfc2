"""Facts in data sets: what rows say of a picture, as loaders read it in samples and tables."""

import io
import json
import shutil
from pathlib import Path
from typing import Any, Callable, Dict, List

import datasets
import pandas
import pyarrow.dataset
import pyarrow.parquet
import pytest
import webdataset
from PIL import Image
from support import kinds

from rembg_beam.pipelines import cli
from rembg_beam.transforms import elements
from rembg_beam.transforms.outputs import facts, shards
from rembg_beam.transforms.sources import ours

EXAMPLES = Path(__file__).parents[1] / "examples"

ASKED = ["--facts=all", "--outputs=mask,crop64", "--margin=5%"]

# What samples have of their rows then, and of which types.
TOLD: Dict[str, Any] = {
    **{"suspect": "texts", "box": "ints", "area": "int", "centroid": "floats", "parts": "int"},
    **{"color": "text", "dhash": "text", "cutout_dhash": "text", "blur": "float"},
    **{"crop64_transform": "floats"},
}
IN_JSON = {"texts": str, "ints": list, "int": int, "floats": list, "text": str, "float": float}


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos, and first of all six in which nothing is found, from which loaders take types."""
    folder = tmp_path_factory.mktemp("pictures")
    for number in range(6):
        flat = Image.new("RGB", (40, 30), (number, 90, 90))
        (folder / f"0{number}.png").write_bytes(kinds.saved(flat, "PNG"))
    for name in ("astronaut.jpg", "coffee.jpg"):
        shutil.copy(EXAMPLES / name, folder / name)
    return folder


@pytest.fixture
def go(pictures: Path, tmp_path: Path, capfd: Any) -> Callable[..., str]:
    """Runs the command; what it says."""

    def go(*flags: str, format: str = "webdataset", fails: int = 0) -> str:
        capfd.readouterr()
        given = ["--input", str(pictures), "--output", str(tmp_path / "out"), "--offline"]
        own = ["--model=tiny", f"--output_format={format}"]
        status = cli.main(["run", *given, *own, *flags])
        said = "".join(capfd.readouterr())
        assert status == fails, said
        return said

    return go


def load(kind: str, tmp_path: Path, streaming: bool, **more: Any) -> Any:
    return datasets.load_dataset(
        kind, split="train", streaming=streaming, cache_dir=str(tmp_path / "cache"), **more
    )


def rows(output: Path) -> List[Dict[str, Any]]:
    """Of the last run."""
    data = pyarrow.dataset.dataset(output / "_manifest", partitioning="hive")
    every = data.to_table().to_pylist()
    return [row for row in every if row["run"] == max(row["run"] for row in every)]


def jsons(output: Path) -> Dict[str, Dict[str, Any]]:
    """The JSON members of all samples, by their keys."""
    names = sorted(str(path) for path in output.glob("*.tar"))
    found = webdataset.WebDataset(names, shardshuffle=False)
    return {sample["__key__"]: json.loads(sample["json"]) for sample in found}


def in_rows(output: Path) -> Dict[str, Dict[str, Any]]:
    return {Path(row["uri"]).name: row for row in rows(output)}


def check(about: Dict[str, Any], row: Dict[str, Any], nothing: bool) -> None:
    """A sample says what its row says; of nothing what stands for null where `nothing` does."""
    for name in ("box", "area", "centroid", "parts", "color", "dhash", "cutout_dhash", "blur"):
        empty = facts.none_of(name, TOLD[name]) if nothing else None
        assert about[name] == (empty if row[name] is None else row[name]), name
    assert about["crop64_transform"] == row["transform"][6:], "masks come first"
    assert row["transform"][:6] == [1, 0, 0, 0, 1, 0] and "mask_transform" not in about


def test_tars_say_what_rows_say(go: Any, pictures: Path, tmp_path: Path) -> None:
    go(*ASKED, "--samples_per_shard=3")
    told = in_rows(tmp_path / "out")
    names = sorted(str(path) for path in (tmp_path / "out").glob("*.tar"))
    found = list(webdataset.WebDataset(names, shardshuffle=False).decode("pil"))
    assert len(found) == len(told) == 8
    for sample in found:
        about, row = sample["json"], told[Path(sample["json"]["uri"]).name]
        assert {name: type(about[name]) for name in TOLD} == {
            name: IN_JSON[type] for name, type in TOLD.items()
        }
        check(about, row, nothing=True)
        assert json.loads(about["suspect"]) == row["suspect"]
    assert {tuple(about["json"]) for about in found} == {tuple(found[0]["json"])}
    assert found[0]["json"]["box"] == [0, 0, 0, 0] and found[0]["json"]["color"] == ""


def test_a_point_is_where_the_transform_says(go: Any, tmp_path: Path) -> None:
    """The box's corners, in the crop's pixels, are the crop without its margin."""
    go("--facts=box", "--outputs=crop", "--margin=0%", "--aspect=1:1")
    names = sorted(str(path) for path in (tmp_path / "out").glob("*.tar"))
    found = {each["__key__"]: each for each in webdataset.WebDataset(names, shardshuffle=False)}
    sample = next(iter(webdataset.WebDataset(names, shardshuffle=False).decode("pil")))
    assert sample["json"]["name"] == "00.png"
    about = json.loads(found["astronaut"]["json"])
    sx, _, tx, _, sy, ty = about["crop_transform"]
    left, top, right, bottom = about["box"]
    crop = Image.open(io.BytesIO(found["astronaut"]["crop.png"]))
    alpha = crop.getchannel("A").point(lambda level: 255 * (level >= 128))
    corners = (sx * left + tx, sy * top + ty, sx * right + tx, sy * bottom + ty)
    placed = tuple(map(round, corners))
    assert alpha.getbbox() == placed


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_datasets_opens_shards(go: Any, tmp_path: Path, format: str, streaming: bool) -> None:
    go(*ASKED, format=format)
    suffix = "tar" if format == "webdataset" else format
    files = str(tmp_path / "out" / f"*.{suffix}")
    found = load(format, tmp_path, streaming, data_files=files)
    told = in_rows(tmp_path / "out")
    seen = list(found)
    assert len(seen) == len(told) == 8
    for sample in seen:
        about = sample["json"] if format == "webdataset" else sample
        row = told[Path(about["uri"]).name]
        check(about, row, nothing=format == "webdataset")
        suspect = about["suspect"]
        assert (json.loads(suspect) if isinstance(suspect, str) else suspect) == row["suspect"]
    if format == "parquet":
        assert found.features["box"] == datasets.List(datasets.Value("int64"))
        assert found.features["crop64_transform"] == datasets.List(datasets.Value("float64"))
        assert found.features["suspect"] == datasets.List(datasets.Value("string"))


@pytest.mark.parametrize("streaming", [False, True])
def test_imagefolder_has_them(go: Any, tmp_path: Path, streaming: bool) -> None:
    go(*ASKED, format="files")
    out = str(tmp_path / "out")
    found = load("imagefolder", tmp_path, streaming, data_dir=out)
    told = in_rows(tmp_path / "out")
    seen = list(found)
    assert len(seen) == 8
    table = pyarrow.parquet.read_table(tmp_path / "out/metadata.parquet")
    assert table.column_names[-11:] == ["foreground", *TOLD]
    for row, about in zip(sorted(told), seen, strict=True):
        check(about, told[row], nothing=False)
        assert about["suspect"] == told[row]["suspect"]
        assert about["foreground"] == told[row]["foreground"]


def test_a_csv_has_lists_as_json(go: Any, tmp_path: Path) -> None:
    go("--facts=box", "--metadata=csv", format="files")
    table = pandas.read_csv(tmp_path / "out/metadata.csv")
    assert list(table.columns) == ["file_name", "foreground", "suspect", "box"]
    told = in_rows(tmp_path / "out")
    for name, box in zip(sorted(told), table["box"], strict=True):
        assert (None if pandas.isna(box) else json.loads(box)) == told[name]["box"]


def test_nobody_asked(go: Any, tmp_path: Path) -> None:
    go(format="files")
    assert pyarrow.parquet.read_table(tmp_path / "out/metadata.parquet").column_names == [
        "file_name"
    ]
    shutil.rmtree(tmp_path / "out")
    go("--no_suspect")
    own = ["uri", "name", "width", "height", "foreground", "model", "model_checksum"]
    assert columns(tmp_path / "out") == own


def test_the_users_columns_win(go: Any, tmp_path: Path, pictures: Path) -> None:
    listed = tmp_path / "list.jsonl"
    line = {"uri": str(pictures / "astronaut.jpg"), "name": "a.jpg", "box": "theirs"}
    listed.write_text(json.dumps(line))
    given = ["--input_list", str(listed), "--output"]
    flags = ["run", "--model=tiny", "--offline", "--facts=box,area", *given]
    assert cli.main([*flags, str(tmp_path / "files")]) == 0
    (row,) = pyarrow.parquet.read_table(tmp_path / "files/metadata.parquet").to_pylist()
    assert cli.main([*flags, str(tmp_path / "out"), "--output_format=webdataset"]) == 0
    about = jsons(tmp_path / "out")["a"]
    assert row["box"] == about["box"] == "theirs" and row["area"] == about["area"] > 0


@pytest.mark.parametrize("format", ["webdataset", "parquet", "files"])
def test_what_a_run_said_is_not_the_users_in_the_next(
    tmp_path: Path, pictures: Path, format: str
) -> None:
    listed, first, second = tmp_path / "list.jsonl", tmp_path / "first", tmp_path / "second"
    line = {"uri": str(pictures / "astronaut.jpg"), "color": "theirs", "sku": 7}
    listed.write_text(json.dumps(line))
    flags = ["--model=tiny", "--offline", "--outputs=cutout,mask,crop64", "--output_format", format]
    given = ["run", *flags, "--input_list", str(listed), "--facts=box,area,color"]
    given += ["--keep_original"] * (format != "files")
    assert cli.main([*given, "--output", str(first)]) == 0
    (source,) = [*first.glob("*.tar"), *first.glob("*.parquet")]
    again = ["run", *flags, "--input", str(source), "--facts=box", "--margin=40%"]
    assert cli.main([*again, "--output", str(second)]) == 0
    (row,) = rows(second)
    carried = json.loads(row["metadata"])
    assert {name for name in carried if not name.endswith(".png")} == {"color", "sku"}
    if format == "webdataset":
        (about,) = jsons(second).values()
    else:
        (about,) = pyarrow.parquet.read_table(next(second.glob("*.parquet"))).to_pylist()
    assert about["color"] == "theirs" and about["sku"] == 7 and about["box"] == row["box"]
    assert about["crop64_transform"] == row["transform"][-6:]
    assert "area" not in about and not [name for name in about if name.endswith("_")]
    if format != "files":
        assert (about["uri"], about["name"]) == (row["uri"], row["name"])


def made_before(output: Path, monkeypatch: pytest.MonkeyPatch, go: Any, *flags: str) -> None:
    """A folder as it was made by a version whose samples had no facts."""
    with monkeypatch.context() as patch:
        patch.setattr("rembg_beam.transforms.outputs.plan.facts_of_run", lambda _: ())
        go(*flags)
    for shard in shards.done(str(output)):
        assert shard.facts == ()


def columns(output: Path) -> List[str]:
    found = {tuple(each) for each in jsons(output).values()}
    assert len(found) == 1, "samples of one set have the same keys"
    return list(found.pop())


def test_a_folder_made_before_goes_on(
    go: Any, tmp_path: Path, pictures: Path, monkeypatch: pytest.MonkeyPatch, caplog: Any
) -> None:
    output = tmp_path / "out"
    flags = ["--facts=box", "--samples_per_shard=3"]
    made_before(output, monkeypatch, go, *flags)
    assert go(*flags).startswith("0 written, 8 skipped") and "have no" not in caplog.text
    (output / "00001.tar").unlink()
    assert go(*flags).startswith("3 written, 5 skipped")
    assert "box" not in columns(output) and len(jsons(output)) == 8
    assert "have no box, suspect, since the run that made the first ones" in caplog.text
    assert all(row["box"] for row in rows(output) if row["area"])


def test_what_a_run_lacks_is_refused_where_samples_have_it(go: Any, tmp_path: Path) -> None:
    output = tmp_path / "out"
    go("--facts=box", "--samples_per_shard=3")
    assert go("--samples_per_shard=3").startswith("0 written, 8 skipped")
    (output / "00001.tar").unlink()
    said = go("--samples_per_shard=3", fails=1)
    assert "have box, which this run does not make: give it the settings" in said
    assert go("--facts=box,area", "--samples_per_shard=3").startswith("3 written, 5 skipped")
    assert "box" in columns(output) and "area" not in columns(output)


def test_every_fact_of_a_row_can_be_told() -> None:
    own = {"box", "area", "centroid", "parts", "color", "dhash", "cutout_dhash", "blur"}
    assert own == ours.FACTS.keys() - {"suspect", "cascade"}
    assert ours.FACTS.keys() | {"transform"} <= {*elements.Facts._fields}


def test_each_mask_of_a_model_has_its_transforms(
    rembg_home: Path, pictures: Path, tmp_path: Path
) -> None:
    """Which are the same: a picture's outputs stay on top of each other."""
    told = ["--outputs=cutout,crop64", "--facts=box,area", "--offline", "--model=u2net_cloth_seg"]
    given = ["run", "--input", str(pictures / "astronaut.jpg"), *told, "--output"]
    assert cli.main([*given, str(tmp_path / "files")]) == 0
    assert cli.main([*given, str(tmp_path / "out"), "--output_format=webdataset"]) == 0
    (row,), (about,) = rows(tmp_path / "files"), jsons(tmp_path / "out").values()
    sixes = [row["transform"][at : at + 6] for at in range(0, 36, 6)]
    assert sixes[::2] == [[1, 0, 0, 0, 1, 0]] * 3 and len(sixes) == 6
    names = [f"{part}_crop64_transform" for part in ("upper", "lower", "full")]
    assert [about[name] for name in names] == sixes[1::2]
    assert [name for name in about if name.endswith("_transform")] == sorted(names)
    table = pyarrow.parquet.read_table(tmp_path / "files/metadata.parquet").to_pylist()
    assert [each["crop64_transform"] for each in table] == sixes[1::2]
    assert [each["area"] for each in table] == [row["area"]] * 3


def test_a_pictures_own_crop(pictures: Path, tmp_path: Path) -> None:
    """Samples have the same keys, whichever pictures ask for it."""
    listed = tmp_path / "list.jsonl"
    photos = {"astronaut.jpg": {"outputs": ["crop"]}, "coffee.jpg": {}}
    lines = [{"uri": str(pictures / n), "name": n, "extras": own} for n, own in photos.items()]
    listed.write_text("\n".join(map(json.dumps, lines)))
    given = ["run", "--model=tiny", "--input_list", str(listed), "--output", str(tmp_path / "out")]
    assert cli.main([*given, "--output_format=webdataset"]) == 0
    told = {Path(row["uri"]).stem: row["transform"] for row in rows(tmp_path / "out")}
    assert told["coffee"] is None and len(told["astronaut"]) == 6
    found = {key: about["crop_transform"] for key, about in jsons(tmp_path / "out").items()}
    assert found == {"astronaut": told["astronaut"], "coffee": [0.0] * 6}
    assert "crop_transform" in columns(tmp_path / "out")
