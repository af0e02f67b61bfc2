"""Several outputs per picture: names that never meet, each as if alone, all or none done."""

import io
import json
import re
import tarfile
from pathlib import Path
from typing import Any, Callable, Dict, List

import pyarrow.parquet
import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support import kinds
from support.options import OPTIONS

from rembg_beam.pipelines import cli, values
from rembg_beam.pipelines.settings import SETTINGS
from rembg_beam.testing import FakeModel
from rembg_beam.transforms import (
    CutOut,
    Encoding,
    Engine,
    Output,
    Part,
    RemoveBackground,
    RemoveOptions,
    SessionConfig,
)
from rembg_beam.transforms.folder import record
from rembg_beam.transforms.models import catalogue
from rembg_beam.transforms.outputs.parts import in_shard
from rembg_beam.transforms.outputs.samples import own_members
from rembg_beam.transforms.pictures import requested, shown
from rembg_beam.transforms.pictures.encode import FORMATS
from rembg_beam.transforms.pictures.postprocessing import check_outputs
from rembg_beam.transforms.pictures.requested import SHOWS
from rembg_beam.transforms.setting import changed, settings_of
from rembg_beam.transforms.sources.suffixes import PICTURE_SUFFIXES

# Names

LOSSY = ("jpeg", "avif")

OUTPUTS = st.builds(
    lambda shows, resize, format, suffix, is_lossy: Output(
        shows,
        resize=resize,
        format="webp" if is_lossy else format,
        suffix=suffix,
        quality=50 if is_lossy else None,
    ),
    st.sampled_from(sorted(SHOWS)),
    st.none() | st.integers(1, 12),
    st.none() | st.sampled_from(sorted(FORMATS)),
    st.none() | st.sampled_from(["thumb", "mask", "cutout1", "x-1"]),
    st.booleans(),
).filter(lambda each: each.shows != "trimap" or not (each.quality or each.format in LOSSY))
NAMES = st.builds("{}{}{}".format, st.sampled_from(sorted(SHOWS)), *[st.just(""), st.just(".webp")])
MASKS = st.sampled_from([(), ("upper", "lower", "full")])


def _is_refused(outputs: Any) -> bool:
    """The slow twin: whether any two that differ have one name."""
    return any(a != b and a.name == b.name for a in outputs for b in outputs)


@settings(max_examples=300)
@given(st.lists(OUTPUTS | NAMES, min_size=1, max_size=5), MASKS)
def test_no_two_outputs_have_one_name(outputs: List[Any], masks: Any) -> None:
    records = [requested.in_order([each])[0] for each in outputs]
    if _is_refused(records):
        with pytest.raises(ValueError, match="which would have one name: give one a suffix"):
            RemoveOptions(outputs=tuple(outputs))
        return
    options = RemoveOptions(outputs=tuple(outputs))
    assert set(options.requested()) == set(records)
    assert options == RemoveOptions(outputs=tuple(reversed(outputs)))
    made = shown.ends(options, Encoding(), masks)
    files = [str(end) for end in made]
    assert len(set(files)) == len(files) == len(set(records)) * (len(masks) or 1)
    assert not any(Path(end.part).suffix in PICTURE_SUFFIXES for end in made)
    # No file's name is the end of another's, so two pictures never share one either.
    assert not any(a != b and a.endswith(b) for a in files for b in files)
    parts = [in_shard(end.part, "{}", options) for end in made]
    assert len({part.replace(".", "_") for part in parts}) == len(parts)
    members = own_members([part + end.suffix for part, end in zip(parts, made)], ".jpg")
    assert len({member.lower() for member in members}) == len(files) + 2


@pytest.mark.parametrize("suffix", sorted(PICTURE_SUFFIXES))
def test_no_output_is_called_as_a_picture_may_end(suffix: str) -> None:
    with pytest.raises(ValueError, match=f"suffix='{suffix[1:]}' of an output must be"):
        Output("cutout", suffix=suffix[1:])


@settings(max_examples=100)
@given(st.lists(OUTPUTS | NAMES, min_size=1, max_size=3))
def test_what_a_folder_remembers_says_all(outputs: List[Any]) -> None:
    try:
        options = RemoveOptions(outputs=tuple(outputs))
    except ValueError:
        return
    said = json.loads(json.dumps(changed(options)))
    assert RemoveOptions(**said) == options
    if "outputs" in said:  # as a file, a flag and Beam YAML have it
        each = SETTINGS["outputs"]
        for given_as in (said["outputs"], json.dumps(said["outputs"])):
            found = values.checked(each, given_as)
            assert RemoveOptions(outputs=found).outputs == options.outputs


