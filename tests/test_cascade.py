"""Another model where the first one's mask is suspect."""

import json
import threading
from pathlib import Path
from typing import Any, Dict, List

import pyarrow.dataset
import pytest
from support import standins

from rembg_beam.pipelines import cli
from rembg_beam.transforms import Cascade, Engine, RemoveBackground, SessionConfig, Suspicion
from rembg_beam.transforms.engine import Refused
from rembg_beam.transforms.models import opening, sessions

FIRST, SECOND, THIRD = "tiny", "u2netp", "silueta"

# What `tiny` finds in these covers this share of them or more, and less of the others.
LARGE = 0.5
SUSPICION = Suspicion(suspect_everything=LARGE)


@pytest.fixture
def pictures(root: Path) -> Dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted((root / "examples").rglob("*.[jp]*g"))}


def cutouts(pictures: Dict[str, bytes], model: str, **more: Any) -> Dict[str, Any]:
    with Engine(SessionConfig(model), suspicion=SUSPICION, **more) as engine:
        return {name: engine.remove(data) for name, data in pictures.items()}


def test_the_second_model_runs_where_the_first_is_doubted(
    pictures: Dict[str, bytes], rembg_home: Path
) -> None:
    first, second = cutouts(pictures, FIRST), cutouts(pictures, SECOND)
    cascade = Cascade(cascade=(SECOND,), cascade_on=("everything",))
    found = cutouts(pictures, FIRST, cascade=cascade, facts=["area", "parts"])
    asked = {name for name, each in first.items() if each.facts.foreground > LARGE}
    assert asked and asked < set(pictures)
    for name, cutout in found.items():
        took, facts = (second if name in asked else first)[name], cutout.facts
        assert (cutout.parts, cutout.model) == (took.parts, took.model)
        assert (facts.model_checksum, facts.suspect) == (
            took.facts.model_checksum,
            took.facts.suspect,
        )
        assert facts.cascade == (["everything"] if name in asked else [])
        assert facts.cascade_model == (SECOND if name in asked else None)
        assert facts.area == round(took.facts.foreground * facts.width * facts.height)


def test_each_is_asked_until_one_is_not_doubted(
    pictures: Dict[str, bytes], rembg_home: Path
) -> None:
    name = "astronaut.jpg"
    always = Suspicion(suspect_low_contrast=1e9)
    more = {"suspicion": always, "cascade": Cascade(cascade=(SECOND, THIRD))}
    with Engine(SessionConfig(FIRST), **more) as engine:  # type: ignore[arg-type]
        cutout = engine.remove(pictures[name])
    (expected,) = cutouts({name: pictures[name]}, THIRD).values()
    assert (cutout.model, cutout.parts) == (THIRD, expected.parts)
    assert "low_contrast" in (cutout.facts.cascade or ())


def test_rows_say_which_model_it_was_and_a_folder_keeps_to_its_cascade(
    workplace: Path, rembg_home: Path, capsys: Any
) -> None:
    words = ["run", "--input", "examples", "--output", "out", "--model", FIRST, "--offline"]
    cascade = ["--cascade", f"{SECOND},{THIRD}", "--suspect_everything", str(LARGE)]
    assert cli.main([*words, *cascade, "--cascade_on", "everything"]) == 0
    rows = pyarrow.dataset.dataset("out/_manifest", partitioning="hive").to_table().to_pylist()
    models = {row["uri"].split("/")[-1]: (row["model"], row["cascade"]) for row in rows}
    assert models["rocket.jpg"] == (FIRST, [])
    assert models["astronaut.jpg"][0] in (SECOND, THIRD)
    assert models["astronaut.jpg"][1] == ["everything"]
    options = json.loads(rows[0]["options"])
    assert options == {
        "cascade": [SECOND, THIRD],
        "cascade_on": ["everything"],
        "suspect_everything": LARGE,
    }
    assert cli.main([*words, *cascade, "--cascade_on", "everything"]) == 0
    both = pyarrow.dataset.dataset("out/_manifest", partitioning="hive").to_table().to_pylist()
    assert {row["uri"].split("/")[-1]: row["model"] for row in both} == {
        name: model for name, (model, _) in models.items()
    }
    assert cli.main(words) != 0
    assert "cascade" in capsys.readouterr().err


def test_both_models_run_in_batches(pictures: Dict[str, bytes], rembg_home: Path) -> None:
    config = SessionConfig(SECOND, max_batch_size=4, max_batch_wait_msecs=200)
    always = Suspicion(suspect_low_contrast=1e9)
    alone = cutouts(pictures, THIRD)
    found: Dict[str, Any] = {}
    cascade = Cascade(cascade=(THIRD,))
    with Engine(config, suspicion=always, cascade=cascade) as engine:

        def remove(name: str) -> None:
            found[name] = engine.attempt(pictures[name], "{}", name)

        threads = [threading.Thread(target=remove, args=[name]) for name in pictures]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert engine._hold(config.other(THIRD)).batch == 4
    for name, result in found.items():
        assert not isinstance(result, Refused), result
        assert result.cutout.model == THIRD
        assert result.cutout.parts == alone[name].parts


def test_its_sessions_are_opened_at_the_start_and_given_back(rembg_home: Path) -> None:
    opened: List[str] = []

    def opener(config: SessionConfig) -> Any:
        opened.append(config.model)
        return opening.open_session(config)

    path = standins.config("u2net_custom", rembg_home)
    with Engine(path, cascade=Cascade(cascade=(SECOND,)), opener=opener):
        assert opened == ["u2net_custom", SECOND]
    mine = [shared for (_, theirs), shared in sessions._shared.items() if theirs is opener]
    assert len(mine) == 2 and not any(shared.users for shared in mine)


@pytest.mark.parametrize(
    ("more", "why"),
    [
        ({"session": "u2net_cloth_seg"}, "cascade is for models that make one mask"),
        ({"suspicion": Suspicion(suspect=False)}, "leave suspect on"),
        ({"session": SECOND}, "names a model twice"),
        ({"cascade": {"cascade": ("sam",)}}, "cascade=.* must be one or more of u2net"),
        ({"cascade": {"cascade_on": ("cut",)}}, "cascade_on is given without cascade"),
        ({"cascade": {"cascade": (SECOND,), "cascade_on": ("cute",)}}, "cascade_on=.* must be"),
    ],
)
def test_what_makes_no_sense_is_refused(more: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        cascade = Cascade(**more.pop("cascade", {"cascade": (SECOND,)}))
        RemoveBackground(**{"session": FIRST, "output": "x", **more}, cascade=cascade)
