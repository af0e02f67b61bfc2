"""One table of options: what it declares is at every door, under the same name."""

import argparse
import json
import re
from pathlib import Path
from typing import Any, Dict, Set

import pytest
from apache_beam.yaml.yaml_provider import as_provider

from rembg_beam import yaml
from rembg_beam.pipelines import parameters, settings
from rembg_beam.pipelines.settings import RunOptions
from rembg_beam.transforms.setting import Setting, flat

OPTIONS = flat(RunOptions)


def flags(tmp_path: Path) -> Set[str]:
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser)
    return {action.dest for action in parser._actions}


def file_keys(tmp_path: Path) -> Set[str]:
    """Those that a settings file may have, as the command shows what it read of one."""
    path = tmp_path / "all.yaml"
    path.write_text("".join(f"{name}: null\n" for name in OPTIONS))
    with (tmp_path / "shown").open("w+") as shown:
        parser = argparse.ArgumentParser()
        settings.add_arguments(parser)
        settings.from_command_line(parser, ["--config", str(path), "--print_config"], shown)
        shown.seek(0)
        return {line.partition(":")[0] for line in shown if line.rstrip().endswith(str(path))}


# How the command ends, and what it tells meanwhile.
OF_THE_COMMAND = ("max_failures", "progress", "metrics_port")


def other_languages(tmp_path: Path) -> Set[str]:
    """Those of Beam YAML and Java, with those of the command's own."""
    fields: Set[str] = {*OF_THE_COMMAND}
    for name in ("ReadSources", "RemoveBackground", "RemoveBackgrounds"):
        schema = as_provider(name, getattr(yaml, name)).config_schema(name)
        fields |= {field.name for field in schema.fields}
    return fields


def template(tmp_path: Path) -> Set[str]:
    """Parameters of a Flex Template, for whose job nobody waits."""
    found = {each["name"] for each in parameters.metadata()["parameters"]}
    return {*found, *OF_THE_COMMAND}


def reference(tmp_path: Path) -> Set[str]:
    page = Path(__file__).resolve().parent.parent / "docs" / "options.md"
    return set(re.findall(r"^\| `(\w+)` \|", page.read_text(), re.MULTILINE))


@pytest.mark.parametrize("door", [flags, file_keys, other_languages, template, reference])
def test_every_option_is_at_every_door(door: Any, tmp_path: Path) -> None:
    assert set(OPTIONS) - door(tmp_path) == set()


def test_a_value_means_the_same_at_every_door(tmp_path: Path) -> None:
    """As a flag's text, in a file, in the config of a YAML transform, and as a parameter's text."""
    said: Dict[str, Any] = {
        **{"max_bytes": "2MB", "bgcolor": "#102030", "format": "webp", "quality": 7},
        **{"provider": ["CUDA"], "model": "U2NET", "output": "out", "input": ["a.jpg"]},
        **{"max_seconds": 2.5, "uri_column": "path", "read_threads": 3, "on_existing": "overwrite"},
    }
    assert all(isinstance(OPTIONS[name], Setting) for name in said)
    parser = argparse.ArgumentParser()
    settings.add_arguments(parser)
    words = [
        word
        for name, value in said.items()
        for word in (f"--{name}", *map(str, value if isinstance(value, list) else [value]))
    ]
    by_flags = settings.parse(*parser.parse_known_args(words)).settings.job()
    path = tmp_path / "settings.yaml"
    path.write_text("".join(f"{name}: {value!r}\n" for name, value in said.items()))
    in_file = ["--config", str(path)]
    by_file = settings.parse(*parser.parse_known_args(in_file)).settings.job()
    by_yaml = yaml.RemoveBackgrounds(**said)._job
    texts = parameters.flags(
        [
            f"--{name}={json.dumps(value) if isinstance(value, list) else value}"
            for name, value in said.items()
        ]
    )
    by_template = settings.parse(*parser.parse_known_args(texts)).settings.job()
    for job in (by_file, by_yaml, by_template):
        assert vars(job.remove) | {"label": ""} == vars(by_flags.remove) | {"label": ""}
        assert (job.input, job.columns) == (by_flags.input, by_flags.columns)
        assert job.on_existing == by_flags.on_existing
