"""Models: the files that are here, and the providers that run them.

In: the provider that must work. Out: lines; a fault for a file that is not the one rembg knows, for
a provider that was asked for and does not run a model, and for NVIDIA's driver without CUDA in
onnxruntime: the GPU job on the CPU.
"""

import os
from typing import Iterator, List, Optional

from ...transforms.models import catalogue, environment, libraries, opening, providers, weights
from ...transforms.models.config import SessionConfig
from ...transforms.models.providers import CPU, Provider
from .line import Line, fault, ok, warning

_CUDA = providers.find("CUDA")

# Listed everywhere, and a service: it runs no model of rembg's.
_AZURE = providers.find("Azure")


def examine(asked: Provider = CPU) -> Iterator[Line]:
    """The providers, and the models' files."""
    try:
        import onnxruntime

        listed = onnxruntime.get_available_providers()
    except Exception:  # `packages` says so
        return
    try:
        environment.check()
    except ValueError as error:
        yield fault("environment", str(error), "unset it")
        return
    for provider in providers.PROVIDERS:
        if provider.name in listed and provider != _AZURE:
            yield _works(provider, asked)
    if asked.name not in listed:
        yield fault(
            f"provider {asked.label}",
            f"onnxruntime has it not; it has {', '.join(listed)}",
            f"install {asked.package} ({asked.platform}), and no other onnxruntime beside it",
        )
    if _CUDA.name not in listed and libraries.without_driver(_CUDA.name) is None:
        yield warning(
            "GPU",
            "there is an NVIDIA driver, and onnxruntime has no CUDA: models run on the CPU",
            f"install {_CUDA.package} in place of the onnxruntime that is here",
        )
    yield from _files()


def problem(provider: Provider) -> Optional[str]:
    """Why the bundled model does not run on a provider; None if it does."""
    try:
        config = SessionConfig(catalogue.TINY, provider.name, max_batch_size=1)
        session = opening.open_session(config).session.inner_session
        session.run(None, _zeros(session))
        return None
    except Exception as error:
        return str(error)


def _zeros(session: object) -> object:
    import numpy as np

    inputs = session.get_inputs()  # type: ignore[attr-defined]
    return {inputs[0].name: np.zeros((1, 3, 320, 320), np.float32)}


def _works(provider: Provider, asked: Provider) -> Line:
    about = f"provider {provider.label}"
    why = problem(provider)
    if why is None:
        return ok(about, "runs the bundled model")
    say = fault if provider == asked else warning
    return say(about, f"listed, and does not run the bundled model: {why}", "see docs/providers.md")


def _files() -> Iterator[Line]:
    """The files in rembg's home, by their checksums; and whether more can come."""
    here: List[str] = [catalogue.TINY]
    for model in catalogue.MODELS.values():
        paths = () if model.name == catalogue.TINY else weights.present(model)
        if not paths or len(paths) < len(model.files):
            continue
        try:
            for path, file in zip(paths, model.files):
                weights.check(path, file, path)
            here.append(model.name)
        except (weights.ModelFileError, OSError) as error:
            yield fault(f"model {model.name}", str(error), f"remove {', '.join(paths)}")
    yield ok("models", f"here: {', '.join(here)}; others are downloaded when first used")
    home = weights.home()
    above = home
    while not os.path.exists(above):
        above = os.path.dirname(above) or os.curdir
    if not os.access(above, os.W_OK):
        way_out = "name a folder that can be written to by REMBG_HOME, or give --model_dir"
        yield warning("rembg's home", f"{home!r} can't be written: no model can come", way_out)
