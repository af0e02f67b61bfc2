"""Flags and a YAML file -> `Settings`, and where each value comes from.

In: the command's arguments. Out: `Parsed`, the settings with their origins and Beam's own options.
Flags win over the file, the file over the defaults. Hyphens and underscores in names are the same.
Fails with `UsageError` for an unknown flag or key, a value of the wrong kind, or settings that
make no sense together: its message names the flag or the key's full path, and the nearest name.
"""

import argparse
import difflib
import json
import reprlib
from dataclasses import Field, dataclass, field, fields
from typing import Any, Dict, List, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from ..transforms import (
    Encoding,
    RemoveBackground,
    RemoveOptions,
    SessionConfig,
    WebOptions,
    read,
    write,
)
from ..transforms.folder.resume import ON_EXISTING
from ..transforms.models import catalogue
from ..transforms.pictures.decode import MAX_PIXELS
from ..transforms.pictures.options import EMPTY_MASK_CHOICES, VITMATTE_MODELS
from ..transforms.pictures.prompts import CLOTH_CATEGORIES
from ..transforms.runtime import slow
from ..transforms.store import web
from . import beam_options, documents, values
from .status import UsageError

BEAM = "beam"

# Characters of a wrong value in a message.
SHOWN = 200
# Of a settings file.
CONFIG_BYTES = 1_000_000


def _setting(help: str, default: Any = None, **more: Any) -> Any:
    """A field with what the command line needs to know of it.

    `kind` says what a value is: "text", "texts", "providers" and "pairs" (flags that repeat),
    "integer", "number", "bytes", "switch", "networks" (a switch that may take values), "color",
    "json" or "limit". `choices` are the allowed texts, `metavar` stands for the value.
    """
    return field(default=default, metadata={"kind": "text", "help": help, **more})


