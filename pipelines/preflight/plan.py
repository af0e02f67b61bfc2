"""What a run was told, as rules ask for it; and what a rule and a finding are.

In: a runner, settings, Beam's options. Out: `Plan`, whose answers are None where nothing is known.
Nothing here fails: settings that make no sense by themselves are refused elsewhere.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Callable, Dict, NamedTuple, Optional, Sequence, Type, TypeVar

from apache_beam.options.pipeline_options import (
    DebugOptions,
    FlinkRunnerOptions,
    GoogleCloudOptions,
    PipelineOptions,
    PortableOptions,
    SparkRunnerOptions,
    StandardOptions,
    WorkerOptions,
)

from ...transforms.models import catalogue
from ...transforms.models.config import SessionConfig
from ...transforms.setting import build
from .. import beam_options, runners
from ..settings import Settings

V = TypeVar("V", bound=PipelineOptions)

# Providers that need one of NVIDIA's GPUs.
NVIDIA = ("CUDAExecutionProvider", "TensorrtExecutionProvider")

_THIS_MACHINE = ("localhost", "127.", "[::1]", "0.0.0.0")


@dataclass(frozen=True)
class Plan:
    """What a run was told.

    Attributes:
      runner: its name, as given.
      settings: the command's own.
      flags: Beam's options, as flags.
    """

    runner: str
    settings: Settings
    flags: Sequence[str]

    @cached_property
    def options(self) -> PipelineOptions:
        return beam_options.Options(list(self.flags))

    def view(self, options: Type[V]) -> V:
        """A part of Beam's options, as Beam has them."""
        return self.options.view_as(options)

    @cached_property
    def kind(self) -> str:
        """The runner, as `runners.short` has it."""
        return runners.short(self.runner)

    @cached_property
    def worker(self) -> WorkerOptions:
        return self.view(WorkerOptions)

    @cached_property
    def cloud(self) -> GoogleCloudOptions:
        return self.view(GoogleCloudOptions)

    @cached_property
    def session(self) -> Optional[SessionConfig]:
        """The session; None if no such can be made."""
        try:
            return build(SessionConfig, vars(self.settings))
        except (TypeError, ValueError, AttributeError):
            return None

    @cached_property
    def model(self) -> Optional[catalogue.Model]:
        return catalogue.find(self.session.model) if self.session else None

    @cached_property
    def wants_nvidia(self) -> bool:
        """Whether one of the session's providers needs one of NVIDIA's GPUs."""
        return bool(self.session and set(self.session.wanted_names) & set(NVIDIA))

    @cached_property
    def environment_type(self) -> str:
        """Where workers run, by Beam's own rule if it is not said; LOOPBACK is this machine."""
        if given := self.view(PortableOptions).environment_type:
            return str(given).upper()
        starts_workers = {
            "flinkrunner": self.view(FlinkRunnerOptions).flink_master in ("[auto]", "[local]"),
            "sparkrunner": self.view(SparkRunnerOptions).spark_master_url.startswith("local"),
            "dataflowrunner": False,
            "portablerunner": False,
        }
        return "LOOPBACK" if starts_workers.get(self.kind, True) else "DOCKER"

    @cached_property
    def is_cluster(self) -> bool:
        """Whether the job goes to machines or processes that this one did not start."""
        return runners.is_elsewhere(self.runner, self.options)

    @cached_property
    def master(self) -> Optional[str]:
        """The address of another machine that the job goes to; None for this one."""
        address = {
            "flinkrunner": self.view(FlinkRunnerOptions).flink_master,
            "sparkrunner": self.view(SparkRunnerOptions).spark_master_url,
        }.get(self.kind)
        address = self.view(PortableOptions).job_endpoint or address
        host = str(address or "").rpartition("//")[2]
        is_here = not self.is_cluster or not host or host.startswith(_THIS_MACHINE)
        return None if is_here else str(address)

    @cached_property
    def image(self) -> Optional[str]:
        """The image that workers run in; None for Beam's own, or where they run in none."""
        if self.kind == "dataflowrunner":
            image = self.worker.sdk_container_image or self.worker.worker_harness_container_image
        elif self.environment_type == "DOCKER":
            image = self.view(PortableOptions).environment_config
        else:
            image = None
        return str(image) if image else None

    @cached_property
    def experiments(self) -> Dict[str, str]:
        """Experiments, and Dataflow's service options, which used to be some of them."""
        given = [
            *(self.view(DebugOptions).experiments or []),
            *(self.cloud.dataflow_service_options or []),
        ]
        return {name: value for name, _, value in (str(one).partition("=") for one in given)}

    @cached_property
    def hinted_accelerator(self) -> Optional[str]:
        """The accelerator that a resource hint asks for."""
        hints = [str(hint) for hint in self.view(StandardOptions).resource_hints or []]
        found = [hint.partition("=")[2] for hint in hints if hint.startswith("accelerator=")]
        return found[0] if found else None


class Finding(NamedTuple):
    """What contradicts itself.

    Attributes:
      rule: the name of the rule.
      setting: the flags that say so.
      says: what is wrong.
      way_out: what to do about it.
      fails: whether the job would fail, rather than waste money or time.
    """

    rule: str
    setting: str
    says: str
    way_out: str
    fails: bool


class Rule(NamedTuple):
    """A line of the table.

    Attributes:
      name: of the rule.
      setting: the flags that it is about.
      holds: what is wrong in a plan; None if nothing is.
      way_out: what to do about it.
      fails: whether the job would fail, rather than waste money or time.
    """

    name: str
    setting: str
    holds: Callable[[Plan], Optional[str]]
    way_out: str
    fails: bool = True

    def finding(self, plan: Plan) -> Optional[Finding]:
        """What it finds."""
        says = self.holds(plan)
        if says is None:
            return None
        return Finding(self.name, self.setting, says, self.way_out, self.fails)


def provider_options(plan: Plan, *names: str) -> Dict[str, Any]:
    """The options of the first provider of these names."""
    given = plan.session.provider if plan.session else ()
    return next((dict(options) for name, options in given if name in names), {})
