"""CONTRIBUTING shows what to add where by diffs of real examples: each of their lines is there."""

import re
from pathlib import Path


def test_what_its_diffs_add_is_there(root: Path) -> None:
    diffs = re.findall(r"```diff\n(.*?)```", (root / "CONTRIBUTING.md").read_text(), flags=re.S)
    assert len(diffs) >= 5
    for diff in diffs:
        (path,) = re.findall(r"^\+\+\+ b/(\S+)$", diff, re.M)
        held = {line.strip() for line in (root / path).read_text().splitlines()}
        added = re.findall(r"^\+(?!\+\+)(.*)$", diff, re.M)
        assert added and {line.strip() for line in added} - {""} <= held, path