def test_an_output_has_all_that_an_encoding_has() -> None:
    assert set(settings_of(Encoding)) <= set(settings_of(Output))
    of_run = Encoding(format="webp", quality=70)
    assert Output("cutout").encoding(of_run) is of_run
    assert Output("mask", format="png").encoding(of_run) == Encoding()
    assert Output("mask", quality=9).encoding(of_run) == Encoding(format="webp", quality=9)
    assert Output("mask", lossless=True).encoding(of_run) == Encoding(format="webp", lossless=True)


@pytest.mark.parametrize(
    "outputs, message",
    [
        (["cutout", "masks"], "must be one or more of cutout, mask"),
        (["cutout0"], "must be one or more of cutout, mask"),
        (["cutout512.gif"], "must be one or more of cutout, mask"),
        ([{"shows": "cutout", "size": 9}], "has 'size', which no output has"),
        ([{"shows": "cutout", "sufix": "a"}], "did you mean 'suffix'?"),
        ([{"resize": 9}], "must say of each output what it shows"),
        ([{"shows": "cut"}], "has an output that can't be: shows='cut' must be one of cutout"),
        ([{"shows": "mask", "suffix": "A.b"}], "up to 32 lower-case letters"),
        ([{"shows": "mask", "suffix": "upper"}], "none of attire"),
        ([{"shows": "mask", "suffix": "jpg"}], "none of attire"),
        ([{"shows": "mask", "resize": 0}], "resize=0 must be an integer from 1"),
        (["crop99999"], "has an output that can't be: resize=99999 must be an integer from 1"),
        (["cutout", {"shows": "cutout", "format": "webp"}], "two outputs called 'cutout'"),
        (["cutout", {"shows": "mask", "suffix": "cutout"}], "two outputs called 'cutout'"),
    ],
)
def test_outputs_that_are_none(outputs: Any, message: str) -> None:
    with pytest.raises(ValueError, match=r"outputs=\[.*" + message.replace("?", r"\?")):
        RemoveOptions(outputs=outputs)
    with pytest.raises(ValueError, match=message.replace("?", r"\?")):
        values.checked(SETTINGS["outputs"], outputs)


def test_options_of_the_cutout_are_refused_where_none_is_made() -> None:
    with pytest.raises(ValueError, match="outputs=mask,mask9 with putalpha makes no sense"):
        RemoveOptions(outputs=("mask", "mask9"), putalpha=True)
    assert RemoveOptions(outputs=("mask", "alpha"), putalpha=True).putalpha


def test_each_format_holds_what_it_is_to_show() -> None:
    check_outputs(RemoveOptions(outputs=("cutout", "mask.jpeg", "alpha.jpeg")), Encoding())
    with pytest.raises(ValueError, match="which the output 'cutout9' has"):
        check_outputs(RemoveOptions(outputs=("cutout", "cutout9.jpeg")), Encoding())
    with pytest.raises(ValueError, match="the output 'mask': quality belongs to jpeg"):
        check_outputs(RemoveOptions(outputs=(Output("mask", quality=3),)), Encoding())
    jpeg = Encoding(format="jpeg")
    check_outputs(RemoveOptions(outputs=("cutout.png", "mask")), jpeg)


def test_a_pictures_own_outputs_are_the_runs_by_name() -> None:
    run = RemoveOptions(outputs=("cutout", "cutout9.webp", Output("mask", suffix="m")))
    own = run.with_extras({"outputs": ["m", "cutout9"]})
    assert own.requested() == (
        Output("cutout", resize=9, format="webp"),
        Output("mask", suffix="m"),
    )
    assert run.with_extras({"outputs": ["alpha"]}).made() == ("alpha",)
    for wrong in (["cutout8"], [{"shows": "mask"}], [], "mask", [7]):
        with pytest.raises(ValueError, match="of a picture's own must be one or more of cutout"):
            run.with_extras({"outputs": wrong})


# Pixels

LIGHT = (
    *("none", "putalpha", "bgcolor", "bgcolor, putalpha", "bgcolor, post_process_mask"),
    *("decontaminate, bgcolor", "post_process_mask"),
)

EACH = (*SHOWS, "cutout24", "mask9.webp", Output("alpha", suffix="soft", png_compression=9))


