"""Requested: names, mappings and `Output` records -> the outputs of a picture, in their order.

In: what `outputs` says, `"cutout,mask,crop512.webp"` as names, or more of each in a mapping or an
`Output`. Out: `Output` records, each with a name of its own, which tells its file from the others':
`a.jpg.crop512.webp`. Fails with `ValueError` for what is no output, and for two of one name.
"""

import functools
import re
from dataclasses import KW_ONLY, dataclass, fields
from typing import Any, Dict, Mapping, NamedTuple, Optional, Sequence, Tuple, Union

from ..setting import (
    REQUIRED,
    check,
    did_you_mean,
    documented,
    same_setting,
    setting,
    settings_of,
)
from .encode import FORMATS, SPELLINGS, Encoding
from .framing import LARGEST_SIDE
from .prompts import CLOTH_CATEGORIES


class Shows(NamedTuple):
    """What is known of a kind of output.

    Attributes:
      of_cutout: whether it is made of the cutout, with its soft edges, or of the mask.
      is_grey: whether it has one channel: no colours, no transparency.
    """

    of_cutout: bool
    is_grey: bool


# What can be made of a picture, in the order in which it is written.
SHOWS = {
    "cutout": Shows(of_cutout=True, is_grey=False),
    "mask": Shows(of_cutout=False, is_grey=True),
    "trimap": Shows(of_cutout=False, is_grey=True),
    "alpha": Shows(of_cutout=True, is_grey=True),
    "crop": Shows(of_cutout=True, is_grey=False),
}

# What names an output in short: what it shows, its longest side, its format.
_FORMAT = "|".join([*FORMATS, *dict(SPELLINGS)])
_SHORT = re.compile(rf"({'|'.join(SHOWS)})([1-9]\d{{0,4}})?(?:\.({_FORMAT}))?")

RULE = (
    f"one or more of {', '.join(SHOWS)}, each with a longest side and a format of its own behind "
    "it if you like (cutout512.webp), or mappings: {shows: cutout, resize: 512, format: webp}"
)

# Without dots and underscores, so that names stay apart as columns and members of shards too.
_SUFFIX = re.compile(r"[a-z][a-z0-9-]{0,31}")

# Names of the parts of clothes, of other members of a sample, and of formats.
_TAKEN = {*CLOTH_CATEGORIES, *FORMATS, "image", "json", "bmp", "gif", "heic", "heif", "j2k", "jfif"}
_TAKEN |= {"jp2", "jpe", "jpg", "jpx", "mpo", "tif"}


@documented
@dataclass(frozen=True)
class Output:
    """One picture that is made of each input. One that says nothing of its encoding has the run's.
    One that does has of the run's `format`, `keep` and, where its format has a quality, `quality`
    and `max_output_bytes`, each unless it says its own; nothing else."""

    shows: str = setting(REQUIRED, "what it shows", choices=tuple(SHOWS))
    _: KW_ONLY
    suffix: Optional[str] = setting(
        None,
        "its name before the format's suffix, a.jpg.SUFFIX.png; default: what it shows, and its "
        "size if it has one",
        more="lower-case letters, digits and hyphens",
    )
    resize: Optional[int] = setting(
        None, "pixels of its longest side; default: as it comes", minimum=1, maximum=LARGEST_SIDE
    )
    format: Optional[str] = setting(
        None, "of its file; default: the run's", choices=tuple(FORMATS), spellings=SPELLINGS
    )
    quality: Optional[int] = same_setting(Encoding, "quality")
    lossless: Optional[bool] = same_setting(Encoding, "lossless")
    png_compression: Optional[int] = same_setting(Encoding, "png_compression")
    colors: Optional[int] = same_setting(Encoding, "colors")
    max_output_bytes: Optional[int] = same_setting(Encoding, "max_output_bytes")
    keep: Optional[Tuple[str, ...]] = same_setting(Encoding, "keep")

    def __post_init__(self) -> None:
        object.__setattr__(self, "format", settings_of(Output)["format"].spelt(self.format))
        check(self)
        if self.keep is not None:
            object.__setattr__(self, "keep", tuple(self.keep))
        if self.suffix is None:
            return
        if not _SUFFIX.fullmatch(self.suffix) or self.suffix in _TAKEN:
            raise ValueError(
                f"suffix={self.suffix!r} of an output must be up to 32 lower-case letters, digits "
                f"and hyphens, beginning with a letter, and none of {', '.join(sorted(_TAKEN))}"
            )
        if self.suffix == self._default_name:
            object.__setattr__(self, "suffix", None)

    @property
    def name(self) -> str:
        """What tells it from a picture's other outputs.

        >>> Output("cutout", resize=512).name, Output("cutout", suffix="thumb").name
        ('cutout512', 'thumb')
        """
        return self.suffix or self._default_name

    @property
    def _default_name(self) -> str:
        return f"{self.shows}{self.resize or ''}"

    @property
    def is_grey(self) -> bool:
        """Whether it has neither colours nor transparency."""
        return SHOWS[self.shows].is_grey

    def short(self) -> Union[str, "Output"]:
        """Its name with its format, if these say all of it.

        >>> Output("mask", resize=256, format="png").short()
        'mask256.png'
        """
        text = self._default_name + (f".{self.format}" if self.format else "")
        plain = Output(self.shows, resize=self.resize, format=self.format)
        return text if self == plain else self

    @functools.cache  # noqa: B019 -- of the few outputs and encodings of a run
    def encoding(self, of_run: Encoding) -> Encoding:
        """How it is encoded; `ValueError` for what its format hasn't or can't hold.

        >>> of_run = Encoding(format="webp", quality=90)
        >>> Output("cutout", format="avif").encoding(of_run).quality
        90
        >>> Output("cutout", quality=70).encoding(of_run).quality
        70
        """
        found = self._encoding(of_run)
        if self.shows == "trimap" and not found.keeps_levels():
            raise ValueError(
                f"a trimap's levels, 255, 128 and 0, don't stay as they are in {found.format} with "
                "loss or fewer colours: ask for trimap.png"
            )
        return found

    def _encoding(self, of_run: Encoding) -> Encoding:
        names = {field.name for field in fields(Encoding)}
        told = {name: value for name, value in vars(self).items() if name in names}
        own = {name: value for name, value in told.items() if value is not None}
        if own in ({}, {"format": of_run.format}):
            return of_run
        inherited = {name: getattr(of_run, name) for name in ("format", "max_output_bytes", "keep")}
        if FORMATS[own.get("format", of_run.format)].max_quality and not self.lossless:
            inherited["quality"] = of_run.quality
        return Encoding(**{**inherited, **own})


