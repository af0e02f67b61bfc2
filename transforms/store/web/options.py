"""How pictures are fetched from http(s): what a user may say.

In: values, as given. Out: `WebOptions`, hashable, the same for the same values. Fails with
`ValueError`, naming the option and the rule, for what makes no sense.
"""

import re
from dataclasses import dataclass
from typing import Any, Sequence, Tuple, Union

from . import addresses

USER_AGENT = "rembg-beam/0.1"
MAX_SECONDS = 60.0
CONNECTIONS_PER_HOST = 8


@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """How pictures are fetched from http(s).

    Attributes:
      allow_private_hosts: fetch also from addresses that are not of the public internet: True for
        an intranet's and this machine's, or the networks to open, such as "10.0.0.0/8", one or
        several. Only for lists whose every URL you trust. Link-local addresses and the clouds'
        metadata stay shut.
      user_agent: what a server is told; name whom it may write to.
      max_seconds: of one attempt's answer, its redirects included.
      connections_per_host: requests at once, of one process; raise it for a server of your own.
      ignore_opt_out: fetch also what is sent with `X-Robots-Tag: noai`, `noimageai`, `noindex` or
        `noimageindex`.
    """

    allow_private_hosts: Union[bool, str, Sequence[str]] = False
    user_agent: str = USER_AGENT
    max_seconds: float = MAX_SECONDS
    connections_per_host: int = CONNECTIONS_PER_HOST
    ignore_opt_out: bool = False

    def __post_init__(self) -> None:
        try:
            networks = checked_networks(self.allow_private_hosts)
        except ValueError as error:
            raise ValueError(f"allow_private_hosts={self.allow_private_hosts!r} {error}") from None
        object.__setattr__(self, "allow_private_hosts", networks)
        if not re.fullmatch(r"[\x20-\x7e]+", self.user_agent):
            raise ValueError(f"user_agent={self.user_agent!r} must be printable ASCII, not empty")
        if not self.max_seconds > 0:
            raise ValueError(f"max_seconds={self.max_seconds!r} must be above 0")
        if not isinstance(self.connections_per_host, int) or self.connections_per_host < 1:
            raise ValueError(
                f"connections_per_host={self.connections_per_host!r} must be a positive integer"
            )

    def opened(self) -> Tuple[addresses.Network, ...]:
        """The networks that are not of the public internet and may be fetched from."""
        return addresses.networks(self.allow_private_hosts)


def checked_networks(allow_private_hosts: Any) -> Union[bool, Tuple[str, ...]]:
    """True, False or the networks, written as standard notation has them."""
    if isinstance(allow_private_hosts, bool):
        return allow_private_hosts
    return tuple(str(each) for each in addresses.networks(allow_private_hosts))


DEFAULTS = WebOptions()