@dataclass(frozen=True, kw_only=True)
class Settings:
    """All settings of `rembg-beam run`, by their names in flags and files."""

    input: Tuple[str, ...] = _setting(
        "a picture, a folder (walked recursively), a glob ('**/' also matches no folder), a URI "
        "that Beam's FileSystems read, or an http(s) URL; repeats",
        (),
        kind="texts",
        metavar="URI",
    )
    input_list: Tuple[str, ...] = _setting(
        "a file with one URI or one JSON object (uri, name, extras, and columns of your own) per "
        "line, or - for standard input; repeats",
        (),
        kind="texts",
        metavar="FILE",
    )
    output: Optional[str] = _setting("the folder for the cutouts and their manifest", metavar="URI")
    relative_to: Optional[str] = _setting(
        "the folder that outputs are named relative to; default: the part of each --input before "
        "its first wildcard, and the whole path for --input_list",
        metavar="URI",
    )
    on_existing: str = _setting(
        "what is done about pictures whose output is there: skip (the default), overwrite or fail",
        "skip",
        choices=ON_EXISTING,
    )
    retry_failed: bool = _setting(
        "take the pictures from the output folder's manifests: those that failed last",
        False,
        kind="switch",
    )
    model: Optional[str] = _setting(
        f"one of {', '.join(catalogue.MODELS)}; rembg downloads all but tiny on first use"
    )
    model_path: Optional[str] = _setting(
        "the ONNX file of a custom model, or one in place of rembg's; a path or URI", metavar="URI"
    )
    model_dir: Optional[str] = _setting(
        "a folder or URI with model files, as `rembg-beam models fetch` fills it", metavar="URI"
    )
    offline: bool = _setting("never download a model", False, kind="switch")
    allow_remote: bool = _setting(
        "let a model upload every picture to a service that bills for it", False, kind="switch"
    )
    provider: Tuple[Any, ...] = _setting(
        "the execution provider: CPU, CUDA, ROCM, DirectML, OpenVINO, CoreML, Tensorrt, Azure; "
        'with options as CUDA={"device_id":1}; repeats, in order of preference; default CPU',
        ("CPU",),
        kind="providers",
    )
    provider_fallback: Optional[str] = _setting(
        "run there when no --provider can be used, rather than fail", choices=("cpu",)
    )
    session_option: Optional[Mapping[str, Any]] = _setting(
        "NAME=VALUE for onnxruntime's SessionOptions (intra_op_num_threads=2) or its config "
        "entries; repeats",
        kind="pairs",
        metavar="NAME=VALUE",
    )
    max_batch_size: Optional[int] = _setting(
        "pictures the model runs for at once; default 1 on the CPU, which gains nothing by more, "
        "16 on a GPU, 4 there for large models; more takes the GPU's memory",
        kind="integer",
    )
    max_batch_wait_msecs: float = _setting(
        "milliseconds that a batch which is not full waits for more pictures; default 5",
        5.0,
        kind="number",
    )
    only_mask: bool = _setting("write the mask in place of the cutout", False, kind="switch")
    post_process_mask: bool = _setting("open, blur and binarise the mask", False, kind="switch")
    putalpha: bool = _setting("keep the picture's colours under transparency", False, kind="switch")
    bgcolor: Optional[Tuple[int, ...]] = _setting(
        "a background: a colour name, #rrggbb, or R G B [A] from 0 to 255", kind="color"
    )
    alpha_matting: bool = _setting(
        "soft edges by alpha matting; takes minutes for large pictures", False, kind="switch"
    )
    alpha_matting_foreground_threshold: int = _setting(
        "mask levels above it are surely foreground; default 240", 240, kind="integer"
    )
    alpha_matting_background_threshold: int = _setting(
        "mask levels below it are surely background; default 10", 10, kind="integer"
    )
    alpha_matting_erode_size: int = _setting(
        "pixels by which both are shrunk; default 10", 10, kind="integer"
    )
    alpha_matting_max_pixels: int = _setting(
        "above so many pixels --decontaminate takes its place; default 2000000; each megapixel "
        "more takes minutes and a gigabyte",
        2_000_000,
        kind="integer",
    )
    decontaminate: bool = _setting(
        "take the old background's colour out of soft edges", False, kind="switch"
    )
    vitmatte: bool = _setting(
        "soft edges by the ViTMatte model, which rembg downloads", False, kind="switch"
    )
    vitmatte_model: Optional[str] = _setting("which ViTMatte", choices=VITMATTE_MODELS)
    empty_mask: str = _setting(
        "what becomes of a picture in which the model found nothing; default write",
        "write",
        choices=EMPTY_MASK_CHOICES,
    )
    empty_mask_peak: float = _setting(
        "it found nothing where its map, 0 to 1, has no higher peak; default 0.1",
        0.1,
        kind="number",
    )
    stack_masks: bool = _setting(
        "u2net_cloth_seg: rembg's one tall picture in place of three", False, kind="switch"
    )
    to_srgb: bool = _setting(
        "convert pictures with an ICC profile to sRGB by it; outputs have none then",
        False,
        kind="switch",
    )
    cloth_category: Optional[str] = _setting(
        "u2net_cloth_seg: this one alone", choices=CLOTH_CATEGORIES
    )
    extras: Optional[Mapping[str, Any]] = _setting(
        "a JSON object of further arguments for the model, such as a sam_prompt", kind="json"
    )
    format: str = _setting("of the outputs; default png", "png", choices=("png", "webp", "jpeg"))
    quality: Optional[int] = _setting(
        "of jpeg (default 90) or lossy webp (default 80); higher is larger", kind="integer"
    )
    lossless: Optional[bool] = _setting(
        "webp without loss, the default, or with --no_lossless at a quality", kind="switch"
    )
    png_compression: Optional[int] = _setting(
        "0 to 9: smaller files by Pillow's encoder, which takes many times longer; default: a fast "
        "encoder",
        kind="integer",
    )
    read_threads: int = _setting(
        f"files read at once in a process, default {read.THREADS}; raise it for slow storage, each "
        "holds one compressed picture",
        read.THREADS,
        kind="integer",
    )
    remove_threads: Optional[int] = _setting(
        "pictures in work at once in a process; default: its cores, and on a GPU as many more as a "
        "batch has; each holds a decoded picture and an inference",
        kind="integer",
    )
    max_memory: Optional[int] = _setting(
        "bytes of pictures in flight in a process, such as 2GB, the model's own left out; default: "
        "half of what the process may use; a picture that needs more is worked on alone",
        kind="bytes",
    )
    write_threads: int = _setting(
        f"files written at once in a process, default {write.THREADS}; raise it for slow storage, "
        "each holds one compressed cutout",
        write.THREADS,
        kind="integer",
    )
    max_bytes: int = _setting(
        "a larger file is a failure; default 100MB", read.MAX_BYTES, kind="bytes"
    )
    max_pixels: int = _setting(
        f"a larger picture is a failure, before it is decoded; default {MAX_PIXELS}",
        MAX_PIXELS,
        kind="integer",
    )
    max_picture_seconds: float = _setting(
        "a picture in work for longer than these seconds is named in the log while it is; it goes "
        f"on; default {slow.SECONDS:g}",
        slow.SECONDS,
        kind="number",
    )
    allow_private_hosts: Union[bool, Tuple[str, ...]] = _setting(
        "fetch http(s) URLs also from addresses that are not of the public internet, an "
        "intranet's, this machine's, or from those of the networks named, such as 10.0.0.0/8; only "
        "for lists whose every URL you trust; link-local addresses and clouds' metadata stay shut",
        False,
        kind="networks",
        metavar="NETWORK",
    )
    web_user_agent: str = _setting(
        f"what a web server is told; default {web.USER_AGENT}; name whom it may write to",
        web.USER_AGENT,
    )
    max_seconds: float = _setting(
        "a web server's answer that takes longer than these seconds, redirects included, is a "
        "failure; a broken or silent one is asked for again, each time with as many; "
        f"default {web.MAX_SECONDS:g}",
        web.MAX_SECONDS,
        kind="number",
    )
    connections_per_host: int = _setting(
        f"at once to a web server, of one process; default {web.CONNECTIONS_PER_HOST}",
        web.CONNECTIONS_PER_HOST,
        kind="integer",
    )
    ignore_opt_out: bool = _setting(
        "fetch also what is sent with X-Robots-Tag: noai, noimageai, noindex or noimageindex",
        False,
        kind="switch",
    )
    max_failures: Optional[str] = _setting(
        "exit with status 1 above so many failures, a count (20) or a share (5%% or 0.05); "
        "default: any number, but not all",
        kind="limit",
    )

    def session(self) -> SessionConfig:
        """Raises `ValueError` as `SessionConfig` does."""
        return SessionConfig(
            str(self.model),
            self.provider,
            model_path=self.model_path,
            session_options=self.session_option or {},
            model_dir=self.model_dir,
            offline=self.offline,
            provider_fallback=self.provider_fallback,
            allow_remote=self.allow_remote,
            max_batch_size=self.max_batch_size,
            max_batch_wait_msecs=self.max_batch_wait_msecs,
        )

    def remove_options(self) -> RemoveOptions:
        """Raises `ValueError` as `RemoveOptions` does."""
        names = [option.name for option in fields(RemoveOptions)]
        given = {name: getattr(self, name) for name in names}
        extras = dict(self.extras or {})
        if self.cloth_category:
            extras["cloth_category"] = self.cloth_category
        return RemoveOptions(**{**given, "extras": extras})

    def encoding(self) -> Encoding:
        """Raises `ValueError` as `Encoding` does."""
        return Encoding(
            format=self.format,
            quality=self.quality,
            lossless=self.lossless,
            png_compression=self.png_compression,
        )

    def web_options(self) -> WebOptions:
        """Raises `ValueError` as `WebOptions` does."""
        return WebOptions(
            allow_private_hosts=self.allow_private_hosts,
            user_agent=self.web_user_agent,
            max_seconds=self.max_seconds,
            connections_per_host=self.connections_per_host,
            ignore_opt_out=self.ignore_opt_out,
        )

    def remove_background(self) -> RemoveBackground:
        """The composite of these settings; raises `ValueError` for those that make no sense."""
        return RemoveBackground(
            output=self.output or "",
            session=self.session(),
            options=self.remove_options(),
            encoding=self.encoding(),
            relative_to=self.relative_to,
            read_threads=self.read_threads,
            remove_threads=self.remove_threads,
            write_threads=self.write_threads,
            max_memory=self.max_memory,
            max_bytes=self.max_bytes,
            max_pixels=self.max_pixels,
            max_picture_seconds=self.max_picture_seconds,
            web_options=self.web_options(),
            overwrite=self.on_existing != "fail",
        )


