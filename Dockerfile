# syntax=docker/dockerfile:1
# fixbot with the sandbox's tools and nothing of root's. A digest is stricter than a tag:
#   docker build --build-arg PYTHON_IMAGE=python:3.13-slim-trixie@sha256:... --tag fixbot .
ARG PYTHON_IMAGE=python:3.13-slim-trixie

FROM ${PYTHON_IMAGE} AS build
ARG UV_VERSION=0.13.9
ENV UV_PROJECT_ENVIRONMENT=/opt/fixbot UV_PYTHON=/usr/local/bin/python3 UV_PYTHON_DOWNLOADS=never UV_LINK_MODE=copy UV_NO_CACHE=1
RUN python3 -m pip install --no-cache-dir --disable-pip-version-check --root-user-action=ignore "uv==${UV_VERSION}"
WORKDIR /src
# The dependencies first, each checked against its hash in uv.lock.
COPY pyproject.toml uv.lock ./
RUN uv sync --locked --no-default-groups --extra tui --no-install-project --compile-bytecode
COPY README.md LICENSE ./
COPY agent agent
COPY detectors detectors
COPY patchers patchers
COPY prompts prompts
RUN uv sync --locked --no-default-groups --extra tui --no-editable --compile-bytecode

FROM ${PYTHON_IMAGE}
RUN apt-get update \
 && apt-get install --yes --no-install-recommends bubblewrap ca-certificates git libseccomp2 \
 && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 1000 --create-home fixbot
COPY --from=build /opt/fixbot /opt/fixbot
ENV PATH=/opt/fixbot/bin:$PATH
USER 1000:1000
WORKDIR /work
ENTRYPOINT ["fixbot"]
CMD ["--help"]
