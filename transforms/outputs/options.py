"""What a run leaves in its output folder: files, or shards of a data set.

In: values, as given. Out: `DataSet`. Fails with `ValueError`, naming the option and the rule, for
what makes no sense.
"""

from dataclasses import dataclass
from typing import Any, Dict

from ..setting import changed, check, documented, setting

FILES = "files"
OUTPUT_FORMATS = (FILES, "webdataset", "parquet")


@documented
@dataclass(frozen=True, kw_only=True)
class DataSet:
    """How outputs lie in the output folder."""

    output_format: str = setting(
        FILES,
        "files: one for each output; webdataset: tar shards of samples; parquet: shards with "
        "embedded pictures, as Hugging Face's datasets have them",
        choices=OUTPUT_FORMATS,
    )
    samples_per_shard: int = setting(
        1_000, "pictures of a shard at most", more="those that fail among them", minimum=1
    )
    shard_bytes: int = setting(
        1_000_000_000,
        "of a shard's file about; default 1GB; what is more goes into another",
        more="a file ends with the first sample that reaches it",
        kind="bytes",
        minimum=1,
    )
    keep_original: bool = setting(
        False, "put the original pictures into shards too, byte for byte as they were read"
    )
    metadata: str = setting(
        "parquet",
        "the table of the user's columns beside files, as Hugging Face's ImageFolder reads it; "
        "shards hold theirs",
        choices=("parquet", "csv", "none"),
    )

    def __post_init__(self) -> None:
        check(self)
        if self.keep_original and not self.is_sharded:
            raise ValueError(
                "keep_original=True puts pictures into shards, and output_format='files' makes "
                "none: choose webdataset or parquet"
            )

    @property
    def has_metadata(self) -> bool:
        """Whether a table lies beside the files."""
        return not self.is_sharded and self.metadata != "none"

    @property
    def is_sharded(self) -> bool:
        """Whether samples lie in shards."""
        return self.output_format != FILES

    def recorded(self) -> Dict[str, Any]:
        """What a folder remembers of it: what all its samples have in common.

        >>> DataSet(output_format="parquet", samples_per_shard=9).recorded()
        {'output_format': 'parquet'}
        """
        told = changed(self)
        return {name: told[name] for name in ("output_format", "keep_original") if name in told}