class Parsed(NamedTuple):
    """What the arguments say.

    Attributes:
      settings: checked one by one, not yet together.
      origins: where each setting that is not a default comes from, a flag or a file.
      beam: Beam's own options, as flags.
      print_config: whether only the settings are to be shown.
    """

    settings: Settings
    origins: Dict[str, str]
    beam: List[str]
    print_config: bool


# Kinds of settings with a `--no_` flag, and how many values their own takes.
_SWITCHES: Dict[str, Any] = {"switch": 0, "networks": "*"}

_FIELDS: Dict[str, "Field[Any]"] = {setting.name: setting for setting in fields(Settings)}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's flags; none has a default, so that only what is given is seen."""
    parser.add_argument("--config", metavar="FILE", help="settings from a YAML file; flags win")
    parser.add_argument(
        "--print_config",
        action="store_true",
        default=False,
        help="show what holds and where each value comes from, and stop",
    )
    for name, setting in _FIELDS.items():
        kind = setting.metadata["kind"]
        more: Dict[str, Any] = {"help": setting.metadata["help"], "default": argparse.SUPPRESS}
        if kind in _SWITCHES:
            more |= {"action": _Switch, "nargs": _SWITCHES[kind]}
            more |= {"metavar": setting.metadata.get("metavar")}
            parser.add_argument(f"--{name}", f"--no_{name}", **more)
            continue
        more["metavar"] = setting.metadata.get("metavar", kind.upper())
        if kind in ("texts", "providers", "pairs"):
            more["action"] = "append"
        if kind == "color":
            more["nargs"] = "+"
        parser.add_argument(f"--{name}", **more)


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


