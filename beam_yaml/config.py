"""A transform's config, as YAML or another language gives it -> checked values.

In: keyword arguments, named as the flags are; mappings may be rows. Out: a value of its setting's
kind for each. Fails with `ValueError` that names the key, the rule and the nearest name. A class
that is `configured` says itself which keys it takes: in its signature, of which Beam makes a
schema, and under `Args:`, which Beam's generator of documentation prints.
"""

import inspect
from typing import Any, Callable, Dict, List, Mapping, Optional, Type, TypeVar

from apache_beam.utils.timestamp import Timestamp

from ..pipelines import values
from ..transforms.setting import REQUIRED, Setting, did_you_mean, flat, settings_of

ERROR_HANDLING = "error_handling"

# As Beam's own transforms call the output of what didn't fail.
GOOD = "good"

C = TypeVar("C")

# What a schema says of a kind; Any where a value may be written in several ways.
_TYPES: Dict[Any, Any] = {
    **{"switch": bool, "integer": int, "number": float, "text": str, "limit": str},
    **{"texts": List[str], "pairs": Mapping[str, Any], "json": Mapping[str, Any]},
    **{"errors": Mapping[str, str]},
}

_ERRORS = Setting(
    "a mapping, `output: NAME`: failures leave by the output of that name, with `element`, the "
    "input's element as it came, `msg` and `stack`; without it they are rows among the others",
    kind="errors",
)


def configured(
    settings: Mapping[str, Setting], errors: bool = False
) -> Callable[[Type[C]], Type[C]]:
    """A class whose constructor takes these settings, and `error_handling` if it has `errors`."""
    keys = {**settings, **({ERROR_HANDLING: _ERRORS} if errors else {})}

    def told(cls: Type[C]) -> Type[C]:
        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        parameters = [own, *(_parameter(name, each) for name, each in keys.items())]
        setattr(cls.__init__, "__signature__", inspect.Signature(parameters))  # noqa: B010
        lines = [f"  {name}: {each.meaning()}" for name, each in keys.items()]
        cls.__doc__ = "\n".join([inspect.cleandoc(cls.__doc__ or ""), "", "Args:", *lines])
        return cls

    return told


def _parameter(name: str, each: Setting) -> inspect.Parameter:
    hint = _TYPES.get(each.kind, Any)
    if each.default is REQUIRED:
        return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, annotation=hint)
    hint = Any if hint is Any else Optional[hint]
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=each.default, annotation=hint
    )


def checked(cls: Any, settings: Mapping[str, Setting], config: Mapping[str, Any]) -> Dict[str, Any]:
    """The values of what a transform is told that is built of a class and its parts."""
    found = {}
    for name, value in config.items():
        if name not in settings:
            raise ValueError(f"{name} is no setting of {cls.__name__}{_hint(cls, name, settings)}")
        try:
            found[name] = values.checked(settings[name], plain(value))
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    for name, each in settings.items():
        if each.default is REQUIRED and found.get(name) is None:
            raise ValueError(f"{cls.__name__} needs {name}: {each.help}")
    return found


def _hint(cls: Any, name: str, settings: Mapping[str, Setting]) -> str:
    if name == ERROR_HANDLING:
        return "; failures are rows, with `status: failed`"
    declared = settings_of(cls)
    if name in declared and isinstance(declared[name].kind, type):
        return (
            f"; what it holds in Python is given by itself: {', '.join(flat(declared[name].kind))}"
        )
    return did_you_mean(name, list(settings), f"; it has {', '.join(settings)}", str)


def error_output(given: Any) -> Optional[str]:
    """The name of the output for failures; None without one."""
    said = plain(given)
    if said is None:
        return None
    if isinstance(said, dict) and list(said) == ["output"]:
        name = said["output"]
        if isinstance(name, str) and name not in ("", GOOD):
            return name
    raise ValueError(
        f"{ERROR_HANDLING}: {said!r} must be a mapping, output: NAME, with any name but {GOOD}"
    )


def plain(value: Any) -> Any:
    """Mappings and lists of what may be rows, as other languages send them; times in RFC 3339."""
    if isinstance(value, Timestamp):
        return value.to_rfc3339()
    value = value._asdict() if hasattr(value, "_asdict") else value
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, (list, tuple)) else value
