"""Every: all examinations, in their order.

In: the model and the provider that must work. Out: their lines. One that fails itself is a fault.
"""

import functools
from typing import Iterator, Tuple

from ...transforms.models.providers import Provider
from . import machine, models, packages, picture, stores
from .line import Examination, Line, fault


def examine(model: str, provider: Provider) -> Iterator[Line]:
    """What is found, as it is found."""
    every: Tuple[Tuple[str, Examination], ...] = (
        ("packages", packages.examine),
        ("machine", machine.examine),
        ("models", functools.partial(models.examine, provider)),
        ("stores", stores.examine),
        ("a picture", functools.partial(picture.examine, model, provider)),
    )
    for about, examination in every:
        try:
            yield from examination()
        except Exception as error:
            found = f"can't be looked at: {type(error).__name__}: {error}"
            yield fault(about, found, "please tell us, with this line")