def parse(namespace: argparse.Namespace, others: Sequence[str]) -> Parsed:
    """Settings of parsed flags and the file they name; `others` are the flags left for Beam."""
    given = {name: value for name, value in vars(namespace).items() if name in _FIELDS}
    found = {name: _checked(f"--{name}", name, value) for name, value in given.items()}
    origins = {name: f"--{name}" for name in found}
    beam = beam_options.checked(others, own_flags())
    if namespace.config:
        from_file, beam_of_file = _load(namespace.config)
        found = {**from_file, **found}
        origins = {**dict.fromkeys(from_file, namespace.config), **origins}
        beam = beam_options.as_flags(beam_of_file, given=beam) + beam
    return Parsed(Settings(**found), origins, beam, namespace.print_config)


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
    for name in _FIELDS:
        value = getattr(parsed.settings, name)
        value = list(value) if isinstance(value, tuple) else value
        text = json.dumps(value, ensure_ascii=False)
        lines.append(f"{name}: {text}  # {parsed.origins.get(name, 'default')}")
    beam = vars(beam_options.parser().parse_known_args(parsed.beam)[0])
    lines.append(f"{BEAM}: {json.dumps(beam, ensure_ascii=False)}")
    return "\n".join(lines)


def _load(path: str) -> Tuple[Dict[str, Any], Dict[str, Any]]:
    """A file's settings, and its section for Beam."""
    try:
        # Bytes, whose byte order mark YAML knows; a pipe can be read once.
        with open(path, "rb") as file:
            data = file.read(CONFIG_BYTES + 1)
        if len(data) > CONFIG_BYTES:
            raise UsageError(f"--config {path}: it has more than {CONFIG_BYTES} bytes")
        document = documents.from_yaml(data) or {}
    except UsageError:
        raise
    except (OSError, ValueError) as error:
        raise UsageError(f"--config {path}: {error}") from error
    if not isinstance(document, dict):
        raise UsageError(f"--config {path}: must be a mapping of settings to values")
    document = _underscored(path, document)
    beam = document.pop(BEAM, None) or {}
    if not isinstance(beam, dict):
        raise UsageError(f"{path}: {BEAM} must be a mapping of Beam's options to values")
    beam = _underscored(path, beam)
    for key in document:
        _known(f"{path}: {key}", key, [*_FIELDS, BEAM])
    for key in beam:
        _known(f"{path}: {BEAM}.{key}", key, beam_options.names())
    checked = {key: _checked(f"{path}: {key}", key, value) for key, value in document.items()}
    return checked, beam


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
        near = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{where} is no setting{hint}")


def _checked(where: str, name: str, value: Any) -> Any:
    """The value as its setting's kind has it."""
    setting = _FIELDS[name]
    if value is None:
        return setting.default
    try:
        checked = values.KINDS[setting.metadata["kind"]](value)
        choices = setting.metadata.get("choices")
        if choices and checked not in choices:
            raise ValueError(f"must be one of {', '.join(choices)}")
        return checked
    except (TypeError, ValueError) as error:
        raise UsageError(f"{where}: {_shown(value)} {error}") from error


def _shown(value: Any) -> str:
    """A value as Python writes it, of a long one the beginning."""
    try:
        text = repr(value) if isinstance(value, (str, int, float)) else reprlib.repr(value)
    except ValueError:  # Python writes no number of more than 4,300 digits
        text = "the number"
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def own_flags() -> List[str]:
    """The command's own flags."""
    switches = [name for name in _FIELDS if _FIELDS[name].metadata["kind"] in _SWITCHES]
    return [
        *(f"--{name}" for name in (*_FIELDS, "config", "print_config")),
        *(f"--no_{name}" for name in switches),
    ]
