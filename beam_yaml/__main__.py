"""`python -m rembg_beam.yaml`: Beam's own main for YAML, which says what it needs if that lacks."""

import importlib
import logging
import sys


def start() -> None:
    """Runs the pipeline that the arguments name, as `python -m apache_beam.yaml.main` does."""
    logging.getLogger().setLevel(logging.INFO)
    try:
        importlib.import_module("jsonschema")  # Beam would go on without, as far as it comes
        from apache_beam.yaml import main
    except ImportError as error:
        sys.exit(
            f"Beam YAML needs the package {error.name}, which is not installed; the command that "
            "installs all that it needs is: pip install 'rembg-beam[yaml]'"
        )
    main.run()


if __name__ == "__main__":
    start()