@pytest.mark.parametrize(
    "model, kind, name",
    [
        *(("u2netp", "RGB JPEG", name) for name in LIGHT),
        *(("u2netp", kind, LIGHT[3]) for kind in ("RGBA", "L")),
        *((catalogue.CLOTH, "RGB JPEG", name) for name in LIGHT[2:4]),
    ],
)
def test_outputs_of_one_run_are_those_of_separate_runs(model: str, kind: str, name: str) -> None:
    data, own = kinds.KINDS[kind](), OPTIONS[name]

    def parts(outputs: Any, own: Any) -> List[Part]:
        options, fake = RemoveOptions(**own, outputs=outputs), FakeModel()
        with Engine(SessionConfig(model), options=options, opener=fake) as engine:
            made = engine.remove(data).parts
        assert len(fake.calls) == 1
        return list(made)

    alone = set()
    of_mask = {key: own[key] for key in own if key == "post_process_mask"}
    for output in requested.in_order(EACH):
        for part in parts((output,), own if SHOWS[output.shows].of_cutout else of_mask):
            mask = part.suffix.removesuffix(f".{output.name}")
            alone.add(part._replace(suffix=f"{mask}.{output.name}"))
    together = parts(EACH, own)
    assert {part.suffix for part in together} == {part.suffix for part in alone}
    assert [part.suffix for part in together if part not in alone] == []


def test_alpha_is_the_cutouts_opacity() -> None:
    options = RemoveOptions(outputs=("cutout", "alpha"), decontaminate=True)
    with Engine(SessionConfig("u2netp"), options=options, opener=FakeModel()) as engine:
        cutout, alpha = engine.remove(kinds.KINDS["RGB JPEG"]()).parts
    with Image.open(io.BytesIO(cutout.data)) as one, Image.open(io.BytesIO(alpha.data)) as other:
        assert other.mode == "L" and one.getchannel("A").tobytes() == other.tobytes()


def test_cut_out_gives_one_picture() -> None:
    with pytest.raises(ValueError, match="outputs=cutout,mask are 2 pictures of each, and CutOut"):
        CutOut(session="tiny", options=RemoveOptions(outputs=("cutout", "mask")))
    CutOut(session="tiny", options=RemoveOptions(outputs=("cutout512.webp",)))


# Folders

SEVERAL = "--outputs=cutout,mask,cutout24.webp,alpha"
FILES = [".alpha.png", ".cutout.png", ".cutout24.webp", ".mask.png"]


@pytest.fixture
def go(photos: Path, tmp_path: Path, capfd: Any) -> Callable[..., str]:
    """Runs the bundled model over some photos, each with what a line says; what it says first."""

    def go(*flags: str, **lines: Any) -> str:
        told = [
            json.dumps({"uri": str(photos / uri), "name": uri, **more})
            for uri, more in (lines or {"a.jpg": {}}).items()
        ]
        (tmp_path / "list").write_text("\n".join(told))
        given = ["--input_list", str(tmp_path / "list"), "--output", str(tmp_path / "out")]
        capfd.readouterr()
        cli.main(["run", "--model", "tiny", *given, *flags])
        out, err = capfd.readouterr()
        return str(out).partition(";")[0] or str(err)

    return go


def rows(tmp_path: Path) -> List[Dict[str, Any]]:
    """The last run's."""
    folder = max((tmp_path / "out/_manifest").glob("run=*"))
    return [row for part in folder.glob("*.parquet") for row in _table(part)]


def _table(path: Path) -> List[Dict[str, Any]]:
    return list(pyarrow.parquet.ParquetFile(path).read().to_pylist())


WRITTEN = "1 written, 0 skipped, 0 failed"
SKIPPED = "0 written, 1 skipped, 0 failed"


def test_all_are_there_or_made_again(go: Any, tmp_path: Path, tree: Any) -> None:
    assert go(SEVERAL) == WRITTEN
    whole = [f"a.jpg{end}" for end in FILES]
    assert tree(tmp_path / "out") == whole
    (row,) = rows(tmp_path)
    in_order = ["a.jpg.cutout.png", "a.jpg.cutout24.webp", "a.jpg.mask.png", "a.jpg.alpha.png"]
    assert [Path(uri).name for uri in row["outputs"]] == in_order
    with Image.open(row["outputs"][1]) as small:
        assert (small.format, small.mode, max(small.size)) == ("WEBP", "RGBA", 24)
    assert go("--outputs=alpha,cutout24.webp,mask,cutout") == SKIPPED
    for name in (whole[0], whole[2]):
        (tmp_path / "out" / name).unlink()
        assert go(SEVERAL) == WRITTEN and tree(tmp_path / "out") == whole
    assert go(SEVERAL, "--on_existing=fail") == "0 written, 0 skipped, 1 failed"
    assert "outputs was" in go("--outputs=cutout,mask,cutout25.webp,alpha")
    assert _table(tmp_path / "out/metadata.parquet") == [
        {
            "file_name": in_order[0],
            "mask_file_name": in_order[2],
            "alpha_file_name": in_order[3],
            "cutout24_file_name": in_order[1],
            "cutout24_transform": [0.375, 0.0, 0.0, 0.0, 0.375, 0.0],
        }
    ]


