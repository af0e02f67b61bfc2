"""Pictures of the web: a real server that behaves badly, and places nobody is sent to."""

import base64
import concurrent.futures
import errno
import json
import logging
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.parse
from pathlib import Path
from typing import Any, Callable, List

import psutil
import pyarrow.dataset
import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from support import web as servers
from support.web import LOOPBACK, fetcher

from rembg_beam.pipelines import cli, status
from rembg_beam.transforms import RemoveBackground, Source, WebOptions, naming
from rembg_beam.transforms.store import limits, stores, uris, web
from rembg_beam.transforms.store.retrying import Tried
from rembg_beam.transforms.store.web import connections

IMPATIENT = WebOptions(allow_private_hosts=True, max_seconds=1)


def test_a_picture_comes_as_it_is(server: servers.Server) -> None:
    got = fetcher().read(f"{server.url}/a.jpg?size=large#top")
    assert got == Tried(server.pictures["/a.jpg"], 1)
    assert server.paths == ["/a.jpg?size=large"]
    assert server.headers["User-Agent"].startswith("rembg-beam/")


def test_connections_are_kept_and_bounded(server: servers.Server) -> None:
    fetching = fetcher(WebOptions(allow_private_hosts=True, connections_per_host=3))
    with concurrent.futures.ThreadPoolExecutor(12) as pool:
        got = list(pool.map(fetching.read, [f"{server.url}/waiting/{n}" for n in range(60)]))
    assert {each.value for each in got} == {server.pictures["/a.jpg"]}
    assert len(server.paths) == 60
    assert server.most == 3
    assert server.connections == 3


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(server: servers.Server, status: int) -> None:
    got = fetcher().read(f"{server.url}/moved/{status}?/a.jpg")
    assert got.value == server.pictures["/a.jpg"]
    assert server.connections == 1


@pytest.mark.parametrize(
    "query",
    [
        *("", "0", "Wed, 21 Oct 2015 07:28:00 GMT", "soon"),
        *("9" * 5000, "Wed, 21 Oct 99999999999 07:28:00 GMT"),
    ],
)
def test_a_busy_server_is_asked_again(server: servers.Server, query: str) -> None:
    got = fetcher().read(f"{server.url}/busy?{query.replace(' ', '%20')}")
    assert got == Tried(server.pictures["/a.jpg"], 2)


def test_a_redirect_in_utf_8_is_followed(server: servers.Server) -> None:
    server.pictures["/%C3%A9.jpg"] = b"picture"
    location = "/é.jpg".encode().decode("latin-1")
    asked = f"{server.url}/moved/302?{urllib.parse.quote(location, encoding='latin-1')}"
    # The test's server reads its query as UTF-8, and sends headers as Latin-1.
    asked = asked.replace("%C3%A9", "%C3%83%C2%A9")
    assert fetcher().read(asked).value == b"picture"


@pytest.mark.parametrize("scheme", ["myapp:", "ftp://host/", "s3://bucket/"])
def test_a_redirect_elsewhere_tells_the_scheme_alone(server: servers.Server, scheme: str) -> None:
    with pytest.raises(ValueError, match=scheme.partition(":")[0]) as raised:
        fetcher().read(f"{server.url}/moved/302?{scheme}a?token=s3cr3t")
    assert "s3cr3t" not in str(raised.value)


@pytest.mark.parametrize("target", ["http://a..example/a.jpg", "http://good%5C@host/a.jpg"])
def test_a_redirect_to_no_host_names_it(server: servers.Server, target: str) -> None:
    with pytest.raises(ValueError, match=r"(a\.\.example|@host).* is no URL"):
        fetcher().read(f"{server.url}/moved/302?{target}")


