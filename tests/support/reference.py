"""What follows from the code: pages of `docs/` (options, columns of a row, rules of the check) and
`containers/template/metadata.json`, the options as a template's parameters.

`make reference` writes them, after a change to either.
"""

import inspect
import json
import re
from pathlib import Path
from typing import Any, List

from rembg_beam.pipelines import parameters
from rembg_beam.pipelines.preflight import anywhere, clusters, dataflow, gpus
from rembg_beam.pipelines.settings import RunOptions
from rembg_beam.transforms.elements import Outcome
from rembg_beam.transforms.folder.manifest import SCHEMA
from rembg_beam.transforms.setting import REQUIRED, Setting, settings_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
METADATA = ROOT / "containers" / "template" / "metadata.json"

_OPTIONS = """# Which options are there?

Each option of `rembg-beam run` is a flag (`--max_bytes 1GB`; hyphens will do), a key of a
`--config` file and of [Beam YAML](yaml.md) (`max_bytes: 1GB`), and an argument of the class it
stands under here.
`--print_config` shows what holds and where it comes from. Options that the command doesn't know are
Beam's own.

- switch: `--NAME` and `--no_NAME`; true or false in a file
- texts, providers, pairs: the flag repeats; a list, or for pairs a mapping, in a file
- choices: one or more; the flag repeats, or has commas between them; a list in a file
- bytes: a number, or one with a unit, such as `500MiB` or `2GB`
- pixels: a number, or megapixels, such as `2MP`
- networks: a switch, or the names of networks behind it
- color: a name, `#rrggbb`, or three or four numbers
- json: an object, as JSON on the command line and as it is in a file
- limit: a count (`20`) or a share (`5%` or `0.05`)

<!-- All below is made of the code by tests/support/reference.py. -->
"""


def options(*classes: Any) -> str:
    """The page of all settings of these classes, and of what they are made of."""
    return "\n".join([_OPTIONS, *(_section(cls) for top in classes for cls in _made_of(top)), ""])


def columns() -> str:
    """The table of a row's columns."""
    doc = inspect.getdoc(Outcome) or ""
    told = dict(re.findall(r"^  (\w+): (.*(?:\n    .*)*)", doc, re.MULTILINE))
    lines = ["| column | type | null | what it is |", "|---|---|---|---|"]
    for column in SCHEMA:
        meaning = _cell(told[column.name])
        null = "may be" if column.nullable else "never"
        lines.append(f"| `{column.name}` | `{column.type}` | {null} | {meaning} |")
    return "\n".join(lines)


def rows(page: str) -> str:
    """The page with the table of columns between its markers."""
    return _between("columns", columns(), page)


def rules() -> str:
    """The table of what `rembg-beam check` knows."""
    lines = ["| rule | option | the job | the way out |", "|---|---|---|---|"]
    for rule in (*anywhere.RULES, *clusters.RULES, *dataflow.RULES, *gpus.RULES):
        options = ", ".join(f"`{option}`" for option in rule.setting.split(", "))
        effect = "would fail" if rule.fails else "may waste money or time"
        lines.append(f"| `{rule.name}` | {options} | {effect} | {_cell(rule.way_out)} |")
    return "\n".join(lines)


def checks(page: str) -> str:
    """The page with the table of rules between its markers."""
    return _between("rules", rules(), page)


def metadata() -> str:
    """The template's parameters, as Dataflow reads them."""
    return f"{json.dumps(parameters.metadata(), indent=2, ensure_ascii=False)}\n"


def _between(name: str, table: str, page: str) -> str:
    between = rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)"
    return re.sub(between, lambda _: f"{table}\n", page, flags=re.DOTALL)


def _made_of(cls: Any) -> List[Any]:
    parts = [each.kind for each in settings_of(cls).values() if isinstance(each.kind, type)]
    return [cls, *(deeper for part in parts for deeper in _made_of(part))]


def _section(cls: Any) -> str:
    lines = [
        f"\n## {cls.__name__}\n",
        (inspect.getdoc(cls) or "").partition("\n")[0],
        "\n| option | kind | default | values | what it means |\n|---|---|---|---|---|",
    ]
    own = [each for each in settings_of(cls).values() if not isinstance(each.kind, type)]
    return "\n".join([*lines, *map(_line, own)]) if own else "\n".join(lines[:2])


def _line(each: Setting) -> str:
    name = f"`{each.name}`" if each.flag else f"`{each.name}` (in Python alone)"
    cells = [name, each.kind, _default(each), _values(each), _cell(each.meaning())]
    return f"| {' | '.join(cells)} |"


def _default(each: Setting) -> str:
    if each.default is REQUIRED:
        return "must be given"
    if each.default in (None, (), ""):
        return "none"
    shown = getattr(each.default, "__name__", each.default)
    shown = ", ".join(shown) if isinstance(shown, tuple) else shown
    return f"`{str(shown).lower() if isinstance(shown, bool) else shown}`"


def _values(each: Setting) -> str:
    if each.choices:
        return ", ".join(f"`{choice}`" for choice in each.choices)
    ruled = each.rule or any(x is not None for x in (each.minimum, each.maximum, each.above))
    return each.must_be() if ruled else ""


def _cell(text: str) -> str:
    return re.sub(r"\s+", " ", text).replace("|", "\\|").rstrip(".")


def main() -> None:
    (DOCS / "options.md").write_text(options(RunOptions))
    METADATA.write_text(metadata())
    for name, made in [("rows.md", rows), ("checks.md", checks)]:
        (DOCS / name).write_text(made((DOCS / name).read_text()))


if __name__ == "__main__":
    main()
