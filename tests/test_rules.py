"""What a run does with a picture: one rule for each case, as documented, and as it acts."""

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any, Callable, Dict, List, Optional, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rembg_beam.pipelines import cli
from rembg_beam.transforms import Source
from rembg_beam.transforms.folder import resume
from rembg_beam.transforms.folder.resume import Action, Case, EarlierRow, OutputFile, Rule
from rembg_beam.transforms.models import catalogue

PARTS = (".upper", ".lower")

SOURCE = Source("own.jpg", "a.jpg", '{"only_mask": true}')


def test_every_case_has_one_rule() -> None:
    met = Counter(case for rule in resume.RULES for case in rule.cases())
    assert met == Counter(itertools.starmap(Case, itertools.product(*resume.VALUES)))


def test_the_documented_rules_are_those_of_the_code(root: Path) -> None:
    text = (root / "docs/resuming.md").read_text()
    (table,) = re.findall(r"<!-- rules -->\n\n\|.*\n\|.*\n((?:\|.*\n)+)\n<!-- /rules -->", text)
    cells = [[cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.splitlines()]
    assert [Rule._make([*row[:-1], Action(row[-1])]) for row in cells] == list(resume.RULES)


TIMES = st.sampled_from([None, 1.0, 2.0, 3.0])

FILES = st.builds(
    OutputFile,
    part=st.sampled_from([*PARTS, ".full"]),
    uri=st.just("o"),
    size=st.sampled_from([0, 5]),
    modified=TIMES,
)

KINDS = st.sampled_from(
    [
        {"error": None, "written": True, "empty": False},
        {"error": None, "written": False, "empty": True},
        {"error": "BrokenPicture", "written": False, "empty": False},
        {"error": None, "written": False, "empty": False},  # found done
    ]
)


def earlier_rows(ids: Sequence[str]) -> st.SearchStrategy[List[EarlierRow]]:
    """A row of each run."""
    return st.tuples(*(st.tuples(KINDS, TIMES, *[st.booleans()] * 2) for _ in ids)).map(
        lambda rows: [
            EarlierRow(
                run_id=run_id,
                at=at,
                uri="./own.jpg" if own else "other.jpg",
                extras='{"only_mask":true}' if same else "{}",
                facts=None,
                **kind,
            )
            for run_id, (kind, at, own, same) in zip(ids, rows)
        ]
    )


def twin(
    files: Sequence[OutputFile],
    rows: Sequence[EarlierRow],
    on_existing: str,
    since: Optional[float],
) -> Action:
    """The same, one question at a time."""
    if on_existing == "overwrite":
        return Action.WRITE
    if on_existing == "fail":
        whole = set(PARTS) <= {file.part for file in files}
        return Action.FAIL_EXISTS if whole else Action.WRITE
    there: Dict[str, OutputFile] = {}
    for file in files:
        if file.part not in PARTS or file.size == 0:
            continue
        if since is not None and (file.modified is None or file.modified <= since):
            continue
        there[file.part] = file
    if not there:
        return Action.WRITE
    last = last_written = None
    for row in sorted(rows):
        newer = [f for f in there.values() if row.at is not None and (f.modified or 0) > row.at]
        if newer or not (row.written or row.empty or row.error):
            continue
        last = row
        if row.written:
            last_written = row

    def is_own(row: EarlierRow) -> bool:
        return row.uri.endswith("own.jpg") and "only_mask" in row.extras

    if last is not None and not last.written and is_own(last):
        return Action.WRITE
    if last_written is not None and not is_own(last_written):
        return Action.FAIL_ANOTHERS
    return Action.SKIP if len(there) == len(PARTS) else Action.WRITE


@settings(max_examples=1000)
@given(
    files=st.lists(FILES, max_size=3, unique_by=lambda file: file.part),
    rows=earlier_rows(["1", "2", "3"]).flatmap(st.permutations),
    taken=st.integers(0, 3),
    on_existing=st.sampled_from(resume.ON_EXISTING),
    since=TIMES,
)
def test_a_picture_in_a_folder(
    files: List[OutputFile],
    rows: List[EarlierRow],
    taken: int,
    on_existing: str,
    since: Optional[float],
) -> None:
    rows = rows[:taken]
    decision = resume.of_picture(SOURCE, PARTS, files, rows, on_existing, since)
    assert decision.action is twin(files, rows, on_existing, since)
    assert {file.part for file in decision.files} <= set(PARTS)
    assert decision.action is not Action.FAIL_ANOTHERS or decision.difference


# Each rule, end to end.


@pytest.fixture
def go(rembg_home: Path, photos: Path, tmp_path: Path, capfd: Any) -> Callable[..., str]:
    """Runs a model of three parts over one photo; what it says first."""

    def go(*flags: str, source: Path = photos / "a.jpg", extras: Any = None) -> str:
        line = {"uri": str(source), "name": "a.jpg", "extras": extras or {}}
        (tmp_path / "list").write_text(json.dumps(line))
        given = ["--input_list", str(tmp_path / "list"), "--output", str(tmp_path / "out")]
        capfd.readouterr()
        cli.main(["run", "--model", catalogue.CLOTH, "--offline", *given, *flags])
        out, err = capfd.readouterr()
        return str(out).partition(";")[0] or str(err)

    return go


WRITTEN = "1 written, 0 skipped, 0 failed"
SKIPPED = "0 written, 1 skipped, 0 failed"
FAILED = "0 written, 0 skipped, 1 failed"


@pytest.mark.parametrize("rule", resume.RULES, ids=lambda rule: "-".join(rule[:-1]))
def test_each_rule(rule: Rule, go: Callable[..., str], photos: Path, tmp_path: Path) -> None:
    """One case of each."""
    case = next(rule.cases())._replace(files=rule.files.split(", ")[0])
    whole = (photos / "a.jpg").read_bytes()
    other = tmp_path / "other.jpg"
    other.write_bytes(whole)
    assert go(source=other if case.anothers == "yes" else photos / "a.jpg") == WRITTEN
    if case.failed_last == "yes":
        (photos / "a.jpg").write_bytes(b"harmed")
        assert go("--on_existing=overwrite") == FAILED
        (photos / "a.jpg").write_bytes(whole)
    outputs = sorted((tmp_path / "out").glob("*.png"))
    for path in outputs[: {"none": 3, "some": 1}.get(case.files, 0)]:
        path.unlink()
    flags = ["--only_mask"] if case.settings == "other" else []
    said = go(f"--on_existing={case.on_existing}", *flags)
    expected = {
        Action.WRITE: WRITTEN,
        Action.SKIP: SKIPPED,
        Action.FAIL_EXISTS: FAILED,
        Action.FAIL_ANOTHERS: FAILED,
        Action.REFUSE_RUN: "was made with other settings: only_mask",
    }
    assert expected[rule.action] in said
