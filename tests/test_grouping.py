"""Pairs, brought together by their keys on the disk."""

import os
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any, Dict, List, Tuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rembg_beam.transforms.runtime.grouping import Groups

TEXT = st.text(st.characters(), max_size=5)
VALUES = st.tuples(TEXT | st.none(), st.integers() | st.floats(allow_nan=False) | st.booleans())


@given(st.lists(st.tuples(st.sampled_from("ab"), st.sampled_from(["", "é", "x/\0", "x"]), VALUES)))
def test_groups_are_those_of_a_dictionary(pairs: List[Tuple[str, str, Tuple[Any, ...]]]) -> None:
    expected: Dict[str, Dict[str, List[Any]]] = defaultdict(lambda: defaultdict(list))
    with Groups() as groups:
        for kind, key, value in pairs:
            groups.add(kind, key, value)
            expected[key][kind].append(value)
        found = list(groups)
    assert [key for key, _ in found] == sorted(expected, key=str.encode)
    for key, values in found:
        assert {kind: sorted(map(repr, each)) for kind, each in values.items()} == {
            kind: sorted(map(repr, each)) for kind, each in expected[key].items()
        }


def add(groups: Groups, number: int) -> None:
    for index in range(number):
        groups.add("rows", f"{number - index:07d}", ("x" * 1000,))


@pytest.mark.skipif(sys.platform != "linux", reason="it looks into /proc")
def test_what_lies_on_the_disk_has_no_name() -> None:
    with Groups() as groups:
        add(groups, 40_000)
        opened = [
            os.readlink(path) for path in Path("/proc/self/fd").iterdir() if os.path.lexists(path)
        ]
        ours = [path for path in opened if "/etilqs_" in path]
        assert ours and all(path.endswith("(deleted)") for path in ours)
        keys = [key for key, _ in groups]
    assert len(keys) == 40_000 and keys == sorted(keys)


def test_no_room_is_said_with_the_way_out() -> None:
    with Groups() as groups:
        groups._database.execute("PRAGMA max_page_count = 100")
        with pytest.raises(OSError, match=r"disk is full.*SQLITE_TMPDIR"):
            add(groups, 2_000)
