"""What one writes without rembg-beam: a DoFn whose session is made in `setup()`, `remove(bytes)`,
and a file written in place. Run as `python plain_dofn.py MODEL INPUT OUTPUT`."""

import os
import sys
from typing import Any, Iterator

import apache_beam as beam


class Plain(beam.DoFn):
    def __init__(self, model: str, output: str) -> None:
        self.model, self.output = model, output

    def setup(self) -> None:
        import rembg

        self.session = rembg.new_session(self.model, providers=["CPUExecutionProvider"])

    def process(self, path: str) -> Iterator[Any]:
        import rembg

        with open(path, "rb") as file:
            data = rembg.remove(file.read(), session=self.session)
        with open(os.path.join(self.output, os.path.basename(path) + ".png"), "wb") as file:
            file.write(data)
        yield path


def main(model: str, folder: str, output: str) -> None:
    os.makedirs(output, exist_ok=True)
    paths = [os.path.join(folder, name) for name in sorted(os.listdir(folder))]
    with beam.Pipeline(runner="FnApiRunner") as pipeline:
        _ = pipeline | beam.Create(paths) | beam.Reshuffle() | beam.ParDo(Plain(model, output))


if __name__ == "__main__":
    main(*sys.argv[1:])
