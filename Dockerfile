# To build on a base image of your own, or on this one by its digest: --build-arg PYTHON=python@sha256:…
ARG PYTHON=python:3.13-slim

FROM ${PYTHON} AS build
WORKDIR /src
COPY locks locks
# Nothing is installed but what the lock files name, and only wheels: no package's code runs here. Neither environment
# gets a pip of its own.
RUN python -m venv --without-pip /opt/pushlane \
    && pip --python /opt/pushlane install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r locks/runtime.txt \
    && python -m venv --without-pip /opt/build \
    && pip --python /opt/build install --no-cache-dir --no-deps --only-binary :all: --require-hashes -r locks/build.txt
COPY pyproject.toml README.md LICENSE ./
COPY producer producer
COPY worker worker
RUN pip --python /opt/build wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels . \
    && pip --python /opt/pushlane install --no-deps --no-index /wheels/*.whl

FROM ${PYTHON}
COPY --from=build /opt/pushlane /opt/pushlane
ENV PATH=/opt/pushlane/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
# The callback's decisions wait here while Redis is away; a volume inherits the owner.
RUN install -d -o 10001 -g 10001 -m 0700 /spool
WORKDIR /tmp
USER 10001:10001
# Celery's warm shutdown: pushes in flight are settled, unsent ones are given back.
STOPSIGNAL SIGTERM
# A command, not an entrypoint, so that `celery -A pushlane_worker flower` starts from the same image.
CMD ["pushlane", "worker"]
