"""The commonest mistakes: each message names the input, the rule and the way out."""

import os
from pathlib import Path
from typing import Any, List

import google.auth
import pytest
from apache_beam.io.filesystems import FileSystems
from apache_beam.io.gcp import gcsio
from apache_beam.options.pipeline_options import PipelineOptions
from google.auth.credentials import AnonymousCredentials

from rembg_beam.pipelines import checks, cli, ending, runners, settings
from rembg_beam.pipelines.preflight import credentials
from rembg_beam.transforms.pictures import decode
from rembg_beam.transforms.pictures.errors import NotAPicture
from rembg_beam.transforms.store import gcs

Said = Any


@pytest.fixture
def said(capfd: pytest.CaptureFixture[str], photos: Path, monkeypatch: pytest.MonkeyPatch) -> Said:
    """What the command says of wrong use, on stderr, started beside the pictures."""
    monkeypatch.chdir(photos.parent)

    def said(*arguments: str) -> str:
        capfd.readouterr()
        assert cli.main(list(arguments)) == 2
        out, err = capfd.readouterr()
        assert not out and err.startswith("rembg-beam: ") and "Traceback" not in err
        return err.removeprefix("rembg-beam: ").rstrip("\n")

    return said


RUN = ["run", "--model", "tiny"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no command: `rembg-beam run --input photos --output cutouts --model tiny` cuts out"),
        (["rnu"], "COMMAND: invalid choice: 'rnu' (choose from "),
        ([*RUN, "--input"], "--input: expected one argument; `rembg-beam run --help` tells"),
        (["check", "--input"], "--input: expected one argument; `rembg-beam check --help` tells"),
        ([*RUN, "--dry_run", "x"], "--dry_run: invalid int value: 'x'; `rembg-beam run --help`"),
        (
            [*RUN, "photos", "out"],
            "inputs are given by --input, the folder for the cutouts by --out",
        ),
        (
            [*RUN, "--input", "phtos", "--output", "o"],
            "; did you mean 'photos'?",
        ),
        ([*RUN, "--input", "photos/a.jpeg", "--output", "o"], "; did you mean 'photos/a.jpg'?"),
        ([*RUN, "--input", "photos", "--output", "photos"], "name another folder by --output"),
        (
            [*RUN, "--input", "photos/sub", "--output", "photos/a.jpg"],
            "a.jpg' is no folder; name anothe",
        ),
        (["doctor", "--jsn"], "rembg-beam doctor doesn't know --jsn"),
        (["plan", "--price", "p.yaml"], "knows --price; did you mean --prices?"),
        (["tune", "--buget=1m"], "knows --buget; did you mean --budget?"),
    ],
    ids=lambda value: " ".join(value)[-30:] if isinstance(value, list) else "",
)
def test_what_is_said_in_one_line(said: Said, arguments: List[str], message: str) -> None:
    found = said(*arguments)
    assert message in found and "\n" not in found


@pytest.mark.parametrize("command", ["run", "check", "plan"])
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (
            "--model tiny --cascade tiny",
            "cascade=tiny names a model twice, after 'tiny': name",
        ),
        ("--model tiny --cascade u2netp --no_suspect", "where a mask is suspect: leave suspect on"),
        ("--model sam --cascade u2net", "and 'sam' is none: leave one of the two out"),
        ("--model u2net_cloth_seg --cascade u2net", "and 'u2net_cloth_seg' is none: leave one of"),
    ],
    ids=["twice", "no_suspect", "sam", "clothes"],
)
def test_a_cascade_that_makes_no_sense_is_refused_before_anything_is_written(
    said: Said, command: str, words: str, message: str
) -> None:
    found = said(command, "--input", "photos", "--output", "out", *words.split())
    assert message in found and "\n" not in found and not Path("out").exists()


