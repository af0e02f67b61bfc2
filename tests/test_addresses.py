"""Where a list may lead to: the public internet, and what the user opens; never a packet else."""

import socket
import time
from pathlib import Path
from typing import Any, List

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from support import web as servers
from support.web import Dialled, fetcher, resolving_to

from rembg_beam.pipelines import cli, status
from rembg_beam.transforms import WebOptions
from rembg_beam.transforms.store import web
from rembg_beam.transforms.store.web import addresses

# Hosts and spellings of places that no list may lead to; PORT is a listener's on loopback.
REFUSED = [
    "127.0.0.1",
    "127.0.0.1:PORT",
    "127.255.255.254:PORT",
    "localhost:PORT",
    "LOCALHOST:PORT",
    "me:pw@localhost:PORT",
    "127.1:PORT",
    "127.0.1:PORT",
    "2130706433:PORT",
    "0x7f000001:PORT",
    "0x7f.1:PORT",
    "0177.0.0.1:PORT",
    "017700000001:PORT",
    "0x7F.0x0.0x0.0x1:PORT",
    "0:PORT",
    "0.0.0.0:PORT",
    "[::1]:PORT",
    "[0:0:0:0:0:0:0:1]:PORT",
    "[::]:PORT",
    "[::ffff:127.0.0.1]:PORT",
    "[::ffff:7f00:1]:PORT",
    "[::127.0.0.1]:PORT",
    "[::ffff:0:127.0.0.1]:PORT",
    "[64:ff9b::127.0.0.1]:PORT",
    "[64:ff9b::a9fe:a9fe]",
    "[64:ff9b:1::1]",
    "[2002:7f00:1::]",
    "[2002:a9fe:a9fe::1]",
    "[2001:0:7f00:1::]",
    "[2001:db8::1]",
    "[2606:4700::5efe:127.0.0.1]",
    "169.254.169.254",
    "169.254.170.2",
    "0xA9FEA9FE",
    "2852039166",
    "168.63.129.16",
    "100.100.100.200",
    "192.0.0.192",
    "[fd00:ec2::254]",
    "[fd20:ce::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "[3fff::1]",
    "10.0.0.1",
    "10.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "192.168.257",
    "100.64.0.1",
    "192.0.2.1",
    "192.88.99.1",
    "198.18.0.1",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
]


@pytest.mark.parametrize("host", REFUSED)
def test_a_place_is_refused(listener: servers.Listener, host: str) -> None:
    url = f"http://{host.replace('PORT', str(listener.port))}/a.jpg"
    with pytest.raises(web.PrivateAddress, match="--allow_private_hosts") as raised:
        fetcher(WebOptions()).read(url)
    assert "pw" not in str(raised.value)
    time.sleep(0.01)
    assert listener.connections == 0


@pytest.mark.parametrize(
    "host", ["localhost.", "①②⑦.⓪.⓪.①", "127。0。0。1", "127.0.0.1%2f", "[::1", "", " "]
)
def test_what_is_no_host_is_refused(listener: servers.Listener, host: str) -> None:
    with pytest.raises((ValueError, OSError)):
        fetcher(WebOptions()).read(f"http://{host}:{listener.port}/a.jpg")
    assert listener.connections == 0


def resolving(*answers: List[str]) -> Any:
    """A resolver whose first answer is the first of these, and so on; the last one stays."""
    left = list(answers)

    def resolve(host: str, port: int, *, type: int) -> List[Any]:
        found = left.pop(0) if len(left) > 1 else left[0]
        return [each for ip in found for each in socket.getaddrinfo(ip, port, type=type)]

    return resolve


@pytest.mark.parametrize(
    "answer",
    [
        ["127.0.0.1"],
        ["::1"],
        ["8.8.8.8", "127.0.0.1"],
        ["127.0.0.1", "8.8.8.8"],
        ["::ffff:10.1.1.1"],
    ],
)
def test_a_name_that_leads_there_is_refused(listener: servers.Listener, answer: List[str]) -> None:
    fetching = fetcher(WebOptions(), resolver=resolving(answer))
    with pytest.raises(web.PrivateAddress):
        fetching.read(f"http://pictures.example:{listener.port}/a.jpg")
    assert listener.connections == 0


def test_a_redirect_there_is_refused(server: servers.Server, listener: servers.Listener) -> None:
    """This server stands for one that may be asked: its address alone is opened."""
    places = ["127.0.0.2", "[::1]", "2130706434", "[::ffff:127.0.0.2]", "localhost"]
    fetching = fetcher(
        WebOptions(allow_private_hosts="127.0.0.1"),
        resolver=lambda host, port, *, type: socket.getaddrinfo(
            "127.0.0.2" if host == "localhost" else host, port, type=type
        ),
    )
    for place in places:
        with pytest.raises(web.PrivateAddress):
            fetching.read(f"{server.url}/moved/302?http://{place}:{listener.port}/a.jpg")
    assert len(server.paths) == len(places)
    assert listener.connections == 0


