"""The job that every engine is given, and what of it must be the same on each."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Callable, Dict, List, NamedTuple, Sequence

import pyarrow.dataset

from rembg_beam.transforms import Outcome
from rembg_beam.transforms.folder import layout
from rembg_beam.transforms.store import uris

from .. import kinds

PICTURES = 200

# Columns that tell of one run alone.
_MSECS = tuple(name for name in Outcome._fields if name.endswith("_msecs"))
_OF_A_RUN = ("run", "worker", *_MSECS)


class Done(NamedTuple):
    """How a command ended."""

    status: int
    out: str
    err: str

    @property
    def counts(self) -> str:
        """What the summary counts, and the failures it shows."""
        lines = [line for line in self.out.splitlines() if not line.startswith("rows")]
        return "\n".join([lines[0].partition(";")[0], *lines[1:]])


def write(folder: Path, url: str) -> List[str]:
    """Writes pictures of every kind, broken ones too, and a list; flags that name them all."""
    photos, others = folder / "photos", folder / "others"
    for each in (photos / "sub", others):
        each.mkdir(parents=True)
    files = {kind: make() for kind, make in {**kinds.ODD, **kinds.KINDS}.items()}
    files |= {"truncated": files["RGB JPEG"][:300], "empty": b"", "text": b"not a picture"}
    listed = list(_lines(photos, others, url))
    pictures = PICTURES - len(listed) + 1  # the one listed again
    files |= {
        f"sub/{seed}": kinds.saved(kinds.rgb(64, 48, seed), "JPEG")
        for seed in range(pictures - len(files))
    }
    for name, data in files.items():
        (photos / f"{name}.jpg").write_bytes(data)
    for name in ("x", "y"):
        (others / f"{name}.jpg").write_bytes(files["RGB JPEG"])
    (folder / "list.jsonl").write_text("\n".join(listed))
    inputs = ["--input", str(photos), "--input_list", str(folder / "list.jsonl")]
    return [*inputs, "--allow_private_hosts", "--model", "tiny"]


def _lines(photos: Path, others: Path, url: str) -> List[str]:
    """A picture that is found too, two of one name, one missing, two of the web, one with options
    of its own, and a line that makes no sense."""
    sources: List[Dict[str, Any]] = [
        {"uri": str(photos / "sub/0.jpg"), "name": "sub/0.jpg"},
        {"uri": str(others / "x.jpg"), "name": "same"},
        {"uri": str(others / "y.jpg"), "name": "same"},
        {"uri": str(others / "none.jpg"), "name": "none"},
        {"uri": f"{url}/a.jpg", "name": "web/a"},
        {"uri": f"{url}/none.jpg", "name": "web/none"},
        {"uri": str(others / "x.jpg"), "name": "mask", "extras": {"only_mask": True}, "sku": 7},
    ]
    return [*map(json.dumps, sources), "{"]


def start(flags: Sequence[str], output: object, **more: Any) -> "subprocess.Popen[str]":
    """The command, as a process with a group of its own."""
    return subprocess.Popen(
        [sys.executable, "-m", "rembg_beam.pipelines", "run", *flags, "--output", str(output)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **more,
    )


def finish(process: "subprocess.Popen[str]", seconds: float = 300) -> Done:
    out, err = process.communicate(timeout=seconds)
    return Done(process.returncode, out, err)


def run(flags: Sequence[str], output: object, **more: Any) -> Done:
    return finish(start(flags, output, **more))


def contents(output: Path, killed: bool = False) -> Dict[str, bytes]:
    """The cutouts by their names; beside them lies nothing but the manifest, if none was killed."""
    found = {}
    for path in output.rglob("*"):
        name = str(path.relative_to(output))
        is_told = name.startswith(layout.MANIFEST) or name == "metadata.parquet"
        if path.is_file() and not is_told:
            assert killed or uris.TEMPORARY not in name
            found[name] = path.read_bytes()
    return found


def results(output: Path) -> Any:
    """What became of each input, whichever run it was that wrote it."""
    found = []
    for row in rows(output):
        status = "written" if row["status"] == "skipped" else row["status"]
        found.append((row["uri"], row["name"], status, row["error"], row["outputs"]))
    return found


def rows(output: Path, leave: Callable[[str], bool] = _OF_A_RUN.__contains__) -> List[Any]:
    """The last run's rows in an order of their own, outputs relative, without some columns."""
    table = pyarrow.dataset.dataset(output / layout.MANIFEST, partitioning="hive").to_table()
    every = table.to_pylist()
    last = max(row["run"] for row in every)
    found = [
        {name: value for name, value in row.items() if not leave(name)}
        | {"outputs": [os.path.relpath(uri, output) for uri in row["outputs"]]}
        for row in every
        if row["run"] == last
    ]
    return sorted(found, key=lambda row: (row["uri"], row["name"] or ""))
