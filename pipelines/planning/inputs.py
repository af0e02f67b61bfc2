"""A job -> what it has to do: how many pictures, of how many bytes, and a sample of them.

In: a job as `checks` has it, and its lists. Out: `Inputs`, by the functions that a run in one
process judges by: what is done or refused is counted for itself, and nothing is written. Every
picture has the same chance to be in the sample, and the same inputs give the same sample. Fails
as `sampling.refuse_queries` and `checks.since`, and as reading inputs and the folder does.
"""

from dataclasses import replace
from typing import List, NamedTuple, Optional, Sequence

from apache_beam.pvalue import TaggedOutput

from ...transforms import RemoveBackgrounds, Source
from ...transforms.folder import earlier
from ...transforms.folder.existing import DONE
from ...transforms.outputs.plan import PlanLocally
from ...transforms.runtime import metrics
from ...transforms.sources.lists import InputList
from ...transforms.sources.sizes import Sizes, size_here
from .. import checks, sampling


class Inputs(NamedTuple):
    """What a job has to do.

    Attributes:
      to_do, done, refused: pictures; None of `done` where nobody looked, for it lies in shards.
      sized: how many pictures have a size that is known without reading them; those that are done
        elsewhere than on this machine are among them.
      sized_bytes: theirs together.
      sample: some of those to be done.
    """

    to_do: int
    done: Optional[int]
    refused: int
    sized: int
    sized_bytes: int
    sample: List[Source]

    def bytes_in(self, mean: float) -> float:
        """Bytes of the pictures to be done; `mean` for each of which they aren't known."""
        known = min(self.sized, self.to_do)
        return known * self.sized_bytes / max(self.sized, 1) + (self.to_do - known) * mean

    @property
    def is_sized(self) -> bool:
        """Whether the sizes of all to be done are known, and no others'."""
        return self.sized == self.to_do


def look(job: RemoveBackgrounds, input_list: Sequence[InputList], size: int) -> Inputs:
    """What is to be done, and a sample of at most `size` pictures."""
    sampling.refuse_queries(job.input)
    sizes, since = Sizes(), checks.since(job)
    finding = checks.of_now(replace(job, input_list=input_list)).finding()
    join = replace(finding.join if isinstance(finding, PlanLocally) else finding, sizes=sizes)
    reservoir = sampling.Reservoir(size)
    done = refused = 0
    for found in join.process(None, since):
        if not isinstance(found, TaggedOutput):
            reservoir.add(found)
            sizes.add(size_here(found.uri))
        elif found.tag == DONE:
            done += len(found.value)
        else:
            refused += 1
    metrics.tally.clear()
    is_unknown = job.dataset.is_sharded and any(earlier.manifests(job.remove.output))
    counts = reservoir.seen, None if is_unknown else done, refused
    return Inputs(*counts, sizes.pictures, sizes.bytes, reservoir.kept())
