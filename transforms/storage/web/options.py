"""How pictures are fetched from http(s): what a user may say.

In: values, as given. Out: `WebOptions`, hashable, the same for the same values. Fails with
`ValueError`, naming the option and the rule, for what makes no sense.
"""

import re
from dataclasses import dataclass

USER_AGENT = "rembg-beam/0.1"
MAX_SECONDS = 60.0
CONNECTIONS_PER_HOST = 8


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """How pictures are fetched from http(s).

    Attributes:
      allow_private_hosts: fetch also from addresses that are not of the public internet: an
        intranet's, this machine's. Only for lists whose every URL you trust.
      user_agent: what a server is told; name whom it may write to.
      max_seconds: of one attempt's answer, its redirects included.
      connections_per_host: requests at once, of one process; raise it for a server of your own.
      ignore_opt_out: fetch also what is sent with `X-Robots-Tag: noai`, `noimageai`, `noindex` or
        `noimageindex`.
    """

    allow_private_hosts: bool = False
    user_agent: str = USER_AGENT
    max_seconds: float = MAX_SECONDS
    connections_per_host: int = CONNECTIONS_PER_HOST
    ignore_opt_out: bool = False

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[\x20-\x7e]+", self.user_agent):
            raise ValueError(f"user_agent={self.user_agent!r} must be printable ASCII, not empty")
        if not self.max_seconds > 0:
            raise ValueError(f"max_seconds={self.max_seconds!r} must be above 0")
        if not isinstance(self.connections_per_host, int) or self.connections_per_host < 1:
            raise ValueError(
                f"connections_per_host={self.connections_per_host!r} must be a positive integer"
            )


DEFAULTS = WebOptions()
