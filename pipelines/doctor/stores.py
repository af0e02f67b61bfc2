"""Stores: whether this machine has credentials for gs:// and s3://; nothing is read or written.

In: nothing. Out: lines; warnings where there are none, since not everyone needs them.
"""

import importlib.util
import os
from typing import Iterator

from .line import Line, ok, warning


def examine() -> Iterator[Line]:
    """Google Cloud Storage and S3."""
    yield _google()
    yield _amazon()


def _google() -> Line:
    import google.auth
    from google.auth.exceptions import GoogleAuthError

    about = "gs://"
    if emulator := os.environ.get("STORAGE_EMULATOR_HOST"):
        way_out = "unset STORAGE_EMULATOR_HOST for Google's own"
        return warning(about, f"an emulator's, {emulator!r}", way_out)
    try:
        credentials, project = google.auth.default()
    except (GoogleAuthError, OSError) as error:
        way_out = "run `gcloud auth application-default login`, or work with other storage"
        return warning(about, f"no credentials: {str(error).partition('. ')[0]}", way_out)
    account = getattr(credentials, "service_account_email", None) or type(credentials).__name__
    return ok(about, f"credentials of {account}, project {project or 'not known'}")


def _amazon() -> Line:
    about = "s3://"
    if importlib.util.find_spec("boto3") is None:
        return ok(about, "not installed; apache-beam[aws] brings it")
    import boto3

    if boto3.Session().get_credentials() is None:
        return warning(about, "no credentials", "run `aws configure`, or work with other storage")
    return ok(about, "credentials found")
