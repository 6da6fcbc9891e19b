FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE constraints.txt ./
COPY producer producer
COPY worker worker
RUN python -m venv /opt/pushlane \
    && pip wheel --no-cache-dir --no-deps --wheel-dir /wheels . \
    && /opt/pushlane/bin/pip install --no-cache-dir --constraint constraints.txt "$(echo /wheels/*.whl)[worker,callback]" flower

FROM python:3.13-slim
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
