# Workers without a GPU, for Dataflow and other runners that take Beam's containers. In a clone:
#
#   docker build --file containers/cpu.Dockerfile --tag IMAGE $(python containers/versions.py) .
ARG PYTHON_VERSION=3.11
ARG BEAM_VERSION=2.77.0

FROM apache/beam_python${PYTHON_VERSION}_sdk:${BEAM_VERSION} AS beam

FROM python:${PYTHON_VERSION}-slim AS versions
ARG PYTHON_VERSION
ARG BEAM_VERSION
# An extra of pyproject.toml.
ARG EXTRA=cpu
WORKDIR /src
COPY pyproject.toml constraints.txt containers/versions.py ./
RUN python versions.py check "$PYTHON_VERSION" "$BEAM_VERSION" \
    && python versions.py packages "$EXTRA" > packages.txt

# The large layers: they stay the same until a package or its version changes.
FROM python:${PYTHON_VERSION}-slim AS packages
WORKDIR /src
COPY --from=versions /src/constraints.txt /src/packages.txt ./
RUN pip install --no-cache-dir --constraint constraints.txt --requirement packages.txt
# Compiled here for workers with the same kind of CPU; others compile it when soft edges are asked for.
RUN python -c 'import pymatting'

FROM packages AS project
COPY LICENSE README.md pyproject.toml setup.py ./
COPY transforms transforms
COPY pipelines pipelines
COPY testing testing
COPY beam_yaml beam_yaml
RUN pip wheel --no-deps --wheel-dir /wheels . && pip install --no-deps /wheels/*.whl
# Names as `rembg-beam models` prints them, with spaces between; none but the bundled one if empty.
ARG MODELS=u2net
RUN mkdir -p /opt/rembg/models \
    && if [ -n "$MODELS" ]; then \
        REMBG_HOME=/tmp/rembg rembg-beam models fetch $MODELS --to /opt/rembg/models; \
    fi

# Dataflow's folders on a worker belong to root, so that a worker runs as root.
FROM packages
ARG PYTHON_VERSION
ARG BEAM_VERSION
COPY --from=beam /opt/apache/beam /opt/apache/beam
COPY --from=project /opt/rembg /opt/rembg
COPY --from=project /wheels /wheels
COPY --from=versions /src/versions.py ./
RUN pip install --no-cache-dir --no-deps /wheels/*.whl \
    && python versions.py check "$PYTHON_VERSION" "$BEAM_VERSION" \
    && cd / && python -c 'from rembg_beam.transforms.fast import \
        grid_kernels, plain_kernels, resample_kernels, shrink_kernels, subject_kernels'
# The environment has everything: Beam makes no other one when a worker starts.
ENV REMBG_HOME=/opt/rembg RUN_PYTHON_SDK_IN_DEFAULT_ENVIRONMENT=1
WORKDIR /
ENTRYPOINT ["/opt/apache/beam/boot"]
