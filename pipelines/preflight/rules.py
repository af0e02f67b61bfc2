"""The table of all rules; a plan -> what contradicts itself.

In: a `Plan`. Out: `Finding`s, those that would fail the job first. `require` raises `UsageError`
for these, and says the others. A run of this process asks a few, so the others' imports wait.
"""

from typing import Iterator, List, Sequence

from .. import logs, runners
from ..status import UsageError
from . import anywhere
from .plan import Finding, Plan, Rule


def of(plan: Plan) -> Iterator[Rule]:
    """The rules for a plan's runner."""
    yield from anywhere.RULES
    if plan.kind == "dataflowrunner":
        from . import clusters, dataflow, gpus

        yield from (*clusters.RULES, *dataflow.RULES, *gpus.RULES)
    elif runners.sends(plan.runner):
        from . import clusters

        yield from clusters.RULES


def findings(plan: Plan) -> List[Finding]:
    """What contradicts itself in a plan."""
    found = (rule.finding(plan) for rule in of(plan))
    return sorted((each for each in found if each), key=lambda each: not each.fails)


def require(found: Sequence[Finding]) -> None:
    """Stops a run that would fail; says what may waste money or time."""
    if failing := [line(each) for each in found if each.fails]:
        raise UsageError("\n".join(failing))
    for each in found:
        logs.say(f"warning: {line(each)}")


def line(finding: Finding) -> str:
    """A finding as a sentence."""
    return f"{finding.setting}: {finding.says}; {finding.way_out}"
