"""The import names: `transforms/` is installed as `rembg_beam.transforms`, so that no user's own
`transforms` is in the way, `pipelines/` as `rembg_beam.pipelines`, and `testing/` as
`rembg_beam.testing`. `beam_yaml/` is `rembg_beam.yaml`: a folder `yaml` would hide PyYAML. All
else: pyproject.toml."""

from setuptools import setup

setup(
    package_dir={
        "rembg_beam.transforms": "transforms",
        "rembg_beam.pipelines": "pipelines",
        "rembg_beam.testing": "testing",
        "rembg_beam.yaml": "beam_yaml",
    },
    packages=[
        "rembg_beam.transforms",
        "rembg_beam.transforms.fast",
        "rembg_beam.transforms.folder",
        "rembg_beam.transforms.models",
        "rembg_beam.transforms.outputs",
        "rembg_beam.transforms.pictures",
        "rembg_beam.transforms.runtime",
        "rembg_beam.transforms.sources",
        "rembg_beam.transforms.store",
        "rembg_beam.transforms.store.web",
        "rembg_beam.pipelines",
        "rembg_beam.pipelines.commands",
        "rembg_beam.pipelines.doctor",
        "rembg_beam.pipelines.planning",
        "rembg_beam.pipelines.preflight",
        "rembg_beam.pipelines.progress",
        "rembg_beam.pipelines.report",
        "rembg_beam.pipelines.tuning",
        "rembg_beam.testing",
        "rembg_beam.yaml",
    ],
    package_data={
        "rembg_beam.transforms": ["py.typed"],
        "rembg_beam.transforms.models": ["tiny.onnx"],
        "rembg_beam.pipelines": ["py.typed"],
        "rembg_beam.pipelines.report": ["page.html.j2", "page.css", "page.js"],
        "rembg_beam.testing": ["py.typed"],
        "rembg_beam.yaml": ["py.typed", "providers.yaml"],
    },
)
