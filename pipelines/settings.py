"""Flags and a YAML file -> `Settings`, and where each value comes from.

In: the command's arguments. Out: `Parsed`, the settings with their origins and Beam's own options.
Flags win over the file, the file over the defaults. Hyphens and underscores in names are the same.
Fails with `UsageError` for an unknown flag or key, a value of the wrong kind, or settings that
make no sense together: its message names the flag or the key's full path, and the nearest name.
"""

import argparse
import contextlib
import json
from dataclasses import dataclass
from types import MappingProxyType, SimpleNamespace
from typing import (
    Any,
    Collection,
    Dict,
    List,
    Mapping,
    NamedTuple,
    Optional,
    Sequence,
    TextIO,
    Tuple,
    Type,
    TypeVar,
)

from ..transforms import RemoveBackgrounds
from ..transforms.pictures.prompts import CLOTH_CATEGORIES
from ..transforms.setting import REQUIRED, Setting, build, did_you_mean, flat, setting, settings_of
from ..transforms.store import uris
from . import beam_options, documents, values
from .status import UsageError

BEAM = "beam"

PROGRESS = ("auto", "bar", "lines", "json", "none")

C = TypeVar("C")

# Of a settings file.
CONFIG_BYTES = 1_000_000


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """What a run of the command is told: a job, and what concerns the command alone."""

    job: RemoveBackgrounds = setting(REQUIRED, "the transform", kind=RemoveBackgrounds)
    cloth_category: Optional[str] = setting(
        None, "u2net_cloth_seg: this one alone", choices=CLOTH_CATEGORIES
    )
    max_failures: Optional[str] = setting(
        None,
        "exit with status 1 above so many failures, a count (20) or a share (5% or 0.05); "
        "default: any number, but not all",
        kind="limit",
    )
    progress: str = setting(
        "auto",
        "how far the run is, on stderr: a bar, a line each minute, or a JSON object a line; auto "
        "is a bar on a terminal and lines elsewhere",
        choices=PROGRESS,
    )
    metrics_port: int = setting(
        0,
        "a port at which Prometheus may fetch the counts while the run is at work; 0 for none",
        minimum=0,
        maximum=65_535,
    )


SETTINGS = flat(RunOptions)

# No dataclass is made of these, which would check them.
_UNCHECKED = settings_of(RunOptions)


class Settings(SimpleNamespace):
    """All settings of `rembg-beam run` by their names in flags and files, checked one by one."""

    def __init__(self, **given: Any) -> None:
        defaults = {name: values.default(each) for name, each in SETTINGS.items()}
        super().__init__(**{**defaults, **given})

    def job(self) -> RemoveBackgrounds:
        """The job of these settings; raises `ValueError` for those that make no sense."""
        return built(RemoveBackgrounds, vars(self))


def built(cls: Type[C], flat: Mapping[str, Any]) -> C:
    """The transform of flat values, `cloth_category` among its extras; `ValueError` as `build`."""
    extras = dict(flat.get("extras") or {})
    if flat.get("cloth_category"):
        extras["cloth_category"] = flat["cloth_category"]
    return build(cls, {**flat, "extras": extras})


class Parsed(NamedTuple):
    """What the arguments say.

    Attributes:
      settings: checked one by one, not yet together.
      origins: where each setting that is not a default comes from, a flag or a file.
      beam: Beam's own options, as flags.
      print_config: whether only the settings are to be shown.
      file: what the file says that was read, `beam` among it; {} for none.
    """

    settings: Settings
    origins: Dict[str, str]
    beam: List[str]
    print_config: bool
    file: Mapping[str, Any] = MappingProxyType({})


# Kinds of settings with a `--no_` flag, and how many values their own takes.
_SWITCHES: Dict[str, Any] = {"switch": 0, "networks": "*"}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags; none has a default, so that only what is given is seen."""
    parser.add_argument("--config", metavar="FILE", help="settings from a YAML file; flags win")
    parser.add_argument(
        "--print_config",
        action="store_true",
        default=False,
        help="show what holds and where each value comes from, and stop",
    )
    for name, each in SETTINGS.items():
        kind = each.kind
        more: Dict[str, Any] = {"help": told(each).replace("%", "%%"), "default": argparse.SUPPRESS}
        if kind in _SWITCHES:
            more |= {"action": _Switch, "nargs": _SWITCHES[kind], "metavar": each.metavar}
            parser.add_argument(f"--{name}", f"--no_{name}", **more)
            continue
        more["metavar"] = each.metavar or kind.upper()
        if kind in ("texts", "choices", "outputs", "providers", "pairs"):
            more["action"] = "append"
        if kind == "color":
            more["nargs"] = "+"
        parser.add_argument(f"--{name}", **more)


def told(setting: Setting) -> str:
    """What it means, and its default."""
    value, text = values.default(setting), setting.help
    if value not in (None, False, ()) and "default" not in text:
        text += f"; default {value:g}" if isinstance(value, float) else f"; default {value}"
    return text


class _Switch(argparse.Action):
    """`--name` and `--no_name`, and where it takes any, `--name VALUE ...`, which may repeat."""

    def __call__(self, parser: Any, namespace: Any, values: Any, option: Any = None) -> None:
        before = getattr(namespace, self.dest, None)
        if option.startswith("--no_"):
            if values:
                parser.error(f"{option} takes no value, and is given {' '.join(values)}")
            setattr(namespace, self.dest, False)
        elif values:
            setattr(namespace, self.dest, [*(before if isinstance(before, list) else []), *values])
        else:
            setattr(namespace, self.dest, True)


def parse(
    namespace: argparse.Namespace, others: Sequence[str], more: Collection[str] = ()
) -> Parsed:
    """Settings of parsed flags and the file they name; `others` are the flags left for Beam, `more`
    those that the command has beside a run's."""
    given = {name: value for name, value in vars(namespace).items() if name in SETTINGS}
    found = {name: _checked(f"--{name}", name, value) for name, value in given.items()}
    origins = {name: f"--{name}" for name in found}
    beam = beam_options.checked(others, [*own_flags(), *more])
    file: Dict[str, Any] = {}
    if namespace.config:
        from_file, beam_of_file, file = _load(namespace.config)
        found = {**from_file, **found}
        origins = {**dict.fromkeys(from_file, namespace.config), **origins}
        beam = beam_options.as_flags(beam_of_file, given=beam) + beam
    return Parsed(Settings(**found), origins, beam, namespace.print_config, file)


