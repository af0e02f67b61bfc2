"""A dry run: a job -> what it would do, without a model, and with nothing written.

In: a job, as `rembg-beam run` would start it. Out: the first pictures with the outputs they would
get, and how many are to be done, done already and refused, on stdout; an exit status, 1 where the
run would fail by what is known now. Inputs, lists and the output folder are read as a run reads
them. `UsageError` for an output folder that a run would refuse, and for inputs that workers read.
"""

import functools
import os
import tempfile
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Callable, List, Optional, Sequence, TextIO, Tuple

from ..transforms import RemoveBackgrounds
from ..transforms.elements import FAILED, SKIPPED, WRITTEN, Failure, Outcome, Source
from ..transforms.folder import summary
from ..transforms.folder.existing import DONE, FAILURES, Choice
from ..transforms.outputs.plan import Shard
from ..transforms.outputs.writers import FORMATS, file_name
from ..transforms.store import members, uris
from . import checks, ending, logs, piped, sampling
from .settings import Settings
from .status import FAILED_RUN, OK

# Pictures that are listed, unless told, and of those that would fail at most.
LISTED, REFUSED = 20, 10


@dataclass
class Found:
    """What a run would find.

    Attributes:
      wanted: pictures to list at most.
      first: of those that are to be done the first, each with its outputs.
      to_do: how many are to be done, by the suffix of the file that each is, or is in.
      done: how many are done already.
      repeated: how many more times inputs named a picture.
      shards: names of those that would be made, the first and the last.
      shard_count: how many these are.
      refused: how many would fail before they are read, by the error's class.
      why: the first of these, each with its error and message.
    """

    wanted: int
    first: List[Tuple[str, List[str]]] = field(default_factory=list)
    to_do: Counter[str] = field(default_factory=Counter)
    done: int = 0
    repeated: int = 0
    shards: Tuple[str, str] = ("", "")
    shard_count: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    why: List[Tuple[str, str, str]] = field(default_factory=list)

    def add(self, source: Source, outputs_of: Callable[[Source], List[str]]) -> None:
        """Adds a picture that is to be done."""
        self.repeated += source.duplicates
        self.to_do[_kind(source.uri)] += 1
        if len(self.first) < self.wanted:
            self.first.append((source.uri, outputs_of(source)))

    def add_shard(self, name: str) -> None:
        """Adds a shard that would be made."""
        self.shards = self.shards[0] or name, name
        self.shard_count += 1

    def add_done(self, rows: Sequence[Outcome]) -> None:
        """Adds pictures that have their outputs, or failed for good."""
        for row in rows:
            self.repeated += row.duplicates
            if row.status == FAILED:
                self.refuse(row.uri, Failure(str(row.step), str(row.error), str(row.message)))
            else:
                self.done += 1

    def refuse(self, uri: str, why: Failure) -> None:
        """Adds what is no picture, or may not be done."""
        self.refused[why.error] += 1
        if len(self.why) < REFUSED:
            self.why.append((uri, why.error, why.message))

    def summary(self) -> summary.Summary:
        """As that of a run in which all that can be done is."""
        counts = {
            WRITTEN: self.to_do.total(),
            SKIPPED: self.done,
            FAILED: self.refused.total(),
        }
        return summary.Summary(counts, [], {})


def show(
    job: RemoveBackgrounds, lists: piped.Lists, given: Settings, wanted: int, stdout: TextIO
) -> int:
    """Prints what a job would do; returns the exit status.

    Args:
      job: as a run would have it.
      lists: of its inputs.
      given: the command's settings.
      wanted: pictures to list at most.
      stdout: where to print.
    """
    since = checks.since(job)
    with tempfile.TemporaryDirectory() as folder:
        job = replace(_readable(job), input_list=lists.keep(folder, job.run_id))
        try:
            found = _find(job, since, wanted)
        except (OSError, ValueError) as error:
            logs.say(f"the run would fail: {error}")
            return FAILED_RUN
    _print(found, stdout)
    done = found.summary()
    if not done.total and not job.retry_failed and not given.watch:
        excess: Optional[str] = "no input matched any picture"
    else:
        excess = ending.too_many_failures(done, given.max_failures) if done.total else None
    if excess:
        logs.say(f"the run would fail: {excess}")
    return FAILED_RUN if excess else OK


def _readable(job: RemoveBackgrounds) -> RemoveBackgrounds:
    """The job of what can be read here and now."""
    sampling.refuse_queries(job.input, f"leave out --dry_run, or {sampling.EXPORT}")
    return checks.of_now(job)


def _find(job: RemoveBackgrounds, since: Optional[float], wanted: int) -> Found:
    found, output = Found(wanted), job.remove.output
    if not (job.input or job.input_list or job.retry_failed):
        return found
    outputs_of = functools.partial(_outputs, job)
    for each in job.finding().process(None, since):
        if isinstance(each, Shard):
            name = file_name(each.number, 0, FORMATS[job.dataset.output_format].suffix)
            found.add_shard(name)
            for key, source in zip(each.keys, each.sources, strict=True):
                found.add(source, functools.partial(_sample, uris.join(output, name), key))
        elif isinstance(each, Source):
            found.add(each, outputs_of)
        elif each.tag == DONE:
            found.add_done(each.value)
        elif each.tag == FAILURES:
            source, why = each.value
            found.refuse(source.uri, why)
    return found


def _outputs(job: RemoveBackgrounds, source: Source) -> List[str]:
    choice = Choice.of(job.remove, job.on_existing)
    names = (f"{source.output_name}{end}" for end in choice.ends(source))
    return [uris.join(job.remove.output, name) for name in names]


def _sample(shard: str, key: str, _: Source) -> List[str]:
    return [f"{shard} as {key}"]


def _kind(uri: str) -> str:
    file, within = members.taken_apart(uri)
    suffix = os.path.splitext(uris.bare(file))[1].lower()
    return f"in {suffix}" if within else suffix or "without a suffix"


def _print(found: Found, stdout: TextIO) -> None:
    for uri, outputs in found.first:
        _line(f"{uri} -> {', '.join(outputs)}", stdout)
    if (more := found.to_do.total() - len(found.first)) > 0:
        print(f"... and {more:,} more", file=stdout)
    for uri, error, message in found.why:
        _line(f"would fail: {uri} ({error}): {message}", stdout)
    if (more := found.refused.total() - len(found.why)) > 0:
        print(f"... and {more:,} more", file=stdout)
    to_do = f"{found.to_do.total():,} to do{_by_kind(found.to_do)}"
    refused = f"{found.refused.total():,} would fail{_by_kind(found.refused)}"
    print(f"{to_do}; {found.done:,} done already; {refused}", file=stdout)
    if found.repeated:
        print(f"named more than once: {found.repeated:,} times, done once", file=stdout)
    if found.shard_count:
        names = " to ".join(dict.fromkeys(found.shards))
        print(f"shards to be made: {found.shard_count:,}, {names}", file=stdout)
    print("nothing was written: this was a dry run", file=stdout)


def _by_kind(counts: Counter[str]) -> str:
    each = ", ".join(f"{number:,} {kind}" for kind, number in counts.most_common())
    return f" ({each})" if each else ""


def _line(text: str, stdout: TextIO) -> None:
    """Prints a line with names in it, whose control characters a terminal would obey."""
    print(logs.printable(uris.without_secrets_in(text)), file=stdout)
