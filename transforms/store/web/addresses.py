"""An internet address -> whether a stranger's list may send a worker there.

In: addresses as `socket.getaddrinfo` gives them, and the networks that the user opened. Out: None
for one that may be connected to, else what it is and whether opening its network would help.
Refused is all that IANA's registries of special-purpose addresses don't call globally reachable
(https://www.iana.org/assignments/iana-ipv4-special-registry and …-ipv6-…, as the standard library's
`ipaddress` has them), multicast, and what is wrapped in another address and would be refused by
itself. Nothing opens link-local addresses and those at which clouds hand out credentials. Names are
not judged: the same name may have another address next time. Fails with `ValueError` for what is no
address or no network.
"""

import ipaddress
from typing import Dict, Iterable, Iterator, List, NamedTuple, Optional, Sequence, Tuple, Union

Address = Union[ipaddress.IPv4Address, ipaddress.IPv6Address]
Network = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]


class Refusal(NamedTuple):
    """What an address is that is not connected to, and whether its network can be opened."""

    what: str
    can_be_opened: bool


EVERYWHERE: Tuple[Network, ...] = (
    ipaddress.IPv4Network("0.0.0.0/0"),
    ipaddress.IPv6Network("::/0"),
)


def _networks(kinds: Dict[str, str]) -> Dict[Network, str]:
    return {ipaddress.ip_network(network): what for network, what in kinds.items()}


# A redirect there would read a worker's credentials; no picture lies there.
_SHUT = _networks(
    {
        "169.254.0.0/16": "link-local",
        "fe80::/10": "link-local",
        "100.100.100.200/32": "Alibaba's metadata",
        "fd00:100::100:200/128": "Alibaba's metadata",
        "fd00:ec2::/32": "Amazon's metadata",
        "168.63.129.16/32": "Azure's metadata",
        "fd20:ce::254/128": "Google's metadata",
        "fd00:a9fe:a9fe::/64": "Linode's or OpenStack's metadata",
        "192.0.0.192/32": "Oracle's metadata",
        "fd00:c1::a9fe:a9fe/128": "Oracle's metadata",
        "fd00:42::42/128": "Scaleway's metadata",
    }
)

# What `is_global` lets through in some version of Python.
_REFUSED = _networks(
    {
        "192.0.0.0/24": "reserved",
        "192.88.99.0/24": "reserved",
        "100:0:0:1::/64": "reserved",
        "2001::/23": "reserved",
        "3fff::/20": "reserved",
        "5f00::/16": "reserved",
        "64:ff9b:1::/48": "private",
        "fec0::/10": "private",
    }
)

# Prefixes of 96 bits, followed by an IPv4 address.
_WRAPPING = [
    ipaddress.IPv6Network(prefix)
    for prefix in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
]

# 6to4: what is behind the prefix decides; `is_global` is False for all of it since Python 3.13.
_SIX_TO_FOUR = ipaddress.IPv6Network("2002::/16")

# A translator's own prefix has one of these lengths, after RFC 8215 and RFC 6052.
_TRANSLATORS = ipaddress.IPv6Network("64:ff9b:1::/48")
_TRANSLATORS_BITS = (48, 56, 64)

# The last half of an ISATAP address: this, and an IPv4 address.
_ISATAP = (0x00005EFE, 0x02005EFE)


def refusal(address: str, opened: Sequence[Network] = ()) -> Optional[Refusal]:
    """Why an address is not to be connected to; None for one that may be.

    >>> refusal("::ffff:127.0.0.1"), refusal("8.8.8.8")
    (Refusal(what='loopback', can_be_opened=True), None)
    >>> refusal("10.0.0.1", opened=networks("10.0.0.0/8"))
    >>> refusal("169.254.169.254", opened=EVERYWHERE)
    Refusal(what='link-local', can_be_opened=False)
    """
    given = ipaddress.ip_address(address.partition("%")[0])
    judged = list(_and_wrapped(given))
    for each in (given, *judged):
        what = _held_by(_SHUT, each)
        if what is not None:
            return Refusal(what, can_be_opened=False)
    if _is_in(opened, given):
        return None
    for each in judged:
        what = _kind(each)
        if what is not None and not _is_in(opened, each):
            return Refusal(what, can_be_opened=True)
    return None


def networks(given: Union[bool, str, Sequence[str]]) -> Tuple[Network, ...]:
    """The networks that are opened: all for True, none for False, or those that are named.

    >>> networks(["10.0.0.0/8", "fd12::1"])
    (IPv4Network('10.0.0.0/8'), IPv6Network('fd12::1/128'))
    """
    if isinstance(given, bool):
        return EVERYWHERE if given else ()
    named = (given,) if isinstance(given, str) else given
    if not isinstance(named, (list, tuple)):
        raise ValueError(_FORM)
    return tuple(map(_network, named))


_FORM = "must be true, false, or networks such as 10.0.0.0/8"


def _network(name: str) -> Network:
    try:
        address = ipaddress.ip_address(str(name).partition("/")[0])
        network = ipaddress.ip_network(str(name), strict=False)
    except ValueError:
        raise ValueError(f"{_FORM}, and {name!r} is none") from None
    if network.network_address != address:
        raise ValueError(f"{_FORM}, and {name!r} is an address in one: {network}")
    for shut, what in _SHUT.items():
        if network.version == shut.version and network.subnet_of(shut):  # type: ignore[arg-type]
            raise ValueError(f"can't open {name!r}, {what}: nothing is fetched from there")
    return network


def _and_wrapped(address: Address) -> Iterator[Address]:
    """The IPv4 addresses that an address stands for, and then itself, unless it is only those."""
    wrapped = _wrapped(address)
    yield from wrapped
    if not (wrapped and _is_in((*_WRAPPING, _SIX_TO_FOUR), address)):
        yield address


def _wrapped(address: Address) -> List[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return []
    number = int(address)
    found = [address.sixtofour, *(address.teredo or ())]
    last = ipaddress.IPv4Address(number & 0xFFFFFFFF)
    if number > 1 and _is_in(_WRAPPING, address):
        found.append(last)
    if (number >> 32) & 0xFFFFFFFF in _ISATAP:
        found.append(last)
    if address in _TRANSLATORS:
        found += [last, *(_translated(number, bits) for bits in _TRANSLATORS_BITS)]
    return [each for each in found if each is not None]


def _translated(number: int, prefix_bits: int) -> ipaddress.IPv4Address:
    """What follows a prefix of RFC 6052; the octet in the address's middle is not part of it."""
    without_octet = (number >> 64 << 56) | (number & ((1 << 56) - 1))
    return ipaddress.IPv4Address((without_octet >> (120 - 32 - prefix_bits)) & 0xFFFFFFFF)


def _is_in(networks: Iterable[Network], address: Address) -> bool:
    return any(address in each for each in networks)


def _held_by(kinds: Dict[Network, str], address: Address) -> Optional[str]:
    return next((what for network, what in kinds.items() if address in network), None)


def _kind(address: Address) -> Optional[str]:
    kinds = {
        "unspecified": address.is_unspecified,
        "loopback": address.is_loopback,
        "multicast": address.is_multicast,
        "reserved": address.is_reserved,
        "private": not address.is_global,
    }
    return _held_by(_REFUSED, address) or next((w for w, holds in kinds.items() if holds), None)
