"""The command `rembg-beam plan`: what a run would take, and what it would cost.

In: the arguments of `rembg-beam run`, and a file of prices. Out: an exit status, 0 if a table could
be made, 1 if the sample could not be done, 2 for wrong use, as `run` has it. The table goes to
stdout. Inputs are listed, and a sample of them is done on this machine; nothing is written, and
nothing sent.
"""

import argparse
import json
import logging
import tempfile
import time
from typing import Any, Dict, List, Optional, Sequence, TextIO, Tuple, Union

import psutil
from apache_beam.options.pipeline_options import DirectOptions, PipelineOptions

from ...transforms import RemoveBackgrounds, SessionConfig
from ...transforms.models import catalogue, weights
from ...transforms.store import uris
from .. import (
    access,
    beam_options,
    checks,
    lean,
    logs,
    parsing,
    piped,
    runners,
    settings,
    signals,
)
from ..planning import flags, fleet, flops, inputs, prices, sample, shown
from ..planning.forecast import forecast
from ..planning.inputs import Inputs
from ..preflight import gpus, rules
from ..preflight.plan import Plan
from ..settings import Parsed
from ..status import FAILED_RUN, OK, UsageError

_log = logging.getLogger(__name__)


def command(arguments: List[str], stdout: TextIO) -> int:
    """`rembg-beam plan` with its arguments; returns the exit status."""
    logs.to_stderr()
    namespace, parsed = settings.from_command_line(_parser(), arguments, stdout)
    if parsed is None:
        return OK
    parsing.require_one("--sample", namespace.sample)
    amounts = prices.load(namespace.prices) if namespace.prices else prices.Prices()
    with signals.heard():
        told = _told(parsed)
        job, options = _job(told)
        todo = _inputs(job, parsed.settings.input_list, namespace.sample)
        if not todo.to_do:
            nothing = f"nothing to do: {todo.done or 0} done, {todo.refused} refused"
            print(_text(shown.counts(todo) if namespace.json else [nothing]), file=stdout)
            return OK
        try:
            found = _found(job, options, todo, amounts, _workers(told))
        except Exception as error:
            logs.say(f"the plan failed: {logs.cause(error)}")
            return FAILED_RUN
    whole = shown.document(found) if namespace.json else shown.lines(found)
    print(uris.without_secrets_in(_text(whole)), file=stdout)
    return OK


def _text(told: Union[Dict[str, Any], List[str]]) -> str:
    """A JSON object, or lines."""
    if isinstance(told, list):
        return "\n".join(told)
    return json.dumps(told, indent=2, ensure_ascii=False)


def _told(parsed: Parsed) -> Plan:
    """What a run would be told, refused as it would."""
    runner = runners.chosen(beam_options.Options(parsed.beam))
    told = Plan(runner, parsed.settings, parsed.beam)
    rules.require(rules.findings(told))
    return told


def _job(told: Plan) -> Tuple[RemoveBackgrounds, PipelineOptions]:
    """The job, and options for a pipeline in this process."""
    options = beam_options.Options(list(told.flags))
    access.prepare(runners.HERE, options, told.settings)
    options.view_as(DirectOptions).direct_running_mode = "in_memory"
    return checks.check(told.settings), options


def _workers(told: Plan) -> Tuple[fleet.Worker, ...]:
    gpu = (gpus.accelerator(told) or {}).get("type")
    return fleet.workers(told.worker.machine_type, gpu, gpus.number(told))


def _inputs(job: RemoveBackgrounds, input_list: Sequence[str], size: int) -> Inputs:
    """What there is to do; lists that can be read only once are kept here until they are read."""
    with piped.Lists(input_list) as lists, tempfile.TemporaryDirectory() as folder:
        try:
            return inputs.look(job, lists.keep(folder, "plan"), size)
        except (OSError, ValueError) as error:
            raise UsageError(str(error)) from error


def _found(
    job: RemoveBackgrounds,
    options: PipelineOptions,
    todo: Inputs,
    amounts: prices.Prices,
    workers: Sequence[fleet.Worker],
) -> shown.Found:
    """The sample done, and all that follows from it."""
    sampled = f"{len(todo.sample):,} of them are done here, and nothing is written"
    logs.say(f"pictures to do: {todo.to_do:,}; {sampled}")
    lean.prepare_rembg()
    # Imports and the listing are a run's, too.
    before = time.time() - psutil.Process().create_time()
    measured = sample.measure(job, options, todo.sample, todo.to_do)
    measured = measured._replace(start_seconds=before + measured.start_seconds)
    for why in measured.why:
        logs.say(f"of the sample failed: {logs.printable(uris.without_secrets_in(why))}")
    if measured.failed == measured.pictures:
        raise ValueError("no picture of the sample could be cut out")
    config = job.remove.config
    operations = _flops(config)
    samples = job.dataset.samples_per_shard
    table = forecast(todo, measured, operations, amounts, samples, workers)
    return shown.Found(todo, measured, amounts, table, config.model, operations)


def _flops(config: SessionConfig) -> Optional[float]:
    """Of a picture in the model; None where it is a service, or several graphs, or odd."""
    model = catalogue.find(config.model)
    if model.is_remote or model.size is None or len(model.files) > 1:
        return None
    (path,) = weights.ensure(
        model, model_path=config.model_path, model_dir=config.model_dir, offline=config.offline
    )
    try:
        return flops.of_graph(path, model.size)
    except Exception as error:  # onnxruntime's have no class in common
        _log.warning("the model's arithmetic can't be counted: %s", error)
        return None


def _parser() -> argparse.ArgumentParser:
    parser = parsing.Parser(
        prog="rembg-beam plan",
        description="Says what `rembg-beam run` with these options would take and cost, on this "
        "machine and on others: it lists the inputs, and does a sample of them here. Nothing is "
        "written or sent.",
    )
    add_arguments(parser)
    return parser


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of a run, and its own."""
    flags.add_arguments(parser)
    settings.add_arguments(parser)