# What clouds hand out credentials at, and link-local addresses.
SHUT = [
    *("169.254.169.254", "169.254.170.2", "169.254.0.1", "169.254.255.255", "168.63.129.16"),
    *("100.100.100.200", "192.0.0.192"),
]
SHUT_6 = [
    *("fd00:ec2::254", "fd00:ec2::23", "fd20:ce::254", "fd00:c1::a9fe:a9fe", "fd00:42::42"),
    *("fd00:a9fe:a9fe::1", "fd00:100::100:200", "fe80::1", "fe80::1%lo", "febf:ffff::1"),
    "fe80::5efe:10.0.0.1",
]


def wrapped(address: str) -> List[str]:
    """The IPv6 addresses that lead to an IPv4 address, or may."""
    high, low = (f"{int(part):x}" for part in divmod(int.from_bytes(packed(address)), 1 << 16))
    inverted = bytes(byte ^ 0xFF for byte in packed(address)).hex()
    a, b, c, d = packed(address)
    return [
        *(f"::ffff:{address}", f"::ffff:{high}:{low}", f"::{address}", f"::ffff:0:{address}"),
        *(f"64:ff9b::{address}", f"64:ff9b:1::{address}", f"64:ff9b:1:7:0:9:{address}"),
        # RFC 6052's prefixes of 48, 56 and 64 bits.
        *(
            f"64:ff9b:1:{a:x}{b:02x}:{c:x}:{d:02x}00::",
            f"64:ff9b:1:7{a:02x}:{b:x}:{c:02x}{d:02x}::",
        ),
        f"64:ff9b:1:7:{a:x}:{b:02x}{c:02x}:{d:02x}00:0",
        *(f"2002:{high}:{low}::1", f"2001:0:{high}:{low}::1"),
        f"2001:0:808:808:0:0:{inverted[:4]}:{inverted[4:]}",
        *(f"2606:4700::5efe:{address}", f"fd12::200:5efe:{address}"),
    ]


def packed(address: str) -> bytes:
    return socket.inet_aton(address)


@pytest.mark.parametrize("opened", [True, ("0.0.0.0/0", "::/0")])
@pytest.mark.parametrize("address", [*SHUT, *SHUT_6])
def test_nothing_opens_credentials(server: servers.Server, address: str, opened: Any) -> None:
    """By name, by a redirect, and in each address that is another's."""
    dial = Dialled(server)
    forms = [address, *(wrapped(address) if address in SHUT else [])]
    names = {f"name{number}.example": resolving_to(form) for number, form in enumerate(forms)}
    fetching = fetcher(
        WebOptions(allow_private_hosts=opened),
        resolver=lambda host, *more, **type: names.get(host, resolving_to("-"))(
            host, *more, **type
        ),
        dial=dial,
    )
    for name, form in zip(names, forms, strict=True):
        for url in (f"http://{name}/a.jpg", f"http://127.0.0.1/moved/302?http://{name}/"):
            with pytest.raises(web.PrivateAddress, match="nothing is fetched from there") as raised:
                fetching.read(url)
            assert form in str(raised.value)
    assert set(dial.places) == {"127.0.0.1"}
    assert len(server.paths) == len(forms)


@pytest.mark.parametrize(
    ("opened", "address", "passes"),
    [
        ("10.0.0.0/8", "10.1.2.3", True),
        ("10.0.0.0/8", "::ffff:10.1.2.3", True),
        ("10.0.0.0/8", "64:ff9b::10.1.2.3", True),
        ("10.0.0.0/8", "2002:a01:203::1", True),
        ("10.0.0.0/8", "11.1.2.3", True),
        ("10.0.0.0/8", "192.168.1.1", False),
        ("10.0.0.0/8", "::ffff:192.168.1.1", False),
        ("10.0.0.0/8", "127.0.0.1", False),
        ("10.0.0.0/8", "0.0.0.0", False),
        ("10.0.0.0/8", "::1", False),
        ("10.0.0.0/8", "fd12::1", False),
        ("10.0.0.0/8", "fd12::5efe:10.1.2.3", False),
        ("10.0.0.0/8", "64:ff9b:1::10.1.2.3", False),
        ("64:ff9b:1::/48", "64:ff9b:1::10.1.2.3", True),
        ("fd12::/16", "fd12::1", True),
        ("fd12::/16", "fd13::1", False),
        ("fd12::/16", "10.1.2.3", False),
        (["10.0.0.0/8", "fd12::/16"], "fd12::1", True),
        (["10.0.0.0/8", "fd12::/16"], "fd12::5efe:10.1.2.3", True),
        ("192.168.1.7", "192.168.1.7", True),
        ("192.168.1.7", "192.168.1.8", False),
        (True, "10.1.2.3", True),
        (True, "::1", True),
        ((), "10.1.2.3", False),
    ],
)
def test_networks_are_opened_by_name(
    server: servers.Server, opened: Any, address: str, passes: bool
) -> None:
    dial = Dialled(server)
    options = WebOptions(allow_private_hosts=opened)
    fetching = fetcher(options, resolver=resolving_to(address), dial=dial)
    if passes:
        assert fetching.read("http://a.example/a.jpg").value == server.pictures["/a.jpg"]
    else:
        with pytest.raises(web.PrivateAddress, match="with the network to open"):
            fetching.read("http://a.example/a.jpg")
    assert dial.places == [address] * passes