def in_order(outputs: Any) -> Tuple[Output, ...]:
    """The outputs of names, mappings and records, each once.

    Raises:
      ValueError: of what is none, and of two with one name; what it says goes on behind the value.

    >>> [each.name for each in in_order(["mask", "cutout512.webp", {"shows": "cutout"}, "mask"])]
    ['cutout', 'cutout512', 'mask']
    """
    if not isinstance(outputs, (tuple, list)) or not outputs:
        raise ValueError(f"must be {RULE}")
    found: Dict[str, Output] = {}
    for each in sorted(map(_output, outputs), key=_place):
        if found.setdefault(each.name, each) != each:
            raise ValueError(
                f"has two outputs called {each.name!r}, which would have one name: give one a "
                "suffix of its own"
            )
    return tuple(found.values())


def _place(output: Output) -> Tuple[int, int, str]:
    return list(SHOWS).index(output.shows), output.resize or 0, output.name


def _output(told: Any) -> Output:
    """The output of a name, a mapping or a record."""
    if isinstance(told, Output):
        return told
    if isinstance(told, str) and (match := _SHORT.fullmatch(told)):
        shows, resize, format = match.groups()
        told = {"shows": shows, "resize": int(resize) if resize else None, "format": format}
    if not isinstance(told, Mapping):
        raise ValueError(f"must be {RULE}")
    names = [field.name for field in fields(Output)]
    for name in told:
        if name not in names:
            hint = did_you_mean(name, names, f"; there are {', '.join(names)}")
            raise ValueError(f"has {name!r}, which no output has{hint}")
    if "shows" not in told:
        raise ValueError(f"must say of each output what it shows, one of {', '.join(SHOWS)}")
    try:
        return Output(**told)
    except ValueError as error:
        raise ValueError(f"has an output that can't be: {error}") from error


def of_picture(names: Any, of_run: Sequence[Output]) -> Tuple[Output, ...]:
    """The outputs that a picture asks for by its extras: the run's by their names, or plain ones.

    Others would not be found again when a run is resumed, so they are a `ValueError`.

    >>> [each.resize for each in of_picture(["cutout512"], in_order(["cutout512", "mask"]))]
    [512]
    """
    known = {**{shows: Output(shows) for shows in SHOWS}, **{each.name: each for each in of_run}}
    is_list = isinstance(names, (tuple, list)) and bool(names)
    if is_list and all(isinstance(name, str) and name in known for name in names):
        return in_order([known[name] for name in names])
    raise ValueError(
        f"outputs={names!r} of a picture's own must be one or more of {', '.join(known)}"
    )
