"""Notifications: messages of a bucket's -> the pictures that were put there.

In: messages of Pub/Sub as Cloud Storage sends them (payload format `JSON_API_V1` or none): their
attributes `eventType`, `bucketId` and `objectId` tell all. Out: a `Source` of each new or replaced
picture; `(Source, Failure)` of what is no such message. Passed over are messages of other events,
of objects that a folder's walk leaves out too (without a picture's suffix, or hidden), and of those
outside the folder. The same message twice gives the same source twice. Window and timestamp stay.
"""

from dataclasses import dataclass
from typing import Any, Iterator, Mapping, Optional, Tuple

import apache_beam as beam
from apache_beam.pvalue import TaggedOutput

from .. import coders as coders
from .. import naming
from ..elements import Failure, Source
from ..runtime import metrics
from ..runtime.failures import FAILURES, attempt
from ..setting import check, documented, setting
from ..store import uris
from . import patterns

STEP = "find"

# Of messages that an object is there, new or replaced.
FINALIZED = "OBJECT_FINALIZE"

ATTRIBUTES = ("eventType", "bucketId", "objectId")

# Of a message that is none of Cloud Storage's, for its row.
SHOWN = 200


class BadNotification(ValueError):
    """A message that is no notification of Cloud Storage's."""


@documented
@dataclass(kw_only=True, eq=False)
class ReadNotifications(beam.PTransform):
    """The pictures that a bucket's notifications tell of.

    Apply it to what `ReadFromPubSub(..., with_attributes=True)` gives; it gives a pair of
    PCollections:

        sources, failures = messages | ReadNotifications(folder="gs://bucket/photos")

    `Source` records, and `(Source, Failure)` pairs of messages that are no notifications.
    """

    folder: Optional[str] = setting(
        None,
        "the bucket's folder whose pictures are taken, and that names are relative to; None for "
        "all, which are named by bucket and path",
    )
    exclude: Optional[str] = setting(None, "a folder whose files are no input, such as the output")

    def __post_init__(self) -> None:
        super().__init__()
        check(self)
        if self.folder is not None and (uris.scheme(self.folder) != "gs" or "*" in self.folder):
            raise ValueError(
                f"folder={self.folder!r} must be a folder of a bucket, gs://..., without wildcards"
            )

    def expand(self, messages: beam.PCollection) -> Tuple[beam.PCollection, beam.PCollection]:
        taking = beam.ParDo(_TakeNotifications(self.folder, self.exclude))
        found = messages | "Take notifications" >> taking.with_outputs(FAILURES, main="sources")
        return found["sources"], found[FAILURES]


@beam.typehints.with_output_types(Source)
class _TakeNotifications(beam.DoFn):
    def __init__(self, folder: Optional[str], exclude: Optional[str]) -> None:
        self.folder = folder
        self.exclude = exclude

    def process(self, message: Any) -> Iterator[Any]:
        uri = attempt(STEP, finalized, getattr(message, "attributes", None))
        if isinstance(uri, Failure):
            metrics.count_failure(STEP, seconds=0)
            yield TaggedOutput(FAILURES, (Source(_shown(message)), uri))
        elif uri is None or not self._is_taken(uri):
            metrics.count("notifications_passed_over")
        else:
            name = naming.relative_name(uri, self.folder) if self.folder else None
            yield Source(uri, name)

    def _is_taken(self, uri: str) -> bool:
        if self.exclude is not None and patterns.is_under(uri, self.exclude):
            return False
        if self.folder is not None and not patterns.is_under(uri, self.folder):
            return False
        return patterns.is_picture_below(uri, self.folder or "gs://")


def finalized(attributes: Optional[Mapping[str, str]]) -> Optional[str]:
    """The URI of the object that a notification says is there; None for one of another event.

    >>> event = {"eventType": "OBJECT_FINALIZE", "bucketId": "b", "objectId": "x/a.jpg"}
    >>> finalized(event), finalized({**event, "eventType": "OBJECT_DELETE"})
    ('gs://b/x/a.jpg', None)
    """
    told = attributes or {}
    if lacking := [name for name in ATTRIBUTES if not told.get(name)]:
        raise BadNotification(
            f"the message has no attribute {', '.join(lacking)}: a notification of Cloud Storage's "
            "has; read them by ReadFromPubSub(..., with_attributes=True)"
        )
    event, bucket, name = (told[each] for each in ATTRIBUTES)
    return f"gs://{bucket}/{name}" if event == FINALIZED else None


def _shown(message: Any) -> str:
    told = getattr(message, "attributes", None) or getattr(message, "data", None) or message
    return uris.without_secrets_in(repr(told))[:SHOWN]
