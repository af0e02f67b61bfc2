"""Arguments for particular models, checked before the model runs.

In: the `extras` of a picture or a run. Nothing out; `check` raises `ValueError` that names the key,
the rule and an example. rembg's own check of a SAM prompt lets through what then fails inside the
model (a point of one number, a rectangle without corners).
"""

from typing import Any, Collection, Mapping

from ..setting import did_you_mean

CLOTH_CATEGORIES = ("upper", "lower", "full", "attire")

_EXAMPLE = (
    'such as [{"type": "point", "data": [x, y], "label": 1}] (label 0 for the background) or '
    '[{"type": "rectangle", "data": [x0, y0, x1, y1]}], in pixels of the upright picture'
)

_NUMBERS = {"point": 2, "rectangle": 4}


# What the `predict` of rembg's session classes for local models looks at.
KNOWN = ("sam_prompt", "cloth_category", "cc")


def check(extras: Mapping[str, Any], options: Collection[str] = ()) -> None:
    """Checks keys and values; rembg ignores a key it doesn't know without a word.

    Args:
      extras: what is checked.
      options: of `rembg.remove`, which may have been meant.
    """
    for key in extras:
        if key not in KNOWN:
            hint = did_you_mean(key, (*KNOWN, *options))
            raise ValueError(
                f"neither rembg.remove nor a model of rembg knows {key!r}{hint} Models know "
                f"{', '.join(KNOWN)}"
            )
    if "sam_prompt" in extras:
        _check_sam_prompt(extras["sam_prompt"])
    for key in ("cc", "cloth_category"):
        if extras.get(key) is not None and extras[key] not in CLOTH_CATEGORIES:
            raise ValueError(f"{key}={extras[key]!r} must be one of {', '.join(CLOTH_CATEGORIES)}")


def _check_sam_prompt(prompt: Any) -> None:
    if not isinstance(prompt, list) or not prompt:
        raise ValueError(f"sam_prompt={prompt!r} must be a list of marks, {_EXAMPLE}")
    for mark in prompt:
        problem = _problem(mark)
        if problem:
            raise ValueError(f"sam_prompt: {mark!r} {problem}; a prompt is a list, {_EXAMPLE}")


def _problem(mark: Any) -> str:
    if not isinstance(mark, dict) or mark.get("type") not in _NUMBERS:
        return "must be an object whose type is point or rectangle"
    data, count = mark.get("data"), _NUMBERS[mark["type"]]
    if not isinstance(data, list) or len(data) != count or not all(map(_is_number, data)):
        return f"must have {count} numbers as its data"
    if mark["type"] == "point" and mark.get("label") not in (0, 1):
        return "must have the label 0 or 1"
    return ""


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
