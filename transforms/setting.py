"""A setting: a field of a dataclass that says once all there is to know of it.

In: `setting(default, help, ...)` in place of a field's default. Out: `settings_of` a class, from
which flags, keys of files, checks, docstrings and `docs/options.md` derive. `check` raises
`ValueError` that names the field, its value and the rule.
"""

import difflib
import functools
import inspect
import textwrap
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from os import PathLike
from typing import Any, Callable, Collection, Dict, Mapping, Optional, Tuple, Type, TypeVar

REQUIRED = MISSING

C = TypeVar("C")

# The kinds that follow from a field's type.
_KINDS: Dict[Any, str] = {
    **{bool: "switch", Optional[bool]: "switch", int: "integer", Optional[int]: "integer"},
    **{float: "number", Optional[float]: "number", str: "text", Optional[str]: "text"},
}

# What a value of a kind is, and how that is said; other kinds are checked by their dataclasses.
_TYPES: Dict[Any, Tuple[Any, str]] = {
    "switch": (bool, "True or False"),
    "integer": (int, "an integer"),
    "bytes": (int, "an integer"),
    "pixels": (int, "an integer"),
    "seconds": ((int, float), "a number of seconds"),
    "number": ((int, float), "a number"),
    "text": ((str, PathLike), "a text"),
}

# Of a mapping in place of an object.
_FLAT = (
    "in YAML and other languages take the transforms of rembg_beam.yaml, such as "
    "rembg_beam.yaml.RemoveBackground, whose settings are all flat"
)


