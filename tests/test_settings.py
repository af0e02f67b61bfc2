"""A setting and a column are declared once; flags, keys, checks and pages follow from that."""

import argparse
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Callable, List, Optional, get_type_hints

import pytest
from support import reference

from rembg_beam import transforms
from rembg_beam.pipelines import settings
from rembg_beam.pipelines.settings import RunOptions
from rembg_beam.pipelines.status import UsageError
from rembg_beam.transforms import Encoding, Outcome, RemoveOptions, SessionConfig
from rembg_beam.transforms.elements import Facts
from rembg_beam.transforms.setting import build, check, documented, flat, setting


@documented
@dataclass(frozen=True, kw_only=True)
class Shaded(Encoding):
    """How outputs are encoded."""

    shade: int = setting(3, "how dark it gets", more="of nine", minimum=0, maximum=9)


@dataclass(frozen=True, kw_only=True)
class Job:
    """What is made of others."""

    encoding: Shaded = setting(Shaded(), "of the outputs", kind=Shaded)


def parse(*arguments: str) -> settings.Parsed:
    parser = argparse.ArgumentParser(allow_abbrev=False)
    settings.add_arguments(parser)
    namespace, others = parser.parse_known_args(settings.normalized(arguments))
    return settings.parse(namespace, others)


@pytest.fixture
def more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(settings, "SETTINGS", {**flat(RunOptions), **flat(Job)})


def test_one_line_makes_a_flag_and_a_key(more: None, tmp_path: Path) -> None:
    config = tmp_path / "config.yaml"
    config.write_text("shade: 5\n")
    assert parse().settings.shade == 3
    assert parse("--shade", "4").settings.shade == 4
    parsed = parse("--config", str(config))
    assert build(Job, vars(parsed.settings)).encoding == Shaded(shade=5)
    assert f"shade: 5  # {config}" in settings.describe(parsed)
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser)
    assert "how dark it gets; default 3" in parser.format_help()


def test_one_line_makes_the_checks(more: None, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--shade: 'deep' must be an integer"):
        parse("--shade", "deep")
    with pytest.raises(UsageError, match=r"did you mean --shade\?"):
        parse("--shde", "1")
    (tmp_path / "config.yaml").write_text("shde: 5\n")
    with pytest.raises(UsageError, match=r"shde is no setting; did you mean shade\?"):
        parse("--config", str(tmp_path / "config.yaml"))
    with pytest.raises(ValueError, match="shade=10 must be an integer from 0 to 9"):
        build(Job, vars(parse("--shade", "10").settings))


MAPPING: Any = {"model": "tiny"}


@pytest.mark.parametrize(
    "make",
    [
        lambda: transforms.RemoveBackground(output="out", session=MAPPING),
        lambda: transforms.CutOut(session=MAPPING),
        lambda: transforms.RemBGModelHandler(MAPPING),
        lambda: transforms.RemBGDoFn(MAPPING),
        lambda: transforms.Engine(MAPPING),
    ],
)
def test_a_mapping_is_no_session(make: Callable[[], Any]) -> None:
    refusal = (
        r"^session=\{'model': 'tiny'\} must be SessionConfig\(model=...\).*; in YAML and other "
    )
    with pytest.raises(
        ValueError, match=refusal + r".* take .*rembg_beam\.yaml\.RemoveBackground, "
    ):
        make()


@pytest.mark.parametrize(
    ("name", "rule"),
    [
        ("options", "RemoveOptions(only_mask=...)"),
        ("encoding", "Encoding(format=...)"),
        ("suspicion", "Suspicion(suspect=...)"),
        ("postprocessing", "PostProcessing(cleanup=...)"),
        ("cascade", "Cascade(cascade=...)"),
        ("web_options", "WebOptions(allow_private_hosts=...)"),
    ],
)
def test_a_mapping_is_no_object_of_settings(name: str, rule: str) -> None:
    mapping: Any = {name: {"x": 1}}
    refusal = f"{name}={{'x': 1}} must be {rule}; in YAML"
    with pytest.raises(ValueError, match=re.escape(refusal)):
        transforms.RemoveBackground(output="out", session="tiny", **mapping)
    if name != "web_options":
        with pytest.raises(ValueError, match=re.escape(refusal)):
            transforms.Engine(SessionConfig("tiny"), **mapping)


def test_objects_within_and_of_jobs_are_checked() -> None:
    wrong: Any = "out"
    with pytest.raises(ValueError, match=r"^shadow='out' must be Shadow\(shadow=...\)$"):
        transforms.PostProcessing(shadow=wrong)
    with pytest.raises(ValueError, match=r"^remove='out' must be RemoveBackground\(output=...\)$"):
        transforms.RemoveBackgrounds(remove=wrong, input=["a"])
    with pytest.raises(ValueError, match=r"^columns='out' must be Columns\(uri_column=...\)$"):
        transforms.ReadSources(columns=wrong, input=["a"])


def test_one_line_makes_the_reference() -> None:
    line = "| `shade` | integer | `3` | an integer from 0 to 9 | how dark it gets; of nine |"
    assert line in reference.options(Job)
    assert "  shade: how dark it gets; of nine" in str(Shaded.__doc__)


def test_the_pages_are_those_of_the_code() -> None:
    pages = reference.DOCS
    assert (pages / "options.md").read_text() == reference.options(RunOptions), "make reference"
    page = (pages / "rows.md").read_text()
    assert page == reference.rows(page), "make reference"
    page = (pages / "checks.md").read_text()
    assert page == reference.checks(page), "make reference"
    assert all(f"| `{name}` |" in (pages / "options.md").read_text() for name in settings.SETTINGS)


def test_facts_are_columns_of_a_row() -> None:
    columns = get_type_hints(Outcome)
    assert get_type_hints(Facts).items() <= columns.items()
    others = [name for name in columns if name not in Facts._fields]
    assert list(columns) == [*others[:-1], *Facts._fields, others[-1]]


@dataclass
class Bounds:
    """One of each kind."""

    count: int = setting(1, "", minimum=1)
    share: float = setting(0.5, "", minimum=0, maximum=1)
    seconds: float = setting(1.0, "", above=0)
    way: str = setting("up", "", choices=("up", "down"))
    on: bool = setting(False, "")
    name: Optional[str] = setting(None, "")


@pytest.mark.parametrize(
    ("name", "wrong", "rule"),
    [
        ("count", [0, 1.0, "1", True, None], "a positive integer"),
        ("share", [1.1, -1, math.nan, "1", True], "a number from 0 to 1"),
        ("seconds", [0, math.nan, "1", None], "above 0"),
        ("way", ["left", None, ["up"]], "one of up, down"),
        ("on", [1, None, "yes"], "True or False"),
        ("name", [1, ["a"]], "a text"),
    ],
)
def test_what_breaks_a_rule_is_named(name: str, wrong: List[Any], rule: str) -> None:
    for value in wrong:
        with pytest.raises(ValueError) as caught:
            check(Bounds(**{name: value}))
        assert str(caught.value) == f"{name}={value!r} must be {rule}"


def test_what_keeps_the_rules_passes() -> None:
    check(Bounds(count=7, share=1, seconds=math.inf, way="down", on=True, name="a"))
    check(Bounds())
    assert RemoveOptions().extras == {}
    config = SessionConfig("tiny", model_dir=None)
    assert (config.provider, config.session_option) == ((("CPUExecutionProvider", ()),), ())
