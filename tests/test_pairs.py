"""Cutout and mask from one run of the model: the bytes of two runs, named, resumed, checked."""

import itertools
import json
from pathlib import Path
from typing import Any, Callable, Dict, List

import pytest
from support import kinds, profiles, standins
from support.cutting import through, through_tiny
from support.options import OPTIONS, VITMATTE

from rembg_beam.pipelines import cli
from rembg_beam.transforms import Encoding, RemBGDoFn, RemoveBackground, RemoveOptions
from rembg_beam.transforms.folder import record
from rembg_beam.transforms.models import catalogue, opening
from rembg_beam.transforms.pictures.postprocessing import check_outputs

BOTH = ("cutout", "mask")

CUTOUTS = {name: each for name, each in {**OPTIONS, **VITMATTE}.items() if "only_mask" not in each}


def alone(options: Dict[str, Any]) -> Dict[str, Any]:
    """The options of the mask alone, as a run of its own would have them."""
    kept = {"post_process_mask", "stack_masks", "extras"}
    return {"only_mask": True, **{name: options[name] for name in kept & set(options)}}


ODD = ("RGBA", "L", "P, transparent", "JPEG turned 6")
FEW = ("none", "post_process_mask", "bgcolor, putalpha")


@pytest.mark.parametrize(
    "kind, name", [*(("RGB JPEG", name) for name in CUTOUTS), *itertools.product(ODD, FEW)]
)
def test_both_are_those_of_two_runs(home: Path, rembg_home: Path, kind: str, name: str) -> None:
    data, options = kinds.KINDS[kind](), CUTOUTS[name]
    encoding = Encoding(format="webp") if kind == "RGBA" else Encoding()
    parts = []
    for asked in ({**options, "outputs": BOTH}, options, alone(options)):
        dofn = RemBGDoFn(
            standins.config("u2netp", home), options=RemoveOptions(**asked), encoding=encoding
        )
        result = through(dofn, data)
        parts.append([(part.suffix, part.data) for part in result.parts])
    (both, (cutout,), (mask,)) = parts
    assert both == [(".cutout", cutout[1]), (".mask", mask[1])]


PROMPT = {"sam_prompt": [{"type": "point", "data": [9, 9], "label": 1}]}


@pytest.mark.parametrize(
    "name, options",
    [
        (catalogue.CLOTH, {}),
        (catalogue.CLOTH, {"stack_masks": True, "post_process_mask": True}),
        (catalogue.CLOTH, {"extras": {"cc": "lower"}, "post_process_mask": True}),
        (catalogue.SAM, {"extras": PROMPT, "post_process_mask": True}),
    ],
    ids=str,
)
def test_both_of_models_with_masks_of_their_own(
    home: Path, rembg_home: Path, name: str, options: Any
) -> None:
    runs: List[int] = []
    data = kinds.KINDS["RGB JPEG"]()

    def opener(config: Any) -> opening.Loaded:
        loaded = opening.open_session(config)
        predict = loaded.session.predict

        def counted(*arguments: Any, **more: Any) -> Any:
            runs.append(1)
            return predict(*arguments, **more)

        loaded.session.predict = counted
        return loaded

    def parts(**options: Any) -> Dict[str, bytes]:
        made = standins.config(name, home)
        dofn = RemBGDoFn(made, options=RemoveOptions(**options), opener=opener)
        return {part.suffix: part.data for part in through(dofn, data).parts}

    both = parts(**options, outputs=BOTH)
    assert len(runs) == 1
    expected: Dict[str, bytes] = {}
    masks = parts(**alone(options))
    for suffix, cutout in parts(**options).items():
        expected |= {f"{suffix}.cutout": cutout, f"{suffix}.mask": masks[suffix]}
    assert list(both.items()) == list(expected.items())


def test_a_mask_has_no_colours() -> None:
    """A grey picture's profile belongs to its cutout."""

    data = kinds.saved(kinds.rgb(8, 8, 1).convert("L"), "PNG", icc_profile=profiles.of_grey())
    cutout, mask = through_tiny(data, options=RemoveOptions(outputs=BOTH)).parts
    assert b"iCCP" not in mask.data
    assert cutout.data == through_tiny(data).parts[0].data


def test_the_mask_alone_is_only_mask(tmp_path: Path) -> None:
    mask = RemoveOptions(outputs=("mask",))
    assert mask == RemoveOptions(only_mask=True) == RemoveOptions(outputs=["mask"], only_mask=True)  # type: ignore[arg-type]
    assert mask.made() == ("mask",)
    assert RemoveOptions(outputs=("mask", "cutout", "mask")) == RemoveOptions(outputs=BOTH)

    def settings_of(**options: Any) -> Any:
        made = RemoveOptions(**options)
        remove = RemoveBackground(output=str(tmp_path), session="tiny", options=made)
        return record.settings_of(remove)

    plain = settings_of()
    assert "outputs" not in plain and settings_of(outputs=("cutout",)) == plain
    assert settings_of(outputs=("mask",)) == {**plain, "only_mask": True}
    assert settings_of(outputs=BOTH) == {**plain, "outputs": ["cutout", "mask"]}