@dataclass(frozen=True)
class Setting:
    """What is said of one setting.

    Attributes:
      help: what it means, in one sentence for `--help`.
      more: what else a reader of the reference should know.
      kind: what a value is; "" for what the field's type says. Of other types: "texts", "choices",
        "outputs", "providers" and "pairs" (flags that repeat), "bytes", "pixels", "seconds",
        "networks" (a switch that may take values), "color", "json", "limit", or a class: the
        settings of what is one object here.
      minimum, maximum, above: the range of a number.
      choices: the allowed texts; of the kind "choices" a value is one or more of them.
      spellings: other texts that people write for a choice, each with that choice.
      metavar: stands for the value in `--help`.
      rule: what a value must be, if the range and the choices don't say it well.
      flag: whether the command has it.
      name, default: the field's, filled in by `settings_of`.
    """

    help: str
    more: str = ""
    kind: Any = ""
    minimum: Optional[float] = None
    maximum: Optional[float] = None
    above: Optional[float] = None
    choices: Tuple[str, ...] = ()
    spellings: Tuple[Tuple[str, str], ...] = ()
    metavar: Optional[str] = None
    rule: str = ""
    flag: bool = True
    name: str = ""
    default: Any = None

    def meaning(self) -> str:
        return f"{self.help}; {self.more}" if self.more else self.help

    def must_be(self) -> str:
        """The rule for its values, "" where there is none but the kind's."""
        if self.rule or self.choices:
            number = "one or more" if self.kind == "choices" else "one"
            return self.rule or f"{number} of {', '.join(self.choices)}"
        if isinstance(self.kind, type):
            return f"{self.kind.__name__}({fields(self.kind)[0].name}=...)"
        noun = _TYPES[self.kind][1] if self.kind in _TYPES else ""
        if self.above is not None:
            return f"above {self.above:g}"
        if self.kind == "seconds":
            return f"{noun}, {self.minimum:g} or more"
        if self.maximum is not None:
            return f"{noun} from {self.minimum:g} to {self.maximum:g}"
        return "a positive integer" if self.minimum == 1 else noun

    def allows(self, value: Any) -> bool:
        """Whether a value has the right kind and keeps the rule; None, if it is the default."""
        if value is None:
            return self.default is None
        if self.choices:
            return self._is_chosen(value)
        if isinstance(self.kind, type):
            return isinstance(value, self.kind)
        if self.kind not in _TYPES:
            return True
        if not isinstance(value, _TYPES[self.kind][0]):
            return False
        if isinstance(value, bool):
            return self.kind == "switch"
        return (
            (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
        )

    def _is_chosen(self, value: Any) -> bool:
        if self.kind != "choices":
            return value in self.choices
        return isinstance(value, (tuple, list)) and bool(value) and set(value) <= set(self.choices)

    def spelt(self, value: Any) -> Any:
        """The choice that a value means; any other value as it is.

        >>> Setting("", choices=("jpeg",), spellings=(("jpg", "jpeg"),)).spelt("jpg")
        'jpeg'
        """
        return dict(self.spellings).get(value, value) if isinstance(value, str) else value

    def check(self, value: Any) -> None:
        if not self.allows(value):
            in_place = isinstance(self.kind, type) and _is_mapping(value)
            way_out = f"; {_FLAT}" if in_place else ""
            raise ValueError(f"{self.name}={value!r} must be {self.must_be()}{way_out}")


def _is_mapping(value: Any) -> bool:
    """Whether it is one, or a row, as pipelines in YAML and other languages have in its place."""
    return isinstance(value, Mapping) or hasattr(value, "_asdict")


def setting(default: Any, help: str, **more: Any) -> Any:
    """A dataclass's field with a `Setting`, whose fields `more` are; `REQUIRED` for no default."""
    return field(default=default, metadata={"setting": Setting(help, **more)})


def same_setting(cls: Any, name: str) -> Any:
    """A dataclass's field with the setting, and the default, that another class declares."""
    found = cls.__dataclass_fields__[name]
    return field(default=found.default, metadata=found.metadata)


def settings_of(cls: Any) -> Mapping[str, Setting]:
    """The settings that a dataclass declares, by their names.

    >>> @dataclass
    ... class Shade:
    ...     depth: int = setting(3, "how dark", minimum=0, maximum=9)
    >>> settings_of(Shade)["depth"].kind, settings_of(Shade)["depth"].must_be()
    ('integer', 'an integer from 0 to 9')
    """
    return _declared(cls)


@functools.cache
def _declared(cls: Any) -> Mapping[str, Setting]:
    found = {}
    for each in fields(cls):
        if told := each.metadata.get("setting"):
            kind = told.kind or _KINDS[each.type]
            found[each.name] = replace(told, kind=kind, name=each.name, default=each.default)
    return found


def flat(cls: Any) -> Dict[str, Setting]:
    """Those with a flag, of the classes it is made of too, in order."""
    found: Dict[str, Setting] = {}
    for each in settings_of(cls).values():
        if isinstance(each.kind, type):
            found |= flat(each.kind)
        elif each.flag:
            found[each.name] = each
    return found


def build(cls: Type[C], values: Mapping[str, Any]) -> C:
    """The object of flat values, and of what it is made of; `ValueError` as its checks raise.

    A part that may be None is, where nothing is said of it.
    """
    arguments = {}
    for each in settings_of(cls).values():
        if not isinstance(each.kind, type):
            if each.name in values:
                arguments[each.name] = values[each.name]
        elif each.default is not None or flat(each.kind).keys() & values.keys():
            arguments[each.name] = build(each.kind, values)
    return cls(**arguments)


def check(instance: Any) -> None:
    """Raises `ValueError` for the first setting whose value breaks its rule."""
    for each in settings_of(type(instance)).values():
        each.check(getattr(instance, each.name))


def changed(*instances: Any) -> Dict[str, Any]:
    """The fields of dataclasses that differ from their defaults.

    >>> @dataclass
    ... class Shade:
    ...     depth: int = 3
    ...     edge: str = "soft"
    >>> changed(Shade(depth=4))
    {'depth': 4}
    """
    found: Dict[str, Any] = {}
    for each in instances:
        default = type(each)()
        own = {field.name: getattr(each, field.name) for field in fields(each)}
        found |= {n: _plain(value) for n, value in own.items() if value != getattr(default, n)}
    return found


def _plain(value: Any) -> Any:
    """Records in a tuple as mappings of what they say."""
    if isinstance(value, tuple):
        return tuple(map(_plain, value))
    if not is_dataclass(value):
        return value
    own = {field.name: (getattr(value, field.name), field.default) for field in fields(value)}
    return {name: given for name, (given, default) in own.items() if given != default}


def documented(cls: Type[C]) -> Type[C]:
    """The dataclass, with what its settings mean as `Args:` of its docstring."""
    wrapper = textwrap.TextWrapper(
        98, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
    )
    told = [wrapper.fill(f"{name}: {each.meaning()}") for name, each in settings_of(cls).items()]
    cls.__doc__ = "\n".join([inspect.cleandoc(cls.__doc__ or ""), "", "Args:", *told])
    return cls


def did_you_mean(
    name: str, names: Collection[str], otherwise: str = ".", shown: Callable[[str], str] = repr
) -> str:
    """The end of a message about an unknown name.

    >>> did_you_mean("u2nett", ["u2net", "tiny"])
    "; did you mean 'u2net'?"
    """
    near = difflib.get_close_matches(name, names, n=1)
    return f"; did you mean {shown(near[0])}?" if near else otherwise