@pytest.mark.parametrize(
    ("networks", "says"),
    [
        ("10.0.0.1/8", "'10.0.0.1/8' is an address in one: 10.0.0.0/8"),
        ("stray.jpg", "networks such as 10.0.0.0/8, and 'stray.jpg' is none"),
        ("169.254.0.0/16", "can't open '169.254.0.0/16', link-local"),
        ("100.100.100.200", "Alibaba's metadata"),
        ("fd00:ec2::/64", "Amazon's metadata"),
        (["10.0.0.0/8", "x"], "'x' is none"),
        ("", "'' is none"),
        (10, "must be true, false, or networks"),
        ([10], "10 is none"),
        ({"a": 1}, "must be true, false, or networks"),
    ],
)
def test_what_is_no_network_is_refused(networks: Any, says: str) -> None:
    with pytest.raises(ValueError, match=r"^allow_private_hosts=") as raised:
        WebOptions(allow_private_hosts=networks)
    assert says in str(raised.value)


def test_the_same_networks_are_the_same_options() -> None:
    """A process has one fetcher for each."""
    one = WebOptions(allow_private_hosts=["10.0.0.0/255.0.0.0", "FD12::/16"])
    assert one == WebOptions(allow_private_hosts=("10.0.0.0/8", "fd12::/16"))
    assert len({one, WebOptions(allow_private_hosts="10.0.0.0/8"), WebOptions()}) == 3


@pytest.mark.parametrize(
    ("flags", "config", "value"),
    [
        ([], "", False),
        (["--allow_private_hosts"], "", True),
        (["--allow-private-hosts", "--only_mask"], "", True),
        (["--allow_private_hosts", "10.0.0.0/8"], "", ["10.0.0.0/8"]),
        (["--allow_private_hosts=10.0.0.0/8"], "", ["10.0.0.0/8"]),
        (["--allow_private_hosts", "10.0.0.0/8", "fd12::/16"], "", ["10.0.0.0/8", "fd12::/16"]),
        (["--allow_private_hosts", "10.0.0.0/8"] * 2, "", ["10.0.0.0/8", "10.0.0.0/8"]),
        (["--allow_private_hosts", "10.0.0.0/8", "--allow_private_hosts"], "", True),
        (["--allow_private_hosts", "--no_allow_private_hosts"], "", False),
        ([], "allow_private_hosts: true", True),
        ([], "allow_private_hosts: 10.0.0.0/8", ["10.0.0.0/8"]),
        ([], "allow-private-hosts: [10.0.0.0/8, 'fd12::/16']", ["10.0.0.0/8", "fd12::/16"]),
        (["--no_allow_private_hosts"], "allow_private_hosts: 10.0.0.0/8", False),
        (["--allow_private_hosts", "fd12::/16"], "allow_private_hosts: true", ["fd12::/16"]),
    ],
)
def test_the_flag_takes_networks_or_none(
    capfd: Any, tmp_path: Path, flags: List[str], config: str, value: Any
) -> None:
    (tmp_path / "config.yaml").write_text(config)
    arguments = ["run", "--print_config", "--config", str(tmp_path / "config.yaml"), *flags]
    assert cli.main(arguments) == status.OK
    assert yaml.safe_load(capfd.readouterr().out)["allow_private_hosts"] == value


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        (["--allow_private_hosts", "a.jpg"], "--allow_private_hosts: ['a.jpg'] must be true"),
        (["--no_allow_private_hosts", "10.0.0.0/8"], "--no_allow_private_hosts takes no value"),
    ],
)
def test_a_flag_without_sense_is_refused(capfd: Any, flags: List[str], says: str) -> None:
    assert cli.main(["run", "--print_config", *flags]) == status.WRONG_USE
    assert says in capfd.readouterr().err


@pytest.mark.parametrize(
    "address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "64:ff9b::8.8.8.8", "2002:808:808::1"]
)
def test_the_public_internet_is_not_refused(address: str) -> None:
    assert addresses.refusal(address) is None


@given(st.ip_addresses(v=4))
def test_an_address_is_judged_the_same_however_it_is_wrapped(address: Any) -> None:
    alone = addresses.refusal(str(address))
    for prefix in ("::ffff:", "64:ff9b::", "::ffff:0:"):
        assert addresses.refusal(f"{prefix}{address}") == alone


@given(st.ip_addresses(v=4))
def test_no_address_that_is_not_global_passes(address: Any) -> None:
    if not address.is_global or address.is_multicast:
        assert addresses.refusal(str(address)) is not None
