"""How pictures are fetched from http(s): what a user may say.

In: values, as given. Out: `WebOptions`, hashable, the same for the same values. Fails with
`ValueError`, naming the option and the rule, for what makes no sense.
"""

import re
from dataclasses import dataclass
from typing import Any, Sequence, Tuple, Union

from ...setting import check, documented, setting
from . import addresses

USER_AGENT = "rembg-beam/0.1"


@documented
@dataclass(frozen=True, kw_only=True)
class WebOptions:
    """How pictures are fetched from http(s)."""

    allow_private_hosts: Union[bool, str, Sequence[str]] = setting(
        False,
        "fetch http(s) URLs also from addresses that are not of the public internet, an "
        "intranet's, this machine's, or from those of the networks named, such as 10.0.0.0/8; only "
        "for lists whose every URL you trust; link-local addresses and clouds' metadata stay shut",
        kind="networks",
        metavar="NETWORK",
    )
    web_user_agent: str = setting(
        USER_AGENT,
        f"what a web server is told; default {USER_AGENT}; name whom it may write to",
    )
    max_seconds: float = setting(
        60.0,
        "a web server's answer that takes longer than these seconds, redirects included, is a "
        "failure; a broken or silent one is asked for again, each time with as many",
        above=0,
    )
    connections_per_host: int = setting(
        8,
        "at once to a web server, of one process",
        more="raise it for a server of your own",
        minimum=1,
    )
    ignore_opt_out: bool = setting(
        False,
        "fetch also what is sent with X-Robots-Tag: noai, noimageai, noindex or noimageindex",
    )

    def __post_init__(self) -> None:
        check(self)
        try:
            networks = checked_networks(self.allow_private_hosts)
        except ValueError as error:
            raise ValueError(f"allow_private_hosts={self.allow_private_hosts!r} {error}") from None
        object.__setattr__(self, "allow_private_hosts", networks)
        if not re.fullmatch(r"[\x20-\x7e]+", self.web_user_agent):
            raise ValueError(
                f"web_user_agent={self.web_user_agent!r} must be printable ASCII, not empty"
            )


def checked_networks(allow_private_hosts: Any) -> Union[bool, Tuple[str, ...]]:
    """True, False or the networks, written as standard notation has them."""
    if isinstance(allow_private_hosts, bool):
        return allow_private_hosts
    return tuple(str(each) for each in addresses.networks(allow_private_hosts))


DEFAULTS = WebOptions()
