"""The one place where an exception becomes data; everywhere else it rises.

In: a function and its arguments. Out: its result, or a `Failure` that names the step, the error's
class and its message, in which no URI shows its credentials; of that, the row. Only `Exception` is
caught: what stops a process still stops it.
"""

from typing import Callable, Optional, Tuple, TypeVar, Union

from ..elements import Facts, Failure, Outcome, Source
from ..outcomes import RunColumns, failed
from ..store import uris
from . import metrics

T = TypeVar("T")

# The tag on which DoFns put what they give up, as `(key, Failure)`.
FAILURES = "failures"

MESSAGE_CHARACTERS = 1000


def attempt(step: str, function: Callable[..., T], *args: object) -> Union[T, Failure]:
    """`function(*args)`, or the failure it ended in.

    >>> attempt("read", int, "x").error
    'ValueError'
    """
    try:
        return function(*args)
    except Exception as error:
        return failure(step, error)


def failure(step: str, error: Exception, facts: Optional[Facts] = None) -> Failure:
    """The record of an exception, with what was known of the picture by then.

    >>> failure("read", FileNotFoundError(2, "No such file", "a.jpg"))[:3]
    ('read', 'FileNotFoundError', "[Errno 2] No such file: 'a.jpg'")
    """
    text = uris.without_secrets_in(str(error) or repr(error))
    # A message may quote a file name that isn't UTF-8; a row must be.
    clean = text.encode("utf-8", "backslashreplace").decode("utf-8")
    message = clean[:MESSAGE_CHARACTERS]
    return Failure(step, type(error).__name__, message, facts or Facts())


def failed_outcome(given_up: Tuple[Source, Failure], columns: RunColumns) -> Outcome:
    """The row of a source that was given up, counted; on the bundle's thread only."""
    return metrics.count_outcome(failed(*given_up, columns))
