"""Postprocessing: what becomes of masks and cutouts beyond what rembg does.

In: settings, by default of nothing at all. Out: `PostProcessing`. `check_outputs`
raises `ValueError` for what makes no sense with rembg's options, or that a format can't hold.
"""

from dataclasses import dataclass
from typing import Any, Dict

from ..setting import changed, check, documented, setting
from .cleanup import MaskCleanup
from .encode import FORMATS, Encoding
from .frames import check_framing
from .framing import Framing
from .options import RemoveOptions
from .shadow import Shadow, check_shadow
from .trimap import TrimapWidths, check_trimap


@documented
@dataclass(frozen=True, kw_only=True)
class PostProcessing:
    """What becomes of masks and cutouts beyond what rembg does, in this order."""

    cleanup: MaskCleanup = setting(
        MaskCleanup(),
        "what is put right in masks before anything is made of them",
        kind=MaskCleanup,
    )
    trimap: TrimapWidths = setting(
        TrimapWidths(), "how wide the unsure band of a trimap is", kind=TrimapWidths
    )
    shadow: Shadow = setting(Shadow(), "what shadow the subject throws", kind=Shadow)
    framing: Framing = setting(
        Framing(), "how outputs are cropped, placed and sized, and what is behind", kind=Framing
    )

    def __post_init__(self) -> None:
        check(self)

    def changed(self) -> Dict[str, Any]:
        """All its settings that differ from their defaults, without secrets."""
        return changed(self.cleanup, self.trimap, self.shadow, self.framing.without_secrets())


NOTHING = PostProcessing()


def check_outputs(
    options: RemoveOptions, encoding: Encoding, postprocessing: PostProcessing = NOTHING
) -> None:
    """Raises `ValueError` for settings that make no sense together, or that would do nothing."""
    check_shadow(options, postprocessing.shadow)
    check_trimap(options, postprocessing.trimap)
    check_framing(options, postprocessing.framing)
    has_background = bool(postprocessing.framing.background)
    for output in options.requested():
        try:
            format = output.encoding(encoding).format
        except ValueError as error:
            raise ValueError(f"the output {output.name!r}: {error}") from error
        is_opaque = has_background or options.is_opaque(output)
        if not FORMATS[format].has_alpha and not is_opaque:
            raise ValueError(
                f"format={format!r} has no transparency, which the output {output.name!r} has: add "
                "a bgcolor with alpha 255, such as --bgcolor white, or a background, or only_mask, "
                "or use png, webp or avif"
            )
