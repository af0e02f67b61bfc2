"""How the command ends: its exit statuses, and the error of wrong use."""

OK, FAILED_RUN, WRONG_USE, INTERRUPTED = 0, 1, 2, 130


class UsageError(ValueError):
    """The command was used wrongly; the message says how."""
