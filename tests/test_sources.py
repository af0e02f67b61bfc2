"""What an input stands for."""

import errno
import glob
import os
import shutil
from pathlib import Path
from typing import Any, List, Set

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rembg_beam.transforms import Source
from rembg_beam.transforms.sources import patterns
from rembg_beam.transforms.sources.passed_over import PassedOver


def names(pattern: object, **more: Any) -> List[str]:
    return sorted(str(source.name) for source in patterns.find(str(pattern), **more))


def test_a_folder_is_walked_for_pictures(photos: Path) -> None:
    found = names(photos)
    assert {"a.jpg", "A.JPG", "a.png", "c[1].jpg", "sub/b.JPEG"} <= set(found)
    assert "notes.txt" not in found and ".hidden.jpg" not in found


def test_an_existing_path_is_taken_literally(photos: Path) -> None:
    (photos / "c1.jpg").write_bytes(b"")
    assert list(patterns.find(str(photos / "c[1].jpg"))) == [
        Source(str(photos / "c[1].jpg"), "c[1].jpg")
    ]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        ("**/*.jpg", {"a.jpg", "c[1].jpg", "sub/turned.jpg"}),
        ("a.*", {"a.jpg", "a.png"}),
        ("*.txt", {"notes.txt"}),
        ("sub/*", {"b.JPEG", "turned.jpg"}),
        ("c[[]1].jpg", {"c[1].jpg"}),
    ],
)
def test_globs(photos: Path, pattern: str, found: Set[str]) -> None:
    bad = {"cmyk.jpg", "truncated.jpg", "empty.jpg", "text.jpg"}
    assert set(names(photos / pattern)) - bad == found


@pytest.mark.parametrize("pattern", ["nothing/*.jpg", "nothing.jpg", "empty"])
def test_nothing_found_names_the_pattern(tmp_path: Path, pattern: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(patterns.NothingFound, match=pattern.replace("*", r"\*")):
        patterns.check(str(tmp_path / pattern))


def test_the_output_folder_is_no_input(photos: Path) -> None:
    assert "sub/b.JPEG" not in names(photos, exclude=str(photos / "sub"))
    with pytest.raises(patterns.NothingFound, match="outside the output folder"):
        patterns.check(str(photos / "sub"), exclude=str(photos / "sub"))


def test_an_output_folder_reached_by_a_link_is_no_input(photos: Path) -> None:
    (photos / "link").symlink_to(photos / "sub")
    with pytest.raises(patterns.NothingFound):
        names(f"{photos}/link/*", exclude=str(photos / "sub"))


def test_what_is_left_out_of_a_folder_is_counted(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    left_out = ["a.pjpeg", "x/b.pjpeg", "c", "d.svg", "e.CR2"]
    others = ["a.jpg", "notes.txt", "x/a.json", "film.mp4", ".DS_Store", "README.md", "t.csv"]
    for name in (*left_out, *others):
        (tmp_path / name).touch()
    passed = PassedOver()
    assert names(tmp_path, passed=passed) == ["a.jpg"]
    assert passed.said(str(tmp_path)) == (
        f"left out of the folder '{tmp_path}' for lack of a picture's suffix: 5 (2 .pjpeg, "
        f"1 without one, 1 .svg, 1 .CR2); a glob would name them, such as '{tmp_path}/**/*.pjpeg'"
    )
    assert names(tmp_path / "**/*.pjpeg") == ["a.pjpeg", "x/b.pjpeg"]
    passed = PassedOver()
    assert names(tmp_path / "*.jpg", passed=passed) == ["a.jpg"]
    assert passed.said(str(tmp_path)) is None


def test_a_folder_that_is_gone_meanwhile_has_no_pictures(tmp_path: Path) -> None:
    for name in ("a/1.jpg", "b/2.jpg", "c/3.jpg"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).touch()
    passed = PassedOver()
    found = patterns.find(str(tmp_path), passed=passed)
    assert next(found).name == "a/1.jpg"
    shutil.rmtree(tmp_path / "b")
    assert [source.name for source in found] == ["c/3.jpg"]
    assert passed.unlisted == []


@pytest.fixture
def locked(photos: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A folder without the right to list it, which root has everywhere."""
    folder, scandir = photos / "sub", os.scandir
    folder.chmod(0)

    def listing(path: Any) -> Any:
        if str(path) == str(folder):
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", listing)
    return str(folder)


def test_a_folder_that_can_not_be_listed(photos: Path, locked: str) -> None:
    passed = PassedOver()
    assert "a.jpg" in names(photos, passed=passed)
    assert [error.filename for error in passed.unlisted] == [locked]
    with pytest.raises(PermissionError):
        patterns.check(locked)


def test_a_loop_of_links_ends(photos: Path) -> None:
    (photos / "sub" / "up").symlink_to(photos)
    assert names(photos).count("a.jpg") == 1
    assert names(photos / "**" / "a.jpg") == ["a.jpg"]


def test_a_name_that_is_not_utf8(photos: Path) -> None:
    data = (photos / "a.jpg").read_bytes()
    with open(os.path.join(os.fsencode(photos), b"\xff.jpg"), "wb") as file:
        file.write(data)
    found = [source for source in patterns.find(str(photos)) if "%FF" in source.uri]
    assert found == [Source(f"file://{photos}/%FF.jpg".replace("[", "%5B"), r"\xff.jpg")]
    assert found[0].uri.encode()


FILES = ["a.jpg", "x/a.jpg", "x/y/a.png", "x/y/z/b.jpg", "xx/a.jpg", "b/[c].jpg"]


@given(
    st.lists(
        st.sampled_from(["**", "*", "x", "y", "a.jpg", "*.jpg", "?", "[a-z]*", "[!x]*.png"]),
        min_size=1,
        max_size=4,
    )
)
def test_patterns_match_as_in_the_standard_library(
    tmp_path_factory: pytest.TempPathFactory, parts: List[str]
) -> None:
    folder = _folder(tmp_path_factory)
    pattern = f"{folder}/{'/'.join(parts)}"
    if os.path.lexists(pattern):
        return
    expected = {path for path in glob.glob(pattern, recursive=True) if os.path.isfile(path)}
    try:
        found = {source.uri for source in patterns.find(pattern)}
    except patterns.NothingFound:
        found = set()
    assert found == expected


_made: List[str] = []


def _folder(factory: pytest.TempPathFactory) -> str:
    if not _made:
        folder = factory.mktemp("globs")
        for name in FILES:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).touch()
        _made.append(str(folder))
    return _made[0]
