"""Access: Beam's options and the settings -> storage and the web as this process reads them.

In: the runner whose needs count, Beam's options, the settings. Out: nothing; Beam's file systems
and ours have been told. Fails with `UsageError` where credentials are needed and there are none.
"""

from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

from ..transforms.setting import build
from ..transforms.store.web import WebFileOptions, WebOptions
from .preflight import credentials
from .settings import Settings


def prepare(runner: str, options: PipelineOptions, given: Settings) -> None:
    """Looks for credentials, and tells the file systems how they read."""
    credentials.check(runner, options, given)
    WebFileOptions.set(options, build(WebOptions, vars(given)))
    FileSystems.set_options(options)