def test_a_config_that_is_no_yaml(said: Said, tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("input: [photos\noutput: out\n")
    assert "in line 2, column 7:" in said("run", "--config", "a.yaml")
    (tmp_path / "a.yaml").write_bytes(b"\x89PNG\r\n\x1a\n\0")
    assert said("run", "--config", "a.yaml").startswith("--config a.yaml: ")


def test_a_folder_that_may_not_be_listed(
    said: Said, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Any) -> Any:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)
    found = said(*RUN, "--input", str(photos), "--output", "out")
    assert found.startswith(f"--input '{photos}' can't be read: [Errno 13] Permission denied")


@pytest.mark.parametrize("command", ["run", "plan", "tune"])
@pytest.mark.parametrize("flag", ["--input", "--output", "--background"])
def test_a_bucket_without_credentials_is_refused_at_once(
    said: Said,
    photos: Path,
    command: str,
    flag: str,
    without_credentials: None,
) -> None:
    given = {"--input": str(photos), "--output": "out", flag: "gs://bucket/x"}
    words = (word for pair in given.items() for word in pair)
    found = said(command, "--model", "tiny", *words)
    assert found.startswith(
        "'gs://bucket/x' needs credentials of Google Cloud, and this machine ha"
    )
    assert "gcloud auth application-default login" in found and "--no_auth" in found


def test_a_report_of_a_bucket_without_credentials(
    said: Said, monkeypatch: pytest.MonkeyPatch, without_credentials: None
) -> None:
    for arguments in (["gs://bucket/x"], ["out", "--to", "gs://bucket/x"]):
        found = said("report", *arguments)
        assert found.startswith("'gs://bucket/x' needs credentials of Google Cloud")
        assert "gcloud auth application-default login" in found and "--no_auth" in found
    asked = []

    def refuse(options: Any, use_credentials: bool) -> None:
        asked.append(use_credentials)
        raise PermissionError("no")

    monkeypatch.setattr(gcsio, "create_storage_client", refuse)
    assert cli.main(["report", "gs://bucket/x", "--no_auth"]) == 1
    assert asked and not any(asked)


def test_files_that_are_named_mean_the_same_to_workers_elsewhere() -> None:
    named = ("output", "model_path", "background", "relative_to")
    found = checks.absolute(settings.Settings(**{name: f"x/{name}" for name in named}))
    assert all(getattr(found, name) == os.path.abspath(f"x/{name}") for name in named)


def test_a_bucket_that_is_open_to_all_needs_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(google.auth, "default", None)  # whoever asks fails
    options = PipelineOptions(["--no_auth"])
    monkeypatch.setattr(FileSystems, "_pipeline_options", options)
    assert isinstance(gcs._new_client(None)._credentials, AnonymousCredentials)
    given = settings.Settings(input=["gs://bucket/x"])
    credentials.check(runners.HERE, options, given)


def test_a_full_disk_names_the_way_out() -> None:
    error = RuntimeError("OSError: [Errno 28] No space left on device [while running 'Write']")
    assert "make room where --output lies" in ending.way_out(error)
    assert not ending.way_out(RuntimeError("another"))


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"%PDF-1.7\n", "a PDF: make pictures of its pages first"),
        (b'<?xml version="1.0"?>\n<SVG xmlns="">', "a drawing in SVG: render it first"),
        (b"\xef\xbb\xbf\n<!DOCTYPE html><title>404</title>", "a web page in place of the picture"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a pointer of Git LFS: fetch the picture",
        ),
        (b"\0\0\0\x18ftypcrx \0\0\0\x01", "a camera's raw file: develop it to TIFF"),
        (b"\0\0\0\x18ftypisom\0\0\2\0", "a film: take a picture out of it"),
        (b"8BPS\0\1", "Photoshop's: save it as TIFF or PNG"),
        (b"PK\x03\x04", "a ZIP archive: unpack it"),
    ],
)
def test_what_is_often_taken_for_a_picture(data: bytes, what: str) -> None:
    with pytest.raises(NotAPicture, match=rf"they start with .*\. It is {what}"):
        decode.decode(data)
    with pytest.raises(NotAPicture) as raised:
        decode.decode(b"<not a page or a drawing>")
    assert "It is" not in str(raised.value)
