"""No credential of a URI reaches a log, a row or an error."""

import json
import logging
import os
import socket
from pathlib import Path
from typing import Any, Callable, Iterator, List

import pytest
from apache_beam.pvalue import TaggedOutput
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rembg_beam.pipelines import cli, logs
from rembg_beam.transforms import Source, WebOptions, naming
from rembg_beam.transforms.outcomes import RunColumns, failed
from rembg_beam.transforms.read import ReadPictures
from rembg_beam.transforms.runtime import metrics
from rembg_beam.transforms.runtime.failures import failure
from rembg_beam.transforms.sources import patterns
from rembg_beam.transforms.sources.find import ReadLists
from rembg_beam.transforms.sources.lists import InputList
from rembg_beam.transforms.store import stores, uris, web
from rembg_beam.transforms.store.web import fetcher

SECRET = "s3cr3t"

# What may stand in a URI, and what should not but may yet be in a password; `?` and `#` would end
# the host before it, and wildcards make it a pattern.
ALLOWED = st.text(st.sampled_from("aZ09-._~!$&()+,;=%:"), max_size=6)
ANYTHING = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="/?#*["), max_size=6)

SCHEMES = st.sampled_from(["http", "https", "HTTPS", "s3", "hdfs", "gs", "ftp", "webhdfs"])
HOSTS = st.sampled_from(["host", "host:8080", "a.b.c", "[::1]:443", "bucket"])
PATHS = st.sampled_from(["", "/", "/a.jpg", "/x/@2x/a@b.jpg", "/x y.jpg"])


@st.composite
def with_user(draw: Any, texts: Any = ALLOWED) -> str:
    user, password = draw(texts), draw(texts) + SECRET + draw(texts)
    credentials = draw(st.sampled_from([password, f"{user}:{password}", f"{password}:"]))
    return f"{draw(SCHEMES)}://{credentials}@{draw(HOSTS)}{draw(PATHS)}"


@st.composite
def with_signature(draw: Any) -> str:
    names = ["sig", "X-Goog-Signature", "X-Amz-Credential", "token", "access_token"]
    query = f"{draw(ALLOWED)}&{draw(st.sampled_from(names))}={SECRET}{draw(ALLOWED)}"
    scheme, mark = draw(st.sampled_from(["http", "https"])), draw(st.sampled_from("?#"))
    return f"{scheme}://{draw(HOSTS)}{draw(PATHS)}{mark}{query}"


# What the text of a library quotes is taken for a URI up to the next blank.
URIS = (with_user() | with_signature()).filter(lambda uri: " " not in uri)


@given(with_user(ANYTHING) | with_signature())
@example(f"https://me:p/{SECRET}@host/a.jpg")
@example(f"https://host?email=a@b&sig={SECRET}@x")
@example(f"file://me:{SECRET}@host/a.jpg")
def test_a_uri_is_shown_without(uri: str) -> None:
    assert SECRET not in uris.without_secrets(uri)


@given(URIS)
def test_a_text_is_shown_without(uri: str) -> None:
    for text in (
        uri,
        repr(uri),
        f"<{uri}>",
        f"no file at {uri} (HTTP 404)",
        json.dumps({"u": uri}),
    ):
        assert SECRET not in uris.without_secrets_in(text)


@given(HOSTS, PATHS, SCHEMES)
def test_a_uri_without_secrets_stays_as_it_is(host: str, path: str, scheme: str) -> None:
    uri = f"{scheme}://{host}{path}"
    assert uris.without_secrets(uri) == uri


# Of a fetcher whose resolver knows no name, for these tests ask no server.
NO_NAMES = WebOptions(web_user_agent="nobody")


@pytest.fixture(scope="module", autouse=True)
def _no_names() -> Iterator[None]:
    def unknown(host: str, port: int, *, type: int) -> List[Any]:
        raise socket.gaierror(socket.EAI_NONAME, f"no address for {host}")

    mine = {(os.getpid(), each): each for each in (NO_NAMES, web.DEFAULTS)}
    before = dict(fetcher._fetchers)
    fetcher._fetchers |= {key: web.Fetcher(each, resolver=unknown) for key, each in mine.items()}
    yield
    fetcher._fetchers.clear()
    fetcher._fetchers |= before


@given(URIS)
@example(f"gs://me:{SECRET}@bucket/a.jpg")
@example(f"file://me:{SECRET}@host/a.jpg")
def test_no_error_and_no_row_tells(uri: str) -> None:
    result = ReadPictures(web_options=NO_NAMES).work(Source(uri))
    assert not isinstance(result, bytes)
    assert SECRET not in str(failed(Source(uri), result, RunColumns("tiny")))  # type: ignore[arg-type]