def test_a_file_says_the_same_and_a_picture_may_want_less(
    go: Any, tmp_path: Path, tree: Any
) -> None:
    (tmp_path / "c.yaml").write_text(
        "outputs: [mask, {shows: cutout, suffix: thumb, resize: 24, format: webp, quality: 50}]"
    )
    lines = {
        "a.jpg": {"thumb": "mine"},
        "a.png": {"extras": {"outputs": ["thumb"]}},
        "A.JPG": {"extras": {"outputs": ["alpha"]}},
    }
    config = f"--config={tmp_path / 'c.yaml'}"
    assert go(config, **lines) == "3 written, 0 skipped, 0 failed"
    names = ["A.JPG.png", "a.jpg.mask.png", "a.jpg.thumb.webp", "a.png.thumb.webp"]
    assert tree(tmp_path / "out") == names
    assert go(config, **lines) == "0 written, 3 skipped, 0 failed"
    (tmp_path / "out/a.png.thumb.webp").unlink()
    assert go(config, **lines) == "1 written, 2 skipped, 0 failed"
    table = _table(tmp_path / "out/metadata.parquet")
    assert [list(row.values()) for row in table] == [
        [None, "A.JPG.png", None, None, None],
        ["a.jpg.mask.png", None, "a.jpg.thumb.webp", [0.375, 0, 0, 0, 0.375, 0], "mine"],
        [None, None, "a.png.thumb.webp", [0.5, 0, 0, 0, 0.5, 0], None],
    ]
    names = ["mask_file_name", "alpha_file_name", "thumb_file_name", "thumb_transform", "thumb_"]
    assert list(table[0]) == names


@pytest.mark.parametrize("format", ["webdataset", "parquet"])
def test_samples_have_them_all(go: Any, tmp_path: Path, format: str) -> None:
    extras = {"a.jpg": {}, "a.png": {"extras": {"outputs": ["cutout24"]}}}
    flags = [SEVERAL, "--output_format", format]
    assert go(*flags, **extras) == "2 written, 0 skipped, 0 failed"
    assert go(*flags, **extras) == "0 written, 2 skipped, 0 failed"
    if format == "webdataset":
        with tarfile.open(tmp_path / "out/00000.tar") as tar:
            made = [name for name in tar.getnames() if not name.endswith(".json")]
        keys = sorted({name.partition(".")[0] for name in made})
        many, one = (
            [name.partition(".")[2] for name in made if name.startswith(key)] for key in keys
        )
        assert sorted([*many, *one]) == sorted([*(end[1:] for end in FILES), "cutout24.webp"])
    else:
        whole, part = _table(tmp_path / "out/00000.parquet")
        columns = ["mask", "alpha", "cutout", "cutout24"]
        assert list(whole)[:4] == columns
        assert whole["cutout24"]["path"].endswith(".cutout24.webp")
        assert [part[name] is None for name in columns] == [True, True, True, False]
        assert Image.open(io.BytesIO(part["cutout24"]["bytes"])).format == "WEBP"


def test_settings_of_a_folder_are_what_was_asked(tmp_path: Path) -> None:
    def told(*outputs: Any) -> Any:
        remove = RemoveBackground(
            output=str(tmp_path), session="tiny", options=RemoveOptions(outputs=outputs)
        )
        assert json.loads(remove.columns().options).get("outputs") == _said(remove)
        return _said(remove)

    def _said(remove: RemoveBackground) -> Any:
        return record.settings_of(remove).get("outputs")

    assert told(Output("mask"), "cutout") == ["cutout", "mask"]
    assert told("mask9.png", Output("cutout", quality=5, format="webp")) == [
        {"shows": "cutout", "format": "webp", "quality": 5},
        "mask9.png",
    ]


def test_the_documented_file_is_taken(root: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", (root / "docs/outputs.md").read_text(), re.DOTALL)
    found = values.checked(SETTINGS["outputs"], yaml.safe_load(text)["outputs"])
    thumb = Output("cutout", suffix="thumb", resize=256, format="webp", quality=80)
    assert RemoveOptions(outputs=found).requested() == (Output("cutout"), thumb)
