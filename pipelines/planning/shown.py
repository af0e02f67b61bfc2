"""A forecast -> text, or one JSON object.

In: what was found, measured and computed. Out: lines for a terminal, or a document with the same
numbers, unrounded. Nothing can fail.
"""

import textwrap
from dataclasses import asdict
from typing import Any, Dict, List, NamedTuple, Optional, Sequence, Tuple

from ...transforms.setting import settings_of
from . import costs, fleet
from .forecast import FILES, SHARDS, START_SECONDS, Forecast, Row
from .inputs import Inputs
from .prices import Prices
from .sample import Measured
from .units import dollars, hours, size

_HEAD = ("machine", "number", *("hours", "dollars", "limit") * 2)
_LEFT = (0, 4, 7)

WIDTH = 100


class Found(NamedTuple):
    """All that is shown.

    Attributes:
      inputs, measured, prices, forecast: as their modules have them.
      model: its name.
      flops: of a picture in it; None if they aren't known.
    """

    inputs: Inputs
    measured: Measured
    prices: Prices
    forecast: Forecast
    model: str
    flops: Optional[float]


def counts(inputs: Inputs) -> Dict[str, Any]:
    """The JSON object where there is nothing to do."""
    return {
        "pictures": {name: getattr(inputs, name) for name in ("to_do", "done", "refused")},
        "rows": [],
    }


def document(found: Found) -> Dict[str, Any]:
    """The JSON object; bytes, seconds, hours and dollars are plain numbers."""
    inputs, measured, prices, forecast, model, flops = found
    requests = {
        layout: {**each._asdict(), "dollars": each.dollars(prices)}
        for layout, each in forecast.requests.items()
    }
    return {
        "pictures": {
            **counts(inputs)["pictures"],
            "bytes_in": forecast.stored_in.bytes,
            "bytes_in_are_listed": inputs.is_sized,
        },
        "sample": measured._asdict(),
        "model": {"name": model, "flops": flops, "flops_are": "counted in its graph"},
        "rows": [row._asdict() for row in forecast.rows],
        "storage": {
            "in": forecast.stored_in._asdict(),
            "out": forecast.stored_out._asdict(),
            "requests": requests,
        },
        "prices": asdict(prices),
        "assumed": {"start_seconds": START_SECONDS, "disk_gb": costs.DISK_GB},
    }


def lines(found: Found) -> List[str]:
    """What a terminal shows."""
    return [
        *_of_inputs(found.inputs, found.forecast),
        *_of_sample(found.measured, found.model),
        "",
        *_table(found.forecast.rows),
        *_notes(found),
        "",
        *_of_storage(found.forecast, found.prices),
        *_of_prices(found.prices),
    ]


def _of_inputs(inputs: Inputs, forecast: Forecast) -> List[str]:
    how = "as listed" if inputs.is_sized else "about, by the sample and what is listed"
    done = "not counted out" if inputs.done is None else f"{inputs.done:,}"
    counts = f"{inputs.to_do:,} to do, {size(forecast.stored_in.bytes)} ({how})"
    return [f"pictures: {counts}; done: {done}; refused: {inputs.refused:,}"]


def _of_sample(measured: Measured, model: str) -> List[str]:
    spread = "" if measured.spread is None else f" ± {measured.spread:.0%} (95 %)"
    share = measured.model_seconds / measured.cpu_seconds
    return [
        f"sample: {measured.pictures} pictures, {measured.failed} failed; {model} on "
        f"{measured.provider}, {measured.threads} threads, {measured.cores} cores",
        f"        {1 / measured.seconds:,.2f} pictures/s{spread}; start "
        f"{measured.start_seconds:.1f} s; each {measured.cpu_seconds:.3g} s of CPU, {share:.0%} of "
        "that the model",
    ]


def _table(rows: Sequence[Row]) -> List[str]:
    """A line for each machine and number, files before shards."""
    in_files = [row for row in rows if row.layout == FILES]
    in_shards = [row for row in rows if row.layout == SHARDS]
    cells: List[Tuple[str, ...]] = [("", "", "in files", "", "", "in shards", "", ""), _HEAD]
    for one, other in zip(in_files, in_shards, strict=True):
        mark = " *" if one.is_estimate else ""
        cells.append((one.machine + mark, f"{one.number}", *_cells(one), *_cells(other)))
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    return [
        "  ".join(
            cell.ljust(width) if column in _LEFT else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(row, widths))
        ).rstrip()
        for row in cells
    ]


def _cells(row: Row) -> Tuple[str, str, str]:
    paid = "-" if row.dollars is None else dollars(row.dollars)
    return hours(row.hours), paid, row.limit


def _notes(found: Found) -> List[str]:
    """What the table rests on."""
    provider = found.measured.provider
    on_cores = "a vCPU is taken for one of the cores here"
    if not found.measured.is_on_cpu:
        on_cores = f"workers without a GPU are not foretold: the sample ran on {provider}"
    on_gpus = ["no GPU is foretold: the arithmetic of the model is not known"]
    if found.flops:
        shares = (f"{each.share:.0%} of the {each.chip}'s" for each in fleet.WORKERS if each.gpu)
        on_gpus = [
            f"* an estimate, at best: {found.flops / 1e9:,.1f} GFLOP a picture, counted in the",
            f"  model's graph, at {', '.join(shares)} TFLOPS",
        ]
    start = f"workers take {START_SECONDS} s to start, assumed, and have {costs.DISK_GB} GB of disk"
    return [*on_gpus, start, on_cores]


def _of_storage(forecast: Forecast, prices: Prices) -> List[str]:
    kept = [
        f"{name} {size(each.bytes)}, {dollars(each.dollars_month)} a month"
        for name, each in (("in", forecast.stored_in), ("out", forecast.stored_out))
    ]
    return [
        f"storage: {'; '.join(kept)}",
        *(
            f"requests in {layout}: {each.writes:,.0f} that write or list, {each.reads:,.0f} that "
            f"read, {dollars(each.dollars(prices))}"
            for layout, each in forecast.requests.items()
        ),
    ]


def _of_prices(prices: Prices) -> List[str]:
    names = [name for name in settings_of(Prices) if name not in ("date", "source")]
    own = [name for name in names if name not in prices.built_in]
    parts = [_of_one_date(Prices(), prices.built_in)] if prices.built_in else []
    parts = [_of_one_date(prices, own), *parts] if own else parts
    text = f"prices in dollars, {'; and built in, '.join(parts)}"
    return textwrap.wrap(text, WIDTH, subsequent_indent="  ", break_on_hyphens=False)


def _of_one_date(prices: Prices, names: Sequence[str]) -> str:
    amounts = ", ".join(f"{name} {getattr(prices, name):g}" for name in names)
    return f"of {prices.date} ({prices.source}): {amounts}"
