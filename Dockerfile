# Stages: packages, code, base and service; test and release extend these; the last stage is the production image.

FROM python:3.13-slim AS packages
# hadolint ignore=DL3008  # Debian's mirrors keep only the newest version, so pinned versions soon fail to install.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends binutils >/dev/null \
    && rm -rf /var/lib/apt/lists/*
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_COMPILE=1
RUN python -m venv --without-pip /opt/users-api
COPY requirements/run.txt /tmp/
# Debug symbols, the packages' own tests and Connexion's unused Swagger UI of 2022 are a quarter of the size, so they are removed.
RUN pip --python /opt/users-api/bin/python install --no-deps --require-hashes --requirement /tmp/run.txt \
    && find /opt/users-api/lib -name '*.so' -exec strip --strip-unneeded {} + \
    && find /opt/users-api/lib -type d \( -name tests -o -name testing -o -name 'swagger_ui_bundle*' \) -prune -exec rm -r {} + \
    && python -m compileall -q --invalidation-mode unchecked-hash /opt/users-api/lib

# Only the code, so that changing it does not rebuild the layer of packages.
FROM packages AS code
COPY requirements/build.txt /tmp/
RUN pip --python /opt/users-api/bin/python install --no-deps --require-hashes --requirement /tmp/build.txt
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY openapi openapi
COPY users_api users_api
RUN pip --python /opt/users-api/bin/python install --no-deps --no-build-isolation --prefix /tmp/users-api . \
    && python -m compileall -q --invalidation-mode unchecked-hash /tmp/users-api/lib

# Everything except the code.
FROM python:3.13-slim AS base
ENV APP_SETTINGS=users_api.config.ProductionConfig \
    AUTH=required \
    PATH=/opt/users-api/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=packages /opt/users-api /opt/users-api
USER 10001:10001
EXPOSE 5000
# Liveness, not readiness: an unreachable database must not cause restarts.
HEALTHCHECK --interval=5s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-I", "-c", "import http.client, os; c = http.client.HTTPConnection('127.0.0.1', int(os.environ.get('PORT') or 5000), timeout=4); c.request('GET', '/health/live'); raise SystemExit(c.getresponse().status != 200)"]
CMD ["users-api", "serve"]

FROM base AS service
COPY --from=code /tmp/users-api /opt/users-api

# For CI and for development with Compose: the service, the tests and their dependencies; /src takes precedence over the installed code.
FROM base AS test
USER 0:0
# hadolint ignore=DL3008  # Debian's mirrors keep only the newest version, so pinned versions soon fail to install.
RUN apt-get update -qq \
    && apt-get install -y -qq --no-install-recommends curl haproxy make pgbouncer redis-server >/dev/null \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --home-dir /tmp --no-create-home --shell /usr/sbin/nologin users-api
COPY requirements/dev.txt /tmp/
RUN pip --python /opt/users-api/bin/python install --disable-pip-version-check --no-cache-dir --no-deps --require-hashes --requirement /tmp/dev.txt
WORKDIR /src
RUN ln -s /opt/users-api .venv
COPY --from=code /tmp/users-api /opt/users-api
COPY --chown=10001:10001 . .
RUN python -m ensurepip && touch .venv/run.stamp .venv/dev.stamp && chown 10001:10001 .
ENV APP_SETTINGS=users_api.config.DevelopmentConfig AUTH=none PYTHONPATH=/src
USER 10001:10001

# Heroku's release phase runs a separate image.
FROM service AS release
CMD ["users-api", "db", "upgrade"]

FROM service
ARG REVISION=unknown
ARG VERSION=unknown
LABEL org.opencontainers.image.title="Users API" \
      org.opencontainers.image.description="A directory of users behind a spec-first HTTP API" \
      org.opencontainers.image.licenses="MIT" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