def from_command_line(
    parser: argparse.ArgumentParser, arguments: Sequence[str], stdout: TextIO
) -> Tuple[argparse.Namespace, Optional[Parsed]]:
    """What a command was told; no settings where they were only to be printed."""
    with contextlib.redirect_stdout(stdout):
        namespace, others = parser.parse_known_args(normalized(arguments))
    parsed = parse(namespace, others, parser._option_string_actions)
    if not parsed.print_config:
        _check_window(parsed)
        return namespace, parsed
    print(uris.without_secrets_in(describe(parsed)), file=stdout)
    return namespace, None


def _check_window(parsed: Parsed) -> None:
    """Refuses one without `watch`, which would be ignored; null in a file says nothing."""
    origin = parsed.origins.get("window")
    is_said = origin == "--window" or parsed.file.get("window") is not None
    if is_said and not parsed.settings.watch:
        raise UsageError(
            f"{origin}: window is for rows of pictures that keep coming; watch the inputs by "
            "--watch 30s, or leave it out"
        )


def normalized(arguments: Sequence[str]) -> List[str]:
    """The arguments with `_` for `-` inside flags, where that makes a flag that exists.

    >>> normalized(["--only-mask", "--input", "a-b.jpg", "--max-failures=3"])
    ['--only_mask', '--input', 'a-b.jpg', '--max_failures=3']
    """
    known = {*own_flags(), *(f"--{name}" for name in beam_options.names())}
    result = []
    for argument in arguments:
        flag, equals, value = argument.partition("=")
        plain = "--" + flag[2:].replace("-", "_")
        result.append(plain + equals + value if plain in known else argument)
    return result


def describe(parsed: Parsed) -> str:
    """The settings as YAML, each with where it comes from, and Beam's options."""
    lines = []
    for name in SETTINGS:
        value = getattr(parsed.settings, name)
        value = list(value) if isinstance(value, tuple) else value
        text = json.dumps(value, ensure_ascii=False)
        lines.append(f"{name}: {text}  # {parsed.origins.get(name, 'default')}")
    beam = vars(beam_options.parser().parse_known_args(parsed.beam)[0])
    lines.append(f"{BEAM}: {json.dumps(beam, ensure_ascii=False)}")
    return "\n".join(lines)


def _load(path: str) -> Tuple[Dict[str, Any], Dict[str, Any], Dict[str, Any]]:
    """A file's settings, its section for Beam, and all as it says it."""
    try:
        # Bytes, whose byte order mark YAML knows; a pipe can be read once.
        with open(path, "rb") as file:
            data = file.read(CONFIG_BYTES + 1)
        if len(data) > CONFIG_BYTES:
            raise ValueError(f"it has more than {CONFIG_BYTES} bytes")
        document = documents.from_yaml(data) or {}
        if not isinstance(document, dict):
            raise ValueError("must be a mapping of settings to values")
    except (OSError, ValueError) as error:
        raise UsageError(f"--config {path}: {error}") from error
    whole = _underscored(path, document)
    document = {**whole}
    beam = document.pop(BEAM, None) or {}
    if not isinstance(beam, dict):
        raise UsageError(f"{path}: {BEAM} must be a mapping of Beam's options to values")
    beam = _underscored(path, beam)
    for key in document:
        _known(f"{path}: {key}", key, [*SETTINGS, BEAM])
    for key in beam:
        _known(f"{path}: {BEAM}.{key}", key, beam_options.names())
    checked = {key: _checked(f"{path}: {key}", key, value) for key, value in document.items()}
    return checked, beam, whole


def _underscored(path: str, section: Mapping[Any, Any]) -> Dict[str, Any]:
    """The section with `_` for `-` in its keys, no two of which may be the same then."""
    found: Dict[str, Any] = {}
    for key, value in section.items():
        name = str(key).replace("-", "_")
        if name in found:
            raise UsageError(f"--config {path}: {key} is there twice, with a hyphen and without")
        found[name] = value
    return found


def _known(where: str, name: str, names: Sequence[str]) -> None:
    if name not in names:
        raise UsageError(f"{where} is no setting{did_you_mean(name, names, '', str)}")


def _checked(where: str, name: str, value: Any) -> Any:
    """The value as its setting's kind has it."""
    try:
        found = values.checked(SETTINGS[name], value)
        if name in _UNCHECKED and not _UNCHECKED[name].allows(found):
            raise ValueError(f"{value!r} must be {_UNCHECKED[name].must_be()}")
        return found
    except ValueError as error:
        raise UsageError(f"{where}: {error}") from error


def own_flags() -> List[str]:
    """The command's own flags."""
    return [
        *(f"--{name}" for name in (*SETTINGS, "config", "print_config")),
        *(f"--no_{name}" for name, each in SETTINGS.items() if each.kind in _SWITCHES),
    ]
