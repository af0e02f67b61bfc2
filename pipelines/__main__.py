"""`python -m rembg_beam.pipelines`, and the command `rembg-beam`.

In: the process's arguments. Out: its exit status. Beam takes seconds to import; Ctrl-C in them ends
as it does in a run.
"""

import sys


def main() -> int:
    """The command; returns its exit status."""
    try:
        from .run import main as run

        return run()
    except KeyboardInterrupt:
        print("rembg-beam: interrupted before anything ran", file=sys.stderr)
        return 130  # `run.INTERRUPTED`


if __name__ == "__main__":
    sys.exit(main())
