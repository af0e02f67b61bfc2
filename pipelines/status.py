"""How the command ends: exit statuses, but for those of `signals`, and the error of wrong use."""

OK, FAILED_RUN, WRONG_USE = 0, 1, 2

# As of a process that SIGPIPE ends: 128 and its number.
UNREAD = 141


class UsageError(ValueError):
    """The command was used wrongly; the message says how."""
