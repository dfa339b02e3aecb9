# One image for every process of docker-compose.yml: locked packages, no compiler, no root, nothing to write to.
ARG PYTHON_IMAGE=python:3.12-slim-bookworm

FROM ${PYTHON_IMAGE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1
RUN python -m venv /opt/mailer
WORKDIR /src
COPY requirements.lock ./
RUN /opt/mailer/bin/pip install --require-hashes --no-deps --only-binary :all: -r requirements.lock
COPY pyproject.toml README.md ./
COPY mailer ./mailer
COPY workers ./workers
COPY templates ./templates
RUN /opt/mailer/bin/pip install --no-index --no-deps --no-build-isolation .

FROM ${PYTHON_IMAGE}
# The uid is a number, so that a platform can see for itself that it is not root.
RUN groupadd --system --gid 10001 mailer \
    && useradd --system --uid 10001 --gid 10001 --home-dir /data --no-create-home --shell /usr/sbin/nologin mailer \
    && install -d -o 10001 -g 10001 -m 0700 /data /data/journals
COPY --from=build /opt/mailer /opt/mailer
ENV PATH=/opt/mailer/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    MAILER_DATA=/data
USER 10001:10001
WORKDIR /data
CMD ["mailer", "serve"]
