"""Output names: a pure function of one picture, different for different ones, never outside."""

import os
import posixpath
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rembg_beam.transforms import naming
from rembg_beam.transforms.folder import layout
from rembg_beam.transforms.store import uris

# Names built of what makes trouble, besides any text at all.
AWKWARD = st.lists(
    st.sampled_from(
        [
            *("..", ".", "/", "//", "a", "%2E", "%", "~", "\\", "\0", "C:", ":", "_manifest", "\n"),
            *(
                "\u2215",
                "\uff0f",
                "x" * 150,
                "é" * 90,
                " ",
                ".rembg_beam_tmp",
                "%~",
                "2F",
                *("\\xe9", "\\x5c", "x5c", "x89", "\\xef\\xbc\\x8f", "\uff0f"),
            ),
        ]
    ),
    max_size=8,
).map("".join)
NAMES = AWKWARD | st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.mark.parametrize(
    ("name", "output"),
    [
        ("x/a.jpg", "x/a.jpg.png"),
        ("A.JPG", "A.JPG.png"),
        ("a.jpg.png", "a.jpg.png.png"),
        ("c[1] é.jpg", "c[1] é.jpg.png"),
        ("100%.jpg", "100%.jpg.png"),
        ("../../etc/passwd", "%2E%2E/%2E%2E/etc/passwd.png"),
        ("/etc/passwd", "%~/etc/passwd.png"),
        ("C:\\a.jpg", "C%3A%5Ca.jpg.png"),
        ("%2E%2E/a", "%252E%252E/a.png"),
        ("a\0b", "a%00b.png"),
        ("a\uff0fb", "a%EF%BC%8Fb.png"),
        ("_manifest/a.jpg", "%5Fmanifest/a.jpg.png"),
        ("x/_manifest", "x/_manifest.png"),
    ],
)
def test_names(name: str, output: str) -> None:
    assert naming.output_name(name, ".png") == output


@given(NAMES)
@example("a" * 5000 + ".jpg")
def test_no_name_leaves_the_output_folder(name: str) -> None:
    output = naming.output_name(name, ".png")
    assert not posixpath.isabs(output)
    assert posixpath.normpath(posixpath.join("/out", output)) == "/out/" + output
    assert "\0" not in output and "\\" not in output
    assert output.split("/")[0] not in (layout.MANIFEST, uris.TEMPORARY)
    assert all(len(part.encode()) <= 255 for part in output.split("/"))


@given(NAMES, NAMES)
@example("a//b", "a/%~/b")
@example("..", "%2E%2E")
@example("a" * 300, "a" * 301)
def test_different_names_stay_different(one: str, other: str) -> None:
    same = naming.output_name(one, ".png") == naming.output_name(other, ".png")
    assert same == (one == other)


FILE_NAMES = (
    st.lists(
        st.sampled_from(
            [
                b"\xe9",
                b"\xc3",
                b"\xa9",
                b"%E9",
                b"%",
                b"25",
                b"\\",
                b"xe9",
                b"x5c",
                b"\\x5c",
                b"a",
                b"~",
            ]
        )
        | st.binary(min_size=1, max_size=2),
        min_size=1,
        max_size=6,
    )
    .map(lambda parts: b"".join(parts).replace(b"/", b"").replace(b"\0", b"") or b"a")
    .filter(lambda name: name not in (b".", b".."))
)


@given(FILE_NAMES, FILE_NAMES)
@example(b"x\xe9.jpg", b"x%E9.jpg")
@example(b"x\xe9.jpg", rb"x\xe9.jpg")
@example(rb"x\xe9.jpg", rb"x\x5cxe9.jpg")
@example(b"\xef\xbc\x8f", rb"\xef\xbc\x8f")
def test_files_of_a_folder_have_outputs_of_their_own(one: bytes, other: bytes) -> None:
    """Whatever bytes their names are of."""
    names = []
    for file in (one, other):
        uri = uris.local_uri("/photos/" + os.fsdecode(file))
        names.append(naming.relative_name(uri, "/photos"))
    assert [name.encode() for name in names]
    if not {b".", b".."} & {one, other}:
        outputs = [naming.output_name(name, ".png") for name in names]
        assert (outputs[0] == outputs[1]) == (names[0] == names[1]) == (one == other)


@pytest.mark.parametrize(
    ("file", "output"),
    [
        (b"x\xe9.jpg", "x%E9.jpg.png"),
        (b"x%E9.jpg", "x%25E9.jpg.png"),
        (rb"x\xe9.jpg", "x%5Cxe9.jpg.png"),
        (rb"x\x5cxe9.jpg", "x%5Cx5cxe9.jpg.png"),
        (rb"x\a.jpg", "x%5Ca.jpg.png"),
        ("\u00e9.jpg".encode(), "\u00e9.jpg.png"),
    ],
)
def test_outputs_of_odd_bytes(file: bytes, output: str) -> None:
    name = naming.relative_name(uris.local_uri("/photos/" + os.fsdecode(file)), "/photos")
    assert naming.output_name(name, ".png") == output


@given(st.lists(st.sampled_from(["a", "b c", ".d", "%20", "e..", "f?"]), min_size=1).map("/".join))
def test_local_files_of_one_folder_keep_their_paths(path: str) -> None:
    assert naming.relative_name("/photos/" + path, "/photos") == path
    assert naming.relative_name("/photos/./" + path, "file:///photos/") == path


@pytest.mark.parametrize(
    ("uri", "relative_to", "name"),
    [
        ("gs://b/x/a.jpg", None, "b/x/a.jpg"),
        ("gs://b/x/a.jpg", "gs://b", "x/a.jpg"),
        ("gs://b/x/a.jpg", "gs://b/x/", "a.jpg"),
        ("/photos/a.jpg", None, "photos/a.jpg"),
        ("./photos//a.jpg", None, "photos/a.jpg"),
        ("photos/../photos/a.jpg", None, "photos/a.jpg"),
        ("/x/../photos/./a.jpg", None, "photos/a.jpg"),
        ("../photos/a.jpg", None, "../photos/a.jpg"),
        ("//photos/a.jpg", None, "photos/a.jpg"),
        ("gs://b/x/../a.jpg", None, "b/x/../a.jpg"),
        ("file:///photos/a%20b.jpg", "/photos", "a b.jpg"),
        ("/photos/a%20b.jpg", "/photos", "a%20b.jpg"),
        ("https://me:pw@host/a.jpg?sig=1", None, "host/a.jpg^q11ed63e506bdcd62"),
        ("gs://b/a?b.jpg", None, "b/a?b.jpg"),
    ],
)
def test_relative_names(uri: str, relative_to: str, name: str) -> None:
    assert naming.relative_name(uri, relative_to) == name


@pytest.mark.parametrize(
    ("uri", "relative_to"),
    [("gs://b/xy/a.jpg", "gs://b/x"), ("/b/a.jpg", "gs://b"), ("s3://b/a.jpg", "gs://b")],
)
def test_a_picture_outside_relative_to_is_refused(uri: str, relative_to: str) -> None:
    with pytest.raises(ValueError, match="does not lie under"):
        naming.relative_name(uri, relative_to)


def test_a_relative_path_lies_under_a_relative_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert naming.relative_name(str(tmp_path / "x/a.jpg"), "x") == "a.jpg"
    assert naming.relative_name("x/a.jpg", str(tmp_path)) == "x/a.jpg"
