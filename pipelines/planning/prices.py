"""Prices, in dollars, and a file that replaces them.

In: a YAML or JSON file. Out: `Prices`, those of this table where the file has no others, and which
these are. Fails with `UsageError` for a name that is no price, for what is no amount, and for a
file without a date.
"""

import datetime
from dataclasses import dataclass
from typing import Any, Mapping, Tuple

from ...transforms.setting import check, did_you_mean, setting, settings_of
from .. import documents
from ..status import UsageError

# Of a file of prices.
FILE_BYTES = 100_000


def _dollars(default: float, help: str) -> Any:
    rule = "a number of dollars, 0 or more, and a million at most"
    return setting(default, f"dollars for {help}", minimum=0, maximum=1e6, rule=rule)


@dataclass(frozen=True, kw_only=True)
class Prices:
    """What machines, requests and storage cost.

    Attributes:
      built_in: the amounts that a file leaves out: this table's, of its date and source; () where
        all are of the same.
    """

    date: str = setting("2026-11-28", "when they were looked up")
    source: str = setting(
        "Dataflow batch in us-central1 as apache-beam 2.77 carries it, H100 by Compute Engine's "
        "list of September 2026, storage by cloud.google.com/storage/pricing-examples",
        "where they are from",
    )
    vcpu_hour: float = _dollars(0.056, "a vCPU for an hour")
    memory_gb_hour: float = _dollars(0.003557, "a GB of a worker's memory for an hour")
    disk_gb_hour: float = _dollars(0.000054, "a GB of a worker's disk for an hour")
    t4_hour: float = _dollars(0.42, "a T4 for an hour, beside its machine")
    l4_hour: float = _dollars(0.672, "an L4 for an hour, beside its machine")
    h100_machine_hour: float = _dollars(10.98, "an a3-highgpu-1g for an hour, its H100 included")
    shuffle_gb: float = _dollars(0.011, "a GB that crosses a shuffle")
    write_request: float = _dollars(0.005 / 1000, "a request that writes or lists")
    read_request: float = _dollars(0.0004 / 1000, "a request that reads")
    storage_gb_month: float = _dollars(0.020, "a GB kept for a month")

    built_in: Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        check(self)


def load(path: str) -> Prices:
    """The prices of a file, by their names; those it leaves out are this table's."""
    try:
        with open(path, "rb") as file:
            data = file.read(FILE_BYTES + 1)
        if len(data) > FILE_BYTES:
            raise ValueError(f"it has more than {FILE_BYTES} bytes")
        found = documents.from_yaml(data)
        if not isinstance(found, dict):
            raise ValueError("must be a mapping of prices to dollars")
        return _of(found)
    except (OSError, ValueError) as error:
        raise UsageError(f"--prices {path}: {error}") from error


def _of(found: Mapping[Any, Any]) -> Prices:
    known = settings_of(Prices)
    for name in found:
        if name not in known:
            raise ValueError(f"{name} is no price{did_you_mean(str(name), known, '', str)}")
    if found.get("date") in (None, ""):
        raise ValueError("date is missing: say when these prices held, such as 2026-11-28")
    texts = {name: _text(name, found[name]) for name in ("date", "source") if name in found}
    left_out = tuple(name for name in known if name not in {*found, "date", "source"})
    return Prices(**{"source": "the file", **found, **texts}, built_in=left_out)


def _text(name: str, value: Any) -> str:
    """A text; YAML makes a day of a date, and a number of a year."""
    if not isinstance(value, (str, int, datetime.date)):
        raise ValueError(f"{name} must be a text, such as 2026-11-28")
    return str(value)
