"""What a Flex Template's launcher starts: `rembg-beam run` with the template's parameters.

In: `--NAME=VALUE` for each parameter, and Beam's options of a job that is written and not run. What
they don't say is in `settings.yaml` beside this file. Out: the command's exit status.
"""

import sys
from pathlib import Path

from rembg_beam.pipelines import cli, parameters

CONFIG = Path(__file__).with_name("settings.yaml")

if __name__ == "__main__":
    sys.exit(cli.main(["run", f"--config={CONFIG}", *parameters.flags(sys.argv[1:])]))
