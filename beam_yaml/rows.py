"""An input's elements -> sources; outcomes -> rows, with the user's columns beside theirs.

In: URIs, sources, or rows that name a picture as those of a table do (`sources.columns`), in a
column of one of its names or in one text column alone. Out: `Source` records whose metadata are the
whole element, encoded, so that a value of any type comes back as it was; of their outcomes rows,
whose `metadata` are JSON again. `Rows.of` raises `ValueError` for columns that name no picture, or
are an outcome's; an element whose values name none is a failure, `BadLine`.
"""

import base64
from dataclasses import dataclass, replace
from typing import Any, Dict, Iterator, Tuple, get_type_hints

import apache_beam as beam
from apache_beam import coders
from apache_beam.typehints.row_type import RowTypeConstraint
from apache_beam.typehints.schemas import named_fields_from_element_type

from ..transforms.elements import Failure, Outcome, Source, as_source, to_json
from ..transforms.runtime.failures import FAILURES, attempt
from ..transforms.setting import did_you_mean
from ..transforms.sources import columns
from ..transforms.sources.columns import Columns, source_of_row
from ..transforms.sources.lists import BadList
from .config import plain

STEP = "find"

_OUTCOME = tuple(get_type_hints(Outcome).items())

# What Beam's own transforms say of an element that failed.
ERROR = (("msg", str), ("stack", str))


@dataclass(frozen=True)
class Rows:
    """What is known of an input before an element is there.

    Attributes:
      element: the type of its elements.
      coder: of its elements.
      columns: which columns are what.
      theirs: the user's columns and their types; none where elements are no rows.
      keep: the columns that come out, in this order; none for all.
    """

    element: Any
    coder: coders.Coder
    columns: Columns
    theirs: Tuple[Tuple[str, Any], ...] = ()
    keep: Tuple[str, ...] = ()

    def __post_init__(self) -> None:
        there = [name for name, _ in (*_OUTCOME, *self.theirs)]
        for name in self.keep:
            if name not in there:
                hint = did_you_mean(name, there, f"; there are {', '.join(there)}", str)
                raise ValueError(f"keep_columns: {name} is no column of the rows{hint}")

    @classmethod
    def of(cls, element: Any, wanted: Columns, keep: Tuple[str, ...] = ()) -> "Rows":
        """The rows of an input with elements of this type."""
        coder = coders.registry.get_coder(element)
        fields = columns_of(element)
        names = tuple(fields)
        if not names or set(names) == set(Source._fields):
            return cls(element, coder, wanted, keep=keep)
        if len(names) == 1 and wanted.uri_column is None:
            wanted = replace(wanted, uri_column=names[0])
        try:
            wanted.require(names)
        except BadList as error:
            raise ValueError(f"the input: {str(error).replace('--', '')}") from error
        own = columns.places(names, wanted)
        for name, column in zip(own, ("uri", "name", "extras"), strict=True):
            if name in keep and name not in Outcome._fields:
                raise ValueError(f"keep_columns: the input's {name} comes out as {column}")
        theirs = tuple((name, kind) for name, kind in fields.items() if name not in own)
        clash = [name for name, _ in theirs if name in Outcome._fields]
        if clash:
            raise ValueError(
                f"the input has columns that are called as an outcome's: {', '.join(clash)}; give "
                "them other names, as with MapToFields"
            )
        return cls(element, coder, wanted, theirs, keep)

    def taken(self, element: Any) -> Iterator[Any]:
        """The source of an element, or the failure to name one."""
        whole = base64.b64encode(self.coder.encode(element)).decode()
        found = attempt(STEP, self._source, element)
        if isinstance(found, Failure):
            uri = attempt(STEP, self._uri, element)
            named = Source("" if isinstance(uri, Failure) else uri, metadata=whole)
            yield beam.pvalue.TaggedOutput(FAILURES, (named, found))
        else:
            yield found._replace(metadata=whole)

    def _source(self, element: Any) -> Source:
        fields = self._fields(element)
        if not isinstance(fields, dict) or set(fields) == set(Source._fields):
            return as_source(element)
        return source_of_row(fields, self.columns, "")

    def _uri(self, element: Any) -> str:
        """The picture of an element that can't be used for another reason; "" if it names none."""
        fields = self._fields(element)
        place, _, _ = columns.places(tuple(fields), self.columns)
        uri = fields.get(place)
        return (
            uri.strip().encode("utf-8", "backslashreplace").decode() if isinstance(uri, str) else ""
        )

    def _fields(self, element: Any) -> Any:
        if isinstance(element, str):
            element = {self.columns.uri_columns[0]: element}
        return plain(element)

    def row(self, outcome: Outcome) -> beam.Row:
        """An outcome's row, with the user's columns."""
        element = self._element(outcome)
        theirs = {name: getattr(element, name) for name, _ in self.theirs}
        return beam.Row(**self._kept({**self._known(outcome, element), **theirs}))

    def row_type(self) -> RowTypeConstraint:
        kept = self._kept(dict([*_OUTCOME, *self.theirs]))
        return RowTypeConstraint.from_fields(list(kept.items()))

    def failed_row(self, outcome: Outcome) -> beam.Row:
        """A failed outcome's row, with the element and what Beam's transforms say of such."""
        element = self._element(outcome)
        known = self._kept(self._known(outcome, element))
        return beam.Row(element=element, **told(outcome), **known)

    def failed_row_type(self) -> RowTypeConstraint:
        kept = self._kept(dict(_OUTCOME)).items()
        return RowTypeConstraint.from_fields([("element", self.element), *ERROR, *kept])

    def _kept(self, columns: Dict[str, Any]) -> Dict[str, Any]:
        names = self.keep or tuple(columns)
        return {name: columns[name] for name in names if name in columns}

    def _element(self, outcome: Outcome) -> Any:
        return self.coder.decode(base64.b64decode(outcome.metadata))

    def _known(self, outcome: Outcome, element: Any) -> Dict[str, Any]:
        found = {name: getattr(outcome, name) for name in Outcome._fields}
        return {**found, "metadata": self._metadata(element)}

    def _metadata(self, element: Any) -> str:
        fields = plain(element)
        if not isinstance(fields, dict):
            return "{}"
        if set(fields) == set(Source._fields):
            return str(fields["metadata"])
        own = columns.places(tuple(fields), self.columns)
        return to_json({k: columns.plain(v) for k, v in fields.items() if k not in own})


def columns_of(element_type: Any) -> Dict[str, Any]:
    """The types of rows' columns by their names; none of what are no rows, or not known to be."""
    try:
        return dict(named_fields_from_element_type(element_type))
    except TypeError:
        return {}


def outcome_of(row: Any) -> Outcome:
    """The outcome of a row with its columns."""
    return Outcome(*(getattr(row, name) for name in Outcome._fields))


def told(failed: Any) -> Dict[str, str]:
    """The columns of `ERROR` for what has an `error` and a `message`."""
    return {"msg": f"{failed.error}: {failed.message}", "stack": ""}
