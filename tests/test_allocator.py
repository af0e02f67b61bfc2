"""What a picture has freed is there for the next one."""

import os
import platform
import subprocess
import sys
import textwrap

import pytest

from rembg_beam.transforms.runtime import allocator

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")

# Of pages that the kernel had to map for a picture: fewest in two rounds, for in one of them
# numba may be loaded.
PROGRAM = textwrap.dedent("""
    import io, resource
    from concurrent.futures import ThreadPoolExecutor
    from PIL import Image
    from rembg_beam.transforms import Engine, SessionConfig
    from rembg_beam.transforms.runtime import allocator

    buffer = io.BytesIO()
    Image.effect_noise((1000, 667), 50).convert("RGB").save(buffer, "JPEG")

    def faults():
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(2):
            engine.remove(buffer.getvalue())
        return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / 2

    with Engine(SessionConfig("tiny")) as engine, ThreadPoolExecutor(1) as pool:
        rounds = [pool.submit(faults).result() for _ in range(3)]
    print(allocator.keep_freed(), min(rounds[1:]))
""")


def test_a_picture_takes_the_memory_of_the_one_before() -> None:
    variables = {name: text for name, text in os.environ.items() if name not in VARIABLES}
    command = [sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=True)
    told, number = done.stdout.split()
    assert told == "True" and float(number) < 200  # else it is 3,000 and more


VARIABLES = {"MALLOC_TRIM_THRESHOLD_": "131072", "GLIBC_TUNABLES": "glibc.malloc.top_pad=0"}


@pytest.mark.parametrize("name", VARIABLES)
def test_an_environment_that_says_otherwise_is_heard(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, VARIABLES[name])
    assert not allocator.keep_freed.__wrapped__()