def test_no_member_in_a_row_tells() -> None:
    wav = f"hdfs://me:{SECRET}@host/a.tar#member=b.wav&at=512+9"
    cell = f"hdfs://me:{SECRET}@host/a.parquet#column=x.bytes&group=0&row=7"
    own = {"page": f"https://me:{SECRET}@host/#x", "at": "a@b#c"}
    source = Source.of(wav, metadata={"wav": wav, "x": {"bytes": cell}, "all": [cell], **own})
    row = failed(source, failure("read", ValueError("bad")), RunColumns("tiny"))
    hidden = cell.replace(f"me:{SECRET}", "***")
    assert json.loads(row.metadata) == {
        **{"wav": wav.replace(f"me:{SECRET}", "***"), "x": {"bytes": hidden}, "all": [hidden]},
        **own,
    }
    # What no reader of tables wrote, and a user's own order of keys, stay.
    for text in ('{"b": "#@", "a": 1}', "{#@"):
        told = failed(Source("a", metadata=text), failure("read", ValueError()), RunColumns("m"))
        assert told.metadata == text


@settings(deadline=None)
@given(URIS)
def test_no_name_and_no_refusal_tells(uri: str) -> None:
    calls: List[Callable[[], Any]] = [
        lambda: naming.relative_name(uri),
        lambda: naming.relative_name(uri, "gs://elsewhere"),
        lambda: naming.relative_name("gs://elsewhere/a.jpg", uri),
        lambda: patterns.check(uri),
        lambda: [source.name for source in patterns.find(uri + "/*.jpg")],
        lambda: stores.size(uri),
        lambda: stores.write(uri, "a.png", b"", "image/png"),
    ]
    for call in calls:
        try:
            shown = str(call())
        except Exception as error:
            shown = str(error)
        assert SECRET not in shown


@given(URIS)
def test_no_error_of_a_librarys_tells(uri: str) -> None:
    assert SECRET not in str(failure("read", RuntimeError(f"GET {uri}: failed")))


@given(URIS)
def test_no_log_tells(uri: str) -> None:
    formatter = logs._WithoutSecrets("%(message)s")
    try:
        raise RuntimeError(f"GET {uri}: failed")
    except RuntimeError as error:
        exc_info: Any = (type(error), error, error.__traceback__)
    record = logging.LogRecord("x", logging.ERROR, "x.py", 1, "for %s", (uri,), exc_info)
    shown = formatter.format(record)
    assert SECRET not in shown and "RuntimeError" in shown


def test_no_bad_line_tells(tmp_path: Path) -> None:
    lines = [f'{{"uri": "https://me:{SECRET}@host/a.jpg?sig={SECRET}", "name": 7}}', "{"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    uri = str(tmp_path / "list.txt")
    found = list(ReadLists().process(InputList(uri, uri)))
    assert len(found) == 2 and all(isinstance(each, TaggedOutput) for each in found)
    assert SECRET not in str([each.value for each in found])


@pytest.mark.parametrize(
    "arguments",
    [
        ["--input", f"https://me:{SECRET}@host/a.jpg?sig={SECRET}"],
        ["--input", f"gs://me:{SECRET}@bucket/*.jpg"],
        ["--input_list", f"https://me:{SECRET}@host/list.txt?sig={SECRET}"],
        ["--print_config", "--input", f"https://me:{SECRET}@host/a.jpg?sig={SECRET}"],
    ],
)
def test_the_command_does_not_tell(arguments: List[str], tmp_path: Path, capfd: Any) -> None:
    cli.main(["run", *arguments, "--output", str(tmp_path / "out"), "--model", "tiny"])
    streams = capfd.readouterr()
    assert streams.out + streams.err
    assert SECRET not in streams.out + streams.err


def test_a_run_does_not_tell(tmp_path: Path, capfd: Any) -> None:
    secrets = f"https://me:{SECRET}@host/a.jpg?sig={SECRET}"
    (tmp_path / "list.txt").write_text(f"{secrets}\n{secrets}#2\n{secrets}&x\n")
    out = tmp_path / "out"
    arguments = ["--input_list", str(tmp_path / "list.txt"), "--output", str(out)]
    assert cli.main(["run", *arguments, "--model", "tiny"]) == 1
    streams = capfd.readouterr()
    assert "failed: https://***@host/a.jpg?***" in streams.out
    assert SECRET not in streams.out + streams.err
    for path in out.rglob("*"):
        assert SECRET not in str(path)
        assert path.is_dir() or SECRET.encode() not in path.read_bytes()
    import pyarrow.dataset

    rows = pyarrow.dataset.dataset(out / "_manifest", partitioning="hive").to_table().to_pylist()
    assert len(rows) == 3 and SECRET not in str(rows)


def test_a_bar_silences_the_logger_of_counts() -> None:
    assert metrics.__name__ == logs._METRICS
