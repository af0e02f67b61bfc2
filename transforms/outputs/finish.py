"""Finish: an output folder whose shards are all made -> the same, ready for readers.

In: the files that no shard named when the run began. Out: of these those are gone that none names
now, and rows that can't be read, for which a shard was made again, and what an earlier attempt at
one of the run's shards left; what readers need to find the shards is there. Files of a run that is
at work beside this one are left alone. Fails as the store does, and with `OSError` where such a run
made one of the shards of other pictures: of two that wrote over each other the last to end says so.
"""

import contextlib
import errno
from typing import Collection, Dict, List, Set

from ..folder import earlier, layout
from ..store import stores, uris
from ..store.listed import Listed
from . import hugging_face, shards, wids
from .writers import FORMATS

ANOTHERS = (
    "another run made shard {} of other pictures meanwhile; let one run at a time write there: the "
    "same commands, one after the other, go on"
)


def finish(output: str, output_format: str, orphans: Collection[str], run_id: str) -> None:
    """See the module's docstring.

    Args:
      output: the output folder.
      output_format: of its shards.
      orphans: the URIs of those files.
      run_id: of the run.
    """
    numbers = _own_numbers(output, orphans, run_id)
    done = list(shards.done(output))
    for file in list(shards.orphans(output, done)):
        is_left = layout.shard_number(file.name) in numbers or file.uri in orphans
        if is_left and _is_of_no_use(file):
            stores.remove(file.uri)
    if output_format == "webdataset":
        stores.write(output, wids.NAME, wids.index(done), "application/json", durable=True)
    config = hugging_face.config(FORMATS[output_format].suffix)
    with contextlib.suppress(FileExistsError):  # one of the user's own
        stores.write(output, hugging_face.NAME, config, hugging_face.MIME_TYPE, overwrite=False)


def _own_numbers(output: str, orphans: Collection[str], run_id: str) -> Set[int]:
    """Of the run's shards; fails where rows came meanwhile that say something else of one."""
    of_runs: Dict[int, Dict[str, str]] = {}
    for run, number, file in shards.rows_files(output):
        if file.uri not in orphans:
            of_runs.setdefault(number, {})[run] = file.uri
    own = {number: of_runs[number] for number in of_runs if run_id in of_runs[number]}
    for number, by_run in own.items():
        names = [_names(uri) for uri in by_run.values()] if len(by_run) > 1 else []
        if any(each != names[0] for each in names):
            raise OSError(errno.EBUSY, ANOTHERS.format(number), uris.without_secrets(output))
    return set(own)


def _names(rows_uri: str) -> List[str]:
    return sorted(row["name"] for row in earlier.rows(earlier.Manifest("", rows_uri, None)))


def _is_of_no_use(file: Listed) -> bool:
    """Whether a file is a shard's that no rows name, or rows that can't be read."""
    if layout.is_shard(file.name):
        return True
    try:
        return not any(True for _ in earlier.rows(earlier.Manifest("", file.uri, None)))
    except earlier.BadManifest:
        return True
