"""BigQuery: a table or a query -> its rows.

In: `bq://PROJECT.DATASET.TABLE`, or `bq://SELECT ...` in BigQuery's own SQL. Out: rows, as
dictionaries. They are read by Beam's source from BigQuery's Storage API: columns come with their
types, and nothing is exported first. `target` raises `ValueError` for what is neither a table nor a
query; what BigQuery refuses fails the pipeline.
"""

import re
from typing import Any, Dict

import apache_beam as beam

from ..store import uris

_PROJECT = r"(?:[\w.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]"
_TABLE = re.compile(rf"(?P<project>{_PROJECT})\.(?P<dataset>\w+)\.(?P<table>[\w$-]+)")


def is_meant(uri: str) -> bool:
    """Whether an input is a table of BigQuery's, or a query.

    >>> is_meant("bq://project.data.photos"), is_meant("gs://bucket/photos")
    (True, False)
    """
    return uris.scheme(uri) == "bq"


def target(uri: str) -> Dict[str, Any]:
    """What to read, as arguments of Beam's source.

    >>> target("bq://my-project.shop.photos")
    {'table': 'my-project:shop.photos'}
    >>> target("bq://SELECT url FROM `shop.photos`")
    {'query': 'SELECT url FROM `shop.photos`', 'use_standard_sql': True}
    """
    asked = uri.partition("://")[2].strip()
    if re.search(r"\s", asked):
        return {"query": asked, "use_standard_sql": True}
    if found := _TABLE.fullmatch(asked):
        return {"table": "{project}:{dataset}.{table}".format(**found.groupdict())}
    raise ValueError(
        f"{uri!r} is neither a table nor a query: bq://PROJECT.DATASET.TABLE or bq://SELECT ..."
    )


class ReadRows(beam.PTransform):
    """The rows of one table or query, as dictionaries.

    Args:
      uri: the table or query.
    """

    def __init__(self, uri: str) -> None:
        super().__init__()
        self.target = target(uri)

    def expand(self, start: Any) -> Any:
        from apache_beam.io import ReadFromBigQuery

        method = ReadFromBigQuery.Method.DIRECT_READ
        return start | "Read rows" >> ReadFromBigQuery(method=method, **self.target)