@pytest.mark.parametrize(
    "options, message",
    [
        ({"outputs": ()}, r"outputs=\(\) must be one or more of cutout, mask"),
        ({"outputs": ("cutout", "trimaps")}, "must be one or more of cutout, mask"),
        ({"outputs": "cutout"}, "must be one or more of cutout, mask"),
        ({"outputs": BOTH, "only_mask": True}, "only_mask with outputs=cutout,mask makes no sense"),
        ({"outputs": ("mask",), "putalpha": True}, "only_mask with putalpha makes no sense"),
    ],
)
def test_outputs_that_make_no_sense(options: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        RemoveOptions(**options)


def test_a_mask_is_opaque_and_a_cutout_is_not() -> None:
    jpeg = Encoding(format="jpeg")
    check_outputs(RemoveOptions(outputs=("mask",)), jpeg)
    check_outputs(RemoveOptions(outputs=BOTH, bgcolor=(1, 2, 3, 255)), jpeg)
    for outputs in (BOTH, ("cutout",)):
        with pytest.raises(ValueError, match="has no transparency"):
            check_outputs(RemoveOptions(outputs=outputs), jpeg)


def test_a_pictures_own_outputs_go_before_the_runs() -> None:
    both, mask = RemoveOptions(outputs=BOTH), RemoveOptions(only_mask=True)
    assert both.with_extras({"only_mask": True}) == mask
    assert both.with_extras({"outputs": ["mask"]}) == mask
    assert mask.with_extras({"outputs": ["mask", "cutout"]}) == both
    assert mask.with_extras({"only_mask": False}) == RemoveOptions()


@pytest.fixture
def go(rembg_home: Path, photos: Path, tmp_path: Path, capfd: Any) -> Callable[..., str]:
    """Runs a model over some photos, each with extras of its own; what it says first."""

    def go(*flags: str, model: str = "tiny", **extras: Any) -> str:
        lines = [
            json.dumps({"uri": str(photos / uri), "name": uri, "extras": own})
            for uri, own in (extras or {"a.jpg": {}}).items()
        ]
        (tmp_path / "list").write_text("\n".join(lines))
        given = ["--input_list", str(tmp_path / "list"), "--output", str(tmp_path / "out")]
        capfd.readouterr()
        cli.main(["run", "--model", model, "--offline", *given, *flags])
        out, err = capfd.readouterr()
        return str(out).partition(";")[0] or str(err)

    return go


WRITTEN = "1 written, 0 skipped, 0 failed"
SKIPPED = "0 written, 1 skipped, 0 failed"


@pytest.mark.parametrize("flags", [["--outputs", "mask, cutout"], ["--outputs=cutout"] * 2])
def test_flags_may_repeat_and_have_commas(
    go: Callable[..., str], tmp_path: Path, tree: Any, flags: List[str]
) -> None:
    assert go(*flags) == WRITTEN
    names = ["a.jpg.cutout.png", "a.jpg.mask.png"] if "mask" in flags[1] else ["a.jpg.png"]
    assert tree(tmp_path / "out") == names


def test_outputs_that_are_none_are_a_usage_error(go: Callable[..., str]) -> None:
    assert "--outputs: ['cutout,masks'] must be one or more of cutout, mask" in go(
        "--outputs", "cutout,masks"
    )


@pytest.mark.long
@pytest.mark.parametrize("model, number", [("tiny", 2), (catalogue.CLOTH, 6)])
def test_both_are_there_or_made_again(
    go: Callable[..., str], tmp_path: Path, tree: Any, model: str, number: int
) -> None:
    both = ["--outputs", "cutout,mask"]
    assert go(*both, model=model) == WRITTEN
    whole = tree(tmp_path / "out")
    assert len(whole) == number and go(*both, model=model) == SKIPPED
    for name in whole[:: number - 1]:
        (tmp_path / "out" / name).unlink()
        assert go(*both, model=model) == WRITTEN
        assert tree(tmp_path / "out") == whole
    (tmp_path / "out" / whole[-1]).write_bytes(b"")
    assert go(*both, "--on_existing=fail", model=model) == "0 written, 0 skipped, 1 failed"
    assert go(*both, model=model) == WRITTEN and go(*both, model=model) == SKIPPED


@pytest.mark.long
def test_outputs_are_settings_of_the_folder(go: Callable[..., str], tmp_path: Path) -> None:
    assert go() == WRITTEN and go("--outputs=cutout") == SKIPPED
    assert 'outputs was null and is ["cutout", "mask"]' in go("--outputs=mask,cutout")
    assert "only_mask was null and is true" in go("--outputs=mask")
    assert go("--outputs=mask", "--on_existing=overwrite") == WRITTEN
    assert go("--only_mask") == SKIPPED


def test_extras_may_name_outputs(go: Callable[..., str], tmp_path: Path, tree: Any) -> None:
    extras = {
        "a.jpg": {},
        "a.png": {"only_mask": True},
        "A.JPG": {"outputs": ["cutout"]},
        "cmyk.jpg": {"outputs": ["masks"]},
    }
    assert go("--outputs=cutout,mask", **extras) == "3 written, 0 skipped, 1 failed"
    names = ["A.JPG.png", "a.jpg.cutout.png", "a.jpg.mask.png", "a.png.png"]
    assert tree(tmp_path / "out") == names
    assert go("--outputs=cutout,mask", **extras) == "0 written, 3 skipped, 1 failed"
    extras["A.JPG"] = {}
    (tmp_path / "out" / "A.JPG.png").unlink()
    assert go("--outputs=cutout,mask", **extras) == "1 written, 2 skipped, 1 failed"


@pytest.mark.parametrize("policy", ["skip", "fail"])
def test_an_empty_mask_has_neither(
    go: Callable[..., str], tmp_path: Path, tree: Any, policy: str
) -> None:
    flags = ["--outputs=cutout,mask", "--empty_mask", policy, "--empty_mask_peak=1"]
    status = {"skip": "1 skipped, 0 failed", "fail": "0 skipped, 1 failed"}[policy]
    assert go(*flags) == f"0 written, {status}"
    assert not tree(tmp_path / "out")
