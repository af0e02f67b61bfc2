"""Runs a command and prints what it cost as JSON: seconds, CPU seconds of all its threads and
children, and its peak memory in bytes. What the command prints goes to stderr.
Run as `python measured.py COMMAND...`.

A process of its own, for Linux counts the peak of the process that starts a program as the
program's: the one that starts them here must be small.
"""

import json
import os
import subprocess
import sys
import time


def main(command: list[str]) -> int:
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=sys.stderr)
    _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    print(json.dumps([seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024]))
    return 1 if status else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
