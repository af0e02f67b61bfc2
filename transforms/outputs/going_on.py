"""Going on: shards that are done -> what the samples of a run's own take over from theirs.

In: the shards of the output folder, and what the run's samples would be alone. Out: the suffix of
their originals; a warning where columns differ, or members. Nothing can fail.
"""

import json
import logging
from typing import Collection, FrozenSet, Iterable

from ..pictures.shown import End
from ..store import uris
from .samples import Fields, original_suffix
from .shards import DoneShard
from .writers import FORMATS

# Of the names of columns, in a message.
_SHOWN_CHARACTERS = 300

_DIFFER = (
    "%r has samples whose columns are not those of the ones that are made now; which differ: %s. "
    "Readers such as `datasets` want one type for each column, in all samples: to have that, give "
    "the run a folder of its own"
)

_MEMBERS_DIFFER = (
    "%r gets samples with %s, and others with %s, since pictures ask for outputs by their extras. "
    "`datasets` wants the same members in all samples: leave outputs and only_mask out of these "
    "extras, or take output_format parquet, which has null there"
)

_log = logging.getLogger(__name__)


def original(done: Iterable[DoneShard], suffixes: Collection[str]) -> str:
    """The suffix of originals' members: that of the first shard which says it, since readers want
    one in all samples.

    Args:
      done: the shards that are there.
      suffixes: of all pictures.
    """
    there = [(shard.number, shard.original) for shard in done if shard.files and shard.original]
    return min(there)[1] if there else original_suffix(suffixes)


def warn_of_other_columns(
    done: Iterable[DoneShard], fields: Fields, output_format: str, output: str
) -> None:
    """Says which columns of the samples that are there are not those of a run's.

    Args:
      done: the shards that are there.
      fields: of the run's samples.
      output_format: a key of `writers.FORMATS`.
      output: the output folder.
    """
    now = FORMATS[output_format].columns(fields)
    differ = {
        name
        for columns in {shard.columns for shard in done if shard.files} - {None, now}
        for name, _ in json.loads(columns or "{}").items() ^ json.loads(now).items()
    }
    if differ:
        shown = ", ".join(sorted(differ))[:_SHOWN_CHARACTERS]
        _log.warning(_DIFFER, uris.without_secrets(output), shown)


def warn_of_other_members(
    made: Collection[FrozenSet[End]], output_format: str, output: str
) -> None:
    """Says which pictures of samples differ, where those that lack one have nothing in its place.

    Args:
      made: what is made of a picture, for each that differs in this.
      output_format: a key of `writers.FORMATS`.
      output: the output folder.
    """
    if len(made) > 1 and not FORMATS[output_format].nulls:
        kinds = sorted(", ".join(sorted(str(end)[1:] for end in ends)) for ends in made)
        _log.warning(_MEMBERS_DIFFER, uris.without_secrets(output), kinds[0], kinds[-1])
