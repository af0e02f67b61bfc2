"""Output names: a pure function of one picture, different for different ones, never outside."""

import posixpath
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from rembg_beam.transforms.storage import naming

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
                "\udcff",
                "2F",
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
    assert output.split("/")[0] not in (naming.MANIFEST, naming.TEMPORARY)
    assert all(len(part.encode()) <= 255 for part in output.split("/"))


@given(NAMES, NAMES)
@example("a//b", "a/%~/b")
@example("..", "%2E%2E")
@example("a" * 300, "a" * 301)
def test_different_names_stay_different(one: str, other: str) -> None:
    same = naming.output_name(one, ".png") == naming.output_name(other, ".png")
    assert same == (one == other)


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
