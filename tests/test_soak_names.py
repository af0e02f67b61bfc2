"""A million names on one machine: listed, checked, and found all done."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import pyarrow
import pyarrow.dataset
import pyarrow.parquet
import pytest

from rembg_beam.transforms.folder import manifest

NAMES, FEW = 1_000_000, 1_000
IN_A_FOLDER = 1_000
IN_A_FILE = manifest.ROWS_PER_FILE
RUN = "20200101T000000000Z-first0"

# Names of one file; file systems have a limit.
LINKS = 50_000

SECONDS = 300
PEAK_BYTES = 1.3e9
BYTES_A_NAME = 700

COMMAND = (sys.executable, "-m", "rembg_beam.pipelines", "run", "--model", "tiny")


# From a small process: the peak of a process begins with that of the one it was forked from.
MEASURE = """
import os, sys, time
begin = time.monotonic()
process = os.posix_spawn(sys.argv[1], sys.argv[1:], os.environ)
_, status, used = os.wait4(process, 0)
print(time.monotonic() - begin, used.ru_utime + used.ru_stime, used.ru_maxrss)
sys.exit(os.waitstatus_to_exitcode(status))
"""


class Cost(NamedTuple):
    seconds: float
    cpu_seconds: float
    peak_bytes: int


@pytest.mark.soak_names
@pytest.mark.skipif(sys.platform != "linux", reason="others count memory in other units")
def test_a_million_names_that_are_done() -> None:
    # Not in pytest's own folders, of which it keeps three.
    with tempfile.TemporaryDirectory(prefix="soak_names_") as place:
        few, many = (_cost(Path(place) / str(names), names) for names in (FEW, NAMES))
    for_each = (many.peak_bytes - few.peak_bytes) / NAMES
    print(
        f"{NAMES:,} names: {many.seconds:.0f} s ({many.cpu_seconds:.0f} s of CPU), peak "
        f"{many.peak_bytes / 1e6:.0f} MB; {for_each:.0f} bytes each over the "
        f"{few.peak_bytes / 1e6:.0f} MB of {FEW:,}"
    )
    assert many.seconds < SECONDS
    assert many.peak_bytes < PEAK_BYTES
    assert for_each < BYTES_A_NAME


def _cost(place: Path, names: int) -> Cost:
    """What a run takes over so many pictures that an earlier one has done."""
    _make_files(place, names)
    _make_rows(place, names)
    flags = ["--input", f"{place}/photos", "--output", f"{place}/out"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, *COMMAND, *flags], capture_output=True, text=True
    )
    assert done.stdout.startswith(f"0 written, {names} skipped, 0 failed"), done
    assert done.returncode == 0
    _check_rows(place, names)
    seconds, cpu_seconds, peak = done.stdout.splitlines()[-1].split()
    return Cost(float(seconds), float(cpu_seconds), int(peak) * 1024)


def _path(number: int) -> str:
    return f"shelf-{number // IN_A_FOLDER:04d}/picture-{number:07d}.jpg"


def _make_files(place: Path, names: int) -> None:
    """Pictures and outputs of one byte; links are made twice as fast as files."""
    seed = place / "seed"
    for number in range(names):
        if number % IN_A_FOLDER == 0:
            for room in ("photos", "out"):
                (place / room / _path(number)).parent.mkdir(parents=True)
        if number % (LINKS // 2) == 0:
            seed.unlink(missing_ok=True)
            seed.write_bytes(b"x")
        path = _path(number)
        os.link(seed, f"{place}/photos/{path}")
        os.link(seed, f"{place}/out/{path}.png")


def _make_rows(place: Path, names: int) -> None:
    """The rows of the run that wrote the outputs."""
    folder = place / "out/_manifest" / f"run={RUN}"
    folder.mkdir(parents=True)
    told = {"schema_version": 1, "status": "written", "model": "tiny", "options": "{}"}
    told |= {"extras": "{}", "metadata": "{}", "duplicates": 0, "width": 64, "height": 48}
    told |= {"provider": "CPUExecutionProvider", "bytes_in": 1, "bytes_out": 1, "peak": 0.5}
    for start in range(0, names, IN_A_FILE):
        paths = [_path(number) for number in range(start, min(names, start + IN_A_FILE))]
        own = {
            "uri": [f"{place}/photos/{path}" for path in paths],
            "name": paths,
            "outputs": [[f"{place}/out/{path}.png"] for path in paths],
        }
        columns = {
            name: own.get(name, [told.get(name)] * len(paths)) for name in manifest.SCHEMA.names
        }
        table = pyarrow.table(columns, schema=manifest.SCHEMA)
        pyarrow.parquet.write_table(table, folder / f"part-{start // IN_A_FILE:05d}.parquet")


def _check_rows(place: Path, names: int) -> None:
    """The run's rows tell all that the earlier ones told."""
    rows = pyarrow.dataset.dataset(place / "out/_manifest", partitioning="hive").to_table(
        columns=["run", "name", "status", "width", "bytes_out"],
        filter=pyarrow.dataset.field("run") != RUN,
    )
    assert rows.num_rows == len(set(rows["name"].to_pylist())) == names
    for column, value in (("status", "skipped"), ("width", 64), ("bytes_out", 1)):
        assert set(rows[column].to_pylist()) == {value}
