"""An internet address -> whether a stranger's list may send a worker there.

In: addresses as `socket.getaddrinfo` gives them. Out: None for one of the public internet, else
what it is. Refused is all that IANA's registries of special-purpose addresses don't call globally
reachable (https://www.iana.org/assignments/iana-ipv4-special-registry and …-ipv6-…, as the
standard library's `ipaddress` has them), multicast, and what is wrapped in another address and
would be refused by itself. Names are not judged: the same name may have another address next time.
Fails with `ValueError` for what is no address.
"""

import ipaddress
from typing import Iterator, List, Optional, Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]

# What `is_global` lets through in some version of Python, or what only clouds know as their own.
_REFUSED = {
    ipaddress.ip_network(network): what
    for network, what in {
        "168.63.129.16/32": "Azure's metadata",
        "192.0.0.0/24": "reserved",
        "192.88.99.0/24": "reserved",
        "100:0:0:1::/64": "reserved",
        "2001::/23": "reserved",
        "3fff::/20": "reserved",
        "5f00::/16": "reserved",
        "64:ff9b:1::/48": "private",
        "fec0::/10": "private",
    }.items()
}

# Prefixes of 96 bits, followed by an IPv4 address.
_WRAPPING = [
    ipaddress.IPv6Network(prefix)
    for prefix in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
]

# The last half of an ISATAP address: this, and an IPv4 address.
_ISATAP = (0x00005EFE, 0x02005EFE)


def refusal(address: str) -> Optional[str]:
    """What an address is that is not to be connected to; None for one of the public internet.

    >>> refusal("169.254.169.254"), refusal("::ffff:127.0.0.1"), refusal("8.8.8.8")
    ('link-local', 'loopback', None)
    """
    for each in _and_wrapped(ipaddress.ip_address(address.partition("%")[0])):
        what = _kind(each)
        if what is not None:
            return what
    return None


def _and_wrapped(address: Address) -> Iterator[Address]:
    """The IPv4 addresses that an address stands for, and then itself, unless it is only those."""
    wrapped = _wrapped(address)
    yield from wrapped
    translated = any(address in network for network in _WRAPPING if address.version == 6)
    if not (wrapped and translated):
        yield address


def _wrapped(address: Address) -> List[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    number = int(address)
    found = [address.sixtofour, *(address.teredo or ())]
    if number > 1 and any(address in network for network in _WRAPPING):
        found.append(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(ipaddress.IPv4Address(number & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def _kind(address: Address) -> Optional[str]:
    for network, what in _REFUSED.items():
        if address.version == network.version and address in network:
            return what
    kinds = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "link-local": address.is_link_local,
        "multicast": address.is_multicast,
        "reserved": address.is_reserved,
        "private": not address.is_global,
    }
    return next((what for what, holds in kinds.items() if holds), None)
