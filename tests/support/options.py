"""What rembg may be asked for, as one table for all tests of pixels."""

from typing import Any, Dict

MATTING = {"alpha_matting": True, "alpha_matting_erode_size": 2}
OPAQUE = {"bgcolor": (9, 8, 7, 255)}

# The options of rembg's, alone and in those company that takes another way through its code.
OPTIONS: Dict[str, Dict[str, Any]] = {
    "none": {},
    "only_mask": {"only_mask": True},
    "post_process_mask": {"post_process_mask": True},
    "only_mask, post_process_mask": {"only_mask": True, "post_process_mask": True},
    "putalpha": {"putalpha": True},
    "putalpha, post_process_mask": {"putalpha": True, "post_process_mask": True},
    "bgcolor": OPAQUE,
    "bgcolor, putalpha": {"bgcolor": (9, 8, 7, 99), "putalpha": True},
    "bgcolor, post_process_mask": {**OPAQUE, "post_process_mask": True},
    "decontaminate": {"decontaminate": True},
    "decontaminate, bgcolor": {"decontaminate": True, **OPAQUE},
    "decontaminate, post_process_mask": {"decontaminate": True, "post_process_mask": True},
    "alpha_matting": MATTING,
    "alpha_matting, bgcolor": {**MATTING, **OPAQUE},
    "alpha_matting, post_process_mask": {**MATTING, "post_process_mask": True},
    "alpha_matting, thresholds": {
        **MATTING,
        "alpha_matting_foreground_threshold": 200,
        "alpha_matting_background_threshold": 20,
    },
}

# Each alone.
ALONE = {name: options for name, options in OPTIONS.items() if ", " not in name}

# These take a second model.
VITMATTE: Dict[str, Dict[str, Any]] = {
    "vitmatte": {"vitmatte": True},
    "vitmatte, putalpha": {"vitmatte": True, "putalpha": True},
}


def named(*names: str) -> Any:
    """Some of the table, for `pytest.mark.parametrize`."""
    import pytest

    return [pytest.param(OPTIONS[name], id=name) for name in names]
