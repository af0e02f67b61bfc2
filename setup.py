"""The import names: `transforms/` is installed as `rembg_beam.transforms`, so that no user's own
`transforms` is in the way, and `pipelines/` as `rembg_beam.pipelines`. All else: pyproject.toml."""

from setuptools import setup

setup(
    package_dir={
        "rembg_beam.transforms": "transforms",
        "rembg_beam.pipelines": "pipelines",
    },
    packages=[
        "rembg_beam.transforms",
        "rembg_beam.transforms.fast",
        "rembg_beam.transforms.folder",
        "rembg_beam.transforms.models",
        "rembg_beam.transforms.pictures",
        "rembg_beam.transforms.runtime",
        "rembg_beam.transforms.sources",
        "rembg_beam.transforms.store",
        "rembg_beam.transforms.store.web",
        "rembg_beam.pipelines",
        "rembg_beam.pipelines.commands",
        "rembg_beam.pipelines.preflight",
    ],
    package_data={
        "rembg_beam.transforms": ["py.typed"],
        "rembg_beam.transforms.models": ["tiny.onnx"],
        "rembg_beam.pipelines": ["py.typed"],
    },
)