def test_no_log_has_a_query(server: servers.Server, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        assert fetcher().read(f"{server.url}/bad-header?token=s3cr3t").value
        assert fetcher().read(f"{server.url}/a.jpg?token=s3cr3t").value
    assert "/a.jpg" in caplog.text
    assert "s3cr3t" not in caplog.text


def _dead_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


def test_an_address_that_does_not_answer_is_no_last_word(server: servers.Server) -> None:
    dead = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", _dead_port()))
    odd = (socket.AF_INET6, socket.SOCK_STREAM, 6, "", ("::1", 1, 0, 0))
    live = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", server.port))

    def dial(family: int, place: Any, seconds: float) -> socket.socket:
        """As on a machine without IPv6."""
        if family == socket.AF_INET6:
            raise OSError(errno.EAFNOSUPPORT, "Address family not supported")
        return connections.dial(family, place, seconds)

    def fetching(*found: Any) -> servers.Raising:
        return fetcher(resolver=lambda *_, **__: list(found), dial=dial)

    for found in ([odd, live], [dead, odd, live]):
        got = fetching(*found).read("http://name.example/a.jpg")
        assert got.value == server.pictures["/a.jpg"]
    last = fetching(dead, odd)
    with pytest.raises(ConnectionError, match=r"name\.example"):
        last.read("http://name.example/a.jpg")
    assert last.attempts == 4


def test_a_reset_while_connecting_is_tried_again() -> None:
    def resolver(*_: Any, **__: Any) -> Any:
        raise ConnectionResetError

    fetching = fetcher(LOOPBACK, resolver=resolver)
    with pytest.raises(ConnectionError, match=r"name\.example"):
        fetching.read("http://name.example/a.jpg")
    assert fetching.attempts == 4


def test_a_server_that_hangs_up_in_the_handshake(listener: servers.Listener) -> None:
    fetching = fetcher()
    with pytest.raises(ConnectionError, match=r"127\.0\.0\.1"):
        fetching.read(f"https://127.0.0.1:{listener.port}/a.jpg")
    assert fetching.attempts == 4


def test_credentials_are_sent_as_utf_8(server: servers.Server) -> None:
    fetcher().read(server.url.replace("//", "//me:s%E2%82%AC@") + "/a.jpg")
    assert base64.b64decode(server.headers["Authorization"].split()[1]).decode() == "me:s€"
    fetcher().read(server.url.replace("//", "//token@") + "/a.jpg")
    assert base64.b64decode(server.headers["Authorization"].split()[1]) == b"token:"


def test_a_broken_answer_is_asked_for_again(server: servers.Server) -> None:
    assert fetcher().read(f"{server.url}/cut") == Tried(server.pictures["/a.jpg"], 2)


@pytest.mark.parametrize(
    "path, error, says, attempts",
    [
        ("missing.jpg", FileNotFoundError, "404", 1),
        ("status?410", FileNotFoundError, "410", 1),
        ("status?403", PermissionError, "403 Forbidden", 1),
        ("status?204", OSError, "204", 1),
        ("status?206", OSError, "206", 1),
        ("status?500", OSError, "500 Internal Server Error", 4),
        ("status?503", OSError, "503", 4),
        ("too-short", ConnectionError, "ended after", 4),
        ("nonsense", ConnectionError, "broke", 4),
        ("two-lengths", OSError, "not as HTTP has it", 1),
        ("vast", limits.TooLarge, "max_bytes=2000000", 1),
        ("endless", limits.TooLarge, "max_bytes=2000000", 1),
        ("bomb", limits.TooLarge, "max_bytes=2000000", 1),
        ("bomb?3", limits.TooLarge, "max_bytes=2000000", 1),
        ("broken-gzip", OSError, "Content-Encoding", 1),
        ("loop", OSError, "more than 5 times", 1),
        ("moved/302?ftp://host/a.jpg", ValueError, "only http:// and https://", 1),
        ("moved/302?file:///etc/passwd", ValueError, "only http:// and https://", 1),
        ("robots?noai", web.OptedOut, "--ignore_opt_out", 1),
        ("robots?max-snippet:-1,+noindex", web.OptedOut, "noindex", 1),
        ("robots?otherbot:+noindex,+rembg-beam:+noai", web.OptedOut, "noai", 1),
        ("negative-chunk", OSError, "not as HTTP has it", 1),
        ("negative-chunk?404", FileNotFoundError, "404", 1),
        ("many-headers", OSError, "not as HTTP has it", 1),
        ("moved/302?http://[::1/a.jpg", ValueError, "no URL", 1),
    ],
)
def test_each_bad_answer_has_its_error(
    server: servers.Server, path: str, error: Any, says: str, attempts: int
) -> None:
    before, fetching = psutil.Process().memory_info().rss, fetcher()
    with pytest.raises(error) as raised:
        fetching.read(f"{server.url}/{path}", 2_000_000)
    assert says in str(raised.value)
    assert "127.0.0.1" in str(raised.value)
    assert fetching.attempts == attempts
    assert psutil.Process().memory_info().rss - before < 50_000_000


@pytest.mark.parametrize("path", ["slow", "slow-headers", "silent"])
def test_what_is_too_slow_is_cut(server: servers.Server, path: str) -> None:
    start = time.monotonic()
    with pytest.raises(web.TooSlow, match="max_seconds=1"):
        fetcher(IMPATIENT).read(f"{server.url}/{path}", 2_000_000)
    assert 0.9 < time.monotonic() - start < 10


def test_a_body_that_goes_on_spoils_no_other(server: servers.Server) -> None:
    fetching, picture = fetcher(), server.pictures["/a.jpg"]
    for _ in range(5):
        assert fetching.read(f"{server.url}/too-long").value == picture[: len(picture) // 2]
        assert fetching.read(f"{server.url}/a.jpg").value == picture


def test_types_and_packing_are_not_believed(server: servers.Server) -> None:
    for path in ("as-text", "zipped"):
        assert fetcher().read(f"{server.url}/{path}").value == server.pictures["/a.jpg"]


@pytest.mark.parametrize(
    "tag, taken",
    [
        ("noai", False),
        ("noarchive,+NoImageAI", False),
        ("noindex", False),
        ("rembg-beam:+noindex", False),
        ("otherbot:+noindex", True),
        ("nofollow", True),
    ],
)
def test_sites_may_opt_out(server: servers.Server, tag: str, taken: bool) -> None:
    url = f"{server.url}/robots?{tag}"
    if taken:
        fetcher().read(url)
    else:
        with pytest.raises(web.OptedOut):
            fetcher().read(url)
    fetcher(WebOptions(allow_private_hosts=True, ignore_opt_out=True)).read(url)


def test_credentials_go_only_where_the_list_says(server: servers.Server) -> None:
    other = servers.Server()
    other.pictures["/a.jpg"] = b"other"
    host = f"me:p%40ss@127.0.0.1:{server.port}"
    fetcher().read(f"http://{host}/moved/302?/a.jpg")
    assert server.headers["Authorization"] == "Basic bWU6cEBzcw=="
    fetcher().read(f"http://{host}/moved/302?{other.url}/a.jpg")
    assert "Authorization" not in other.headers
    other.stop()


def test_certificates_are_verified(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    server = servers.Server(context)
    server.pictures["/a.jpg"] = b"picture"
    with pytest.raises(OSError, match="certificate is not valid"):
        fetcher().read(f"{server.url}/a.jpg")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    assert fetcher().read(f"{server.url}/a.jpg").value == b"picture"
    with pytest.raises(web.TooSlow):
        fetcher(IMPATIENT).read(f"{server.url}/slow")
    server.stop()


def test_the_second_answer_is_checked_too(
    server: servers.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The address that is connected to is the one that was looked at: no second resolution."""
    asked: List[str] = []

    def resolve(host: str, port: int, *, type: int) -> List[Any]:
        asked.append(host)
        return socket.getaddrinfo("127.0.0.1", port, type=type)

    fetching = fetcher(resolver=resolve)
    for _ in range(3):
        fetching.read(f"http://pictures.example:{server.port}/a.jpg")
    assert asked == ["pictures.example"]
    assert server.connections == 1


def test_a_proxy_of_the_environment_is_not_used(
    server: servers.Server, listener: servers.Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{listener.port}")
    assert fetcher().read(f"{server.url}/a.jpg").value == server.pictures["/a.jpg"]
    with pytest.raises(web.PrivateAddress):
        fetcher(WebOptions()).read("http://169.254.169.254/")
    assert listener.connections == 0


@pytest.mark.parametrize(
    "options",
    [
        {"web_user_agent": "a\r\nHost: b"},
        {"web_user_agent": ""},
        {"max_seconds": 0},
        {"connections_per_host": 0},
    ],
)
def test_options_that_make_no_sense(options: Any) -> None:
    with pytest.raises(ValueError, match=next(iter(options))):
        WebOptions(**options)


@pytest.mark.parametrize("uri", ["ftp://host/a.jpg", "data://x", "gopher://host/a", "dict://h:1/a"])
def test_other_schemes_are_refused_with_those_that_work(uri: str) -> None:
    with pytest.raises(ValueError, match="http:// and https://"):
        stores.read(uri)


@pytest.mark.parametrize(
    "one, other",
    [
        ("https://host/a.jpg", "https://host/a.jpg?id=1"),
        ("https://host/a.jpg?id=1", "https://host/a.jpg?id=2"),
        ("https://host/a/b.jpg", "https://host/a%2Fb.jpg"),
        ("https://host/a%3Fb", "https://host/a?b"),
        ("https://host:80/a", "https://host:81/a"),
        ("https://host/a%FF", "https://host/a%FE"),
        ("https://host/a^3Fb", "https://host/a%3Fb"),
    ],
)
def test_other_urls_have_other_names(one: str, other: str) -> None:
    assert naming.relative_name(one) != naming.relative_name(other)


PATHS = st.lists(
    st.sampled_from(
        ["a.jpg", "%2e%2e", "..", "", "con", "NUL.png", "a:b", "x%00y", "%5C..", "a.", "é"]
    )
    | st.text(max_size=20).map(lambda text: "".join(f"%{b:02X}" for b in text.encode())),
    max_size=4,
).map("/".join)


@given(PATHS, st.text(st.characters(codec="ascii", exclude_characters="#"), max_size=10))
def test_a_name_is_safe_on_every_file_system(path: str, query: str) -> None:
    name = naming.output_name(naming.relative_name(f"https://host:8080/{path}?{query}"), ".png")
    for part in name.split("/"):
        assert part not in ("", ".", "..")
        assert not set(part) & set('<>:"|?*\\\x00')
        assert all(ord(character) >= 32 for character in part)
        assert part[-1] not in ". "
        assert part.partition(".")[0].upper() not in ("CON", "NUL", "PRN", "AUX")
        assert len(part.encode()) <= 255


@pytest.mark.long
def test_every_url_has_its_row(
    server: servers.Server, run: Callable[..., List[Any]], tmp_path: Path
) -> None:
    secret = "s3cr3t"
    good = [f"/a.jpg?token={secret}&n={n}" for n in range(3)] + ["/as-text", "/zipped", "/cut"]
    bad = {
        "/missing.jpg": "FileNotFoundError",
        "/endless": "TooLarge",
        "/bomb": "TooLarge",
        "/slow": "TooSlow",
        "/too-short": "ConnectionError",
        "/page.jpg": "NotAPicture",
        "/loop": "OSError",
        "/robots?noai": "OptedOut",
    }
    user = server.url.replace("//", f"//me:{secret}@")
    sources = [Source.of(user + path) for path in [*good, *bad]]
    rows = run(
        sources,
        RemoveBackground(
            output=str(tmp_path / "out"),
            session="tiny",
            max_bytes=2_000_000,
            web_options=WebOptions(allow_private_hosts=True, max_seconds=10),
        ),
    )
    assert len(rows) == len(sources)
    assert secret not in repr(rows)
    errors = {
        uris.bare(row.uri).removeprefix(server.url): row.error
        for row in rows
        if row.status == "failed"
    }
    assert errors == {path.partition("?")[0]: error for path, error in bad.items()}
    written = [row for row in rows if row.status == "written"]
    assert len({row.outputs[0] for row in written}) == len(good)
    assert all(stores.size(row.outputs[0]) for row in written)
    assert {row.read_attempts for row in written} == {1, 2}


def test_the_command_takes_urls(
    server: servers.Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "list.txt").write_text(
        f'{server.url}/a.jpg?n=1\n{{"uri": "{server.url}/a.jpg?n=2", "name": "two.jpg"}}\n'
    )
    arguments = ["run", "--model", "tiny", "--input", f"{server.url}/a.jpg"]
    arguments += ["--input_list", str(tmp_path / "list.txt"), "--output", str(tmp_path / "out")]
    assert cli.main(arguments) == status.FAILED_RUN
    said = capfd.readouterr().out
    assert "3 failed" in said
    assert "--allow_private_hosts" in said
    assert server.connections == 0
    assert cli.main([*arguments, "--allow_private_hosts"]) == status.OK
    rows = pyarrow.dataset.dataset(tmp_path / "out/_manifest", partitioning="hive").to_table()
    names = {row["name"] for row in rows.to_pylist() if row["status"] == "written"}
    host = f"127.0.0.1^3A{server.port}"
    digest = naming.relative_name(f"{server.url}/a.jpg?n=1").rpartition("^q")[2]
    assert names == {f"{host}/a.jpg", f"{host}/a.jpg^q{digest}", "two.jpg"}


def test_what_a_row_hides_is_not_fetched_without_it(
    server: servers.Server, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    arguments = ["run", "--model", "tiny", "--output", str(tmp_path / "out")]
    arguments += ["--allow_private_hosts"]
    cli.main([*arguments, "--input", f"{server.url}/page.jpg?token=s3cr3t"])
    asked = len(server.paths)
    cli.main([*arguments, "--retry_failed"])
    assert "by --input_list" in capfd.readouterr().out
    assert len(server.paths) == asked


@pytest.mark.parametrize("output", ["http://host/out", "https://me:s3cr3t@host/out"])
def test_the_web_is_not_written_to(
    output: str, capsys: pytest.CaptureFixture[str], photos: Path
) -> None:
    arguments = ["run", "--model", "tiny", "--input", str(photos), "--output", output]
    assert cli.main(arguments) == status.WRONG_USE
    said = capsys.readouterr().err
    assert "can't be written to" in said
    assert "s3cr3t" not in said


@pytest.mark.long
def test_nothing_hangs_at_exit(server: servers.Server, tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("".join(f"{server.url}/slow/{n}\n" for n in range(20)))
    start = time.monotonic()
    command_line = [sys.executable, "-m", "rembg_beam.pipelines", "run", "--model", "tiny"]
    command_line += ["--input_list", str(tmp_path / "list.txt"), "--output", str(tmp_path / "out")]
    command_line += ["--allow_private_hosts", "--max_seconds", "0.5", "--max_failures", "0"]
    process = subprocess.run(
        command_line,
        capture_output=True,
        text=True,
        timeout=180,
    )
    assert process.returncode == status.FAILED_RUN
    assert "20 failed" in process.stdout
    assert time.monotonic() - start < 40


@pytest.mark.long
def test_a_fetcher_is_for_many_threads(server: servers.Server) -> None:
    patience = WebOptions(allow_private_hosts=True, max_seconds=5)
    fetching, stop = fetcher(patience), threading.Event()

    def disturb() -> None:
        while not stop.is_set():
            with pytest.raises(web.TooSlow):
                fetching.read(f"{server.url}/slow")

    disturbing = [threading.Thread(target=disturb) for _ in range(3)]
    for each in disturbing:
        each.start()
    with concurrent.futures.ThreadPoolExecutor(5) as pool:
        got = list(pool.map(fetching.read, [f"{server.url}/a.jpg"] * 2000))
    stop.set()
    for each in disturbing:
        each.join()
    assert {each.value for each in got} == {server.pictures["/a.jpg"]}
    assert json.dumps([each.attempts for each in got]) == json.dumps([1] * 2000)
