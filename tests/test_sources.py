"""What an input stands for."""

import glob
import os
from pathlib import Path
from typing import List, Set

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rembg_beam.transforms import Source
from rembg_beam.transforms.storage import sources


def names(pattern: object, **more: str) -> List[str]:
    return sorted(str(source.name) for source in sources.find(str(pattern), **more))


def test_a_folder_is_walked_for_pictures(photos: Path) -> None:
    found = names(photos)
    assert {"a.jpg", "A.JPG", "a.png", "c[1].jpg", "sub/b.JPEG"} <= set(found)
    assert "notes.txt" not in found and ".hidden.jpg" not in found


def test_an_existing_path_is_taken_literally(photos: Path) -> None:
    (photos / "c1.jpg").write_bytes(b"")
    assert list(sources.find(str(photos / "c[1].jpg"))) == [
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
    with pytest.raises(sources.NothingFound, match=pattern.replace("*", r"\*")):
        sources.check(str(tmp_path / pattern))


def test_the_output_folder_is_no_input(photos: Path) -> None:
    assert "sub/b.JPEG" not in names(photos, exclude=str(photos / "sub"))
    with pytest.raises(sources.NothingFound, match="outside the output folder"):
        sources.check(str(photos / "sub"), exclude=str(photos / "sub"))


def test_an_output_folder_reached_by_a_link_is_no_input(photos: Path) -> None:
    (photos / "link").symlink_to(photos / "sub")
    with pytest.raises(sources.NothingFound):
        names(f"{photos}/link/*", exclude=str(photos / "sub"))


def test_a_loop_of_links_ends(photos: Path) -> None:
    (photos / "sub" / "up").symlink_to(photos)
    assert names(photos).count("a.jpg") == 1
    assert names(photos / "**" / "a.jpg") == ["a.jpg"]


def test_a_name_that_is_not_utf8(photos: Path) -> None:
    data = (photos / "a.jpg").read_bytes()
    with open(os.path.join(os.fsencode(photos), b"\xff.jpg"), "wb") as file:
        file.write(data)
    found = [source for source in sources.find(str(photos)) if "%FF" in source.uri]
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
        found = {source.uri for source in sources.find(pattern)}
    except sources.NothingFound:
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
