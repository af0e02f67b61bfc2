"""The flags that `rembg-beam plan` has beyond those of `run`. Needs no Beam; nothing can fail."""

import argparse

# Pictures of a sample.
SAMPLE = 64


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds them to a parser."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument(
        "--prices", metavar="FILE", help="prices from a YAML or JSON file in place of its own"
    )
    parser.add_argument(
        "--sample",
        type=int,
        default=SAMPLE,
        metavar="NUMBER",
        help=f"pictures that are done here; default {SAMPLE}; more for a narrower interval",
    )
