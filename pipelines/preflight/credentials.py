"""Whether Google Cloud would let a job in: Beam tries for minutes before it says there is no key.

In: the runner, Beam's options and the settings. Out: nothing. Fails with `UsageError` if what they
name needs credentials and this machine has none.
"""

import os

from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions

from ...transforms.store import uris
from .. import runners
from ..settings import Settings
from ..status import UsageError

_WAY_OUT = (
    "`gcloud auth application-default login`, or name a key's file by the environment "
    "variable GOOGLE_APPLICATION_CREDENTIALS"
)


def check(runner: str, options: PipelineOptions, given: Settings) -> None:
    """Looks for what Beam will look for, once; nothing is asked where nothing needs it."""
    if options.view_as(GoogleCloudOptions).no_auth:
        return
    if runners.short(runner) == "dataflowrunner":
        if error := _lack():
            raise UsageError(
                f"Dataflow needs credentials of Google Cloud, a template too: {error} Log in by "
                f"{_WAY_OUT}. `rembg-beam check` needs none"
            )
        return
    uri = _in_a_bucket(given)
    if uri and not os.environ.get("STORAGE_EMULATOR_HOST") and _lack():
        raise UsageError(
            f"{uri!r} needs credentials of Google Cloud, and this machine has none: log in by "
            f"{_WAY_OUT}; a bucket that is open to all is read with --no_auth"
        )


def _in_a_bucket(given: Settings) -> str:
    """The first that is named and lies on gs://; "" if there is none."""
    files = given.output, given.model_dir, given.model_path, given.background
    named = [*given.input, *given.input_list, *files]
    found = (uris.without_secrets(uri) for uri in named if uri and uris.scheme(uri) == "gs")
    return next(found, "")


def _lack() -> str:
    """What Google's library says of there being no credentials; "" if there are some."""
    import google.auth
    from google.auth.exceptions import DefaultCredentialsError

    try:
        google.auth.default(scopes=GoogleCloudOptions.OAUTH_SCOPES)
    except DefaultCredentialsError as error:
        return str(error)
    return ""
