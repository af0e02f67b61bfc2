"""Write: `(Source, Cutout)` -> `Outcome`.

In: cutouts with the source they came from. Out: the row of each, once all its parts lie under the
output folder. What has no name there, or what the storage refuses, comes out as `(Source, Failure)`
on the tag `FAILURES`.
"""

from dataclasses import dataclass
from typing import List, Optional, Tuple, Union

import apache_beam as beam

from . import coders as coders
from . import naming
from .elements import Cutout, Facts, Failure, Outcome, Source, as_source, size_of
from .outcomes import RunColumns, written
from .pictures.encode import FORMATS
from .runtime import memory
from .runtime.failures import attempt, failure
from .runtime.step import Step
from .store import stores

STEP = "write"

# Writing waits for the disk or the network, not for a core.
THREADS = 16


@beam.typehints.with_input_types(Tuple[Source, Cutout])
@beam.typehints.with_output_types(Outcome)
@dataclass(kw_only=True, eq=False)
class WriteCutouts(Step[Tuple[Source, Cutout], List[stores.Written]]):
    """Writes each cutout's parts; `RemoveBackground` says what its fields mean.

    `columns` are those that all rows share.
    """

    output: str
    relative_to: Optional[str] = None
    threads: int = THREADS
    max_memory: Optional[int] = None
    overwrite: bool = True
    columns: RunColumns

    def __post_init__(self) -> None:
        super().__init__(STEP, self.threads)

    def setup(self) -> None:
        super().setup()
        memory.budget(self.max_memory)
        stores.begin(self.output)

    def teardown(self) -> None:
        stores.end(self.output)

    def lease(self, element: Tuple[Source, Cutout]) -> memory.Lease:
        return memory.budget().hold(memory.RESULT, size_of(element[1]), wait=False)

    def work(self, element: Tuple[Source, Cutout]) -> Union[List[stores.Written], Failure]:
        return attempt(STEP, self._write, *element)

    def known(self, element: Tuple[Source, Cutout]) -> Tuple[Source, Facts]:
        return as_source(element[0]), element[1].facts

    def made(
        self,
        key: Source,
        element: Tuple[Source, Cutout],
        result: List[stores.Written],
        facts: Facts,
    ) -> Tuple[int, Outcome]:
        size = sum(file.size for file in result)
        attempts = max((file.attempts for file in result), default=None)
        cutout = element[1]._replace(facts=facts._replace(bytes_out=size, write_attempts=attempts))
        return size, written(key, cutout, [file.uri for file in result], self.columns)

    def _write(self, source: Source, cutout: Cutout) -> Union[List[stores.Written], Failure]:
        name = source.output_name
        if name is None:
            own = source.name or naming.relative_name(source.uri, self.relative_to)
            name = naming.output_name(own, "")
        files = []
        for part in cutout.parts:
            format = FORMATS[part.format]
            tried = stores.try_write(
                self.output,
                name + part.suffix + format.suffix,
                part.data,
                format.mime_type,
                overwrite=self.overwrite,
            )
            if tried.error is not None:
                return failure(STEP, tried.error, Facts(write_attempts=tried.attempts))
            files.append(tried.get())
        return files
