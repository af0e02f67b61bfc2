"""For tests of pipelines that use `rembg_beam.transforms`: a model that is none, and matchers.

    model     a stand-in for a model, which needs no onnxruntime and no file
    outcomes  what one expects of outcomes, for Beam's `assert_that`

A test with both runs in about a second. `docs/testing.md` has an example.
"""

from .model import Call, FakeModel, brightness
from .outcomes import Expected, failed, outcomes_equal, skipped, written

__all__ = [
    "FakeModel",
    "brightness",
    "Call",
    "outcomes_equal",
    "written",
    "skipped",
    "failed",
    "Expected",
]
