"""Whether Dataflow would be let in: Beam tries for minutes before it says that there is no key.

In: Beam's options. Out: nothing. Fails with `UsageError` if this machine has no credentials.
"""

import google.auth
from apache_beam.options.pipeline_options import GoogleCloudOptions, PipelineOptions
from google.auth.exceptions import DefaultCredentialsError

from ..status import UsageError


def check(options: PipelineOptions) -> None:
    """Looks for what Beam will look for, once."""
    if options.view_as(GoogleCloudOptions).no_auth:
        return
    try:
        google.auth.default(scopes=GoogleCloudOptions.OAUTH_SCOPES)
    except DefaultCredentialsError as error:
        raise UsageError(
            f"Dataflow needs credentials of Google Cloud, a template too: {error} Log in by "
            "`gcloud auth application-default login`, or name a key's file by the environment "
            "variable GOOGLE_APPLICATION_CREDENTIALS. `rembg-beam check` needs none"
        ) from error
