# A cape-worker in a container. The agent that it runs is not in it: build your own image on this one (docs/service.md,
# "Containers"). Linux with glibc only; there is no embedded Postgres in it, so DATABASE_URL has to be set.

FROM node:20-bookworm-slim AS build
WORKDIR /build
COPY package.json package-lock.json ./
# Before the sources, so that a change of those asks no registry. The scripts of packages are not needed, and not run.
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY scripts/build.mjs scripts/build.mjs
COPY scripts/build scripts/build
COPY src src
RUN npm run build && npm prune --omit=dev --omit=optional --ignore-scripts

FROM node:20-bookworm-slim
# tini: as PID 1, Node would keep every process that commands leave behind as a zombie. It passes SIGTERM on to the worker
# alone. git, ssh and certificates: nearly every agent wants them.
RUN apt-get update \
  && apt-get install --yes --no-install-recommends ca-certificates git openssh-client tini \
  && rm -rf /var/lib/apt/lists/*
WORKDIR /opt/cape-worker
COPY package.json LICENSE CHANGELOG.md ./
COPY migrations migrations
COPY daemons daemons
COPY docs docs
COPY scripts/examples scripts/examples
COPY --from=build /build/node_modules node_modules
COPY --from=build /build/dist dist
# A fixed uid, that of the image's user node, so that volumes keep their owner; by number, for Kubernetes' runAsNonRoot.
RUN ln -s /opt/cape-worker/dist/cli/main.js /usr/local/bin/cape-worker \
  && install -d -o 1000 -g 1000 -m 0750 /var/log/cape-worker /work
USER 1000:1000
WORKDIR /work
# Logs and what must outlive the container: results that the database has not got yet. Mount a volume here.
ENV CAPE_LOG_DIR=/var/log/cape-worker CAPE_ALIVE_FILE=/tmp/cape-worker-alive
# SIGTERM drains: give it the time of your longest issue (docker run --stop-timeout, stop_grace_period).
STOPSIGNAL SIGTERM
# The loop of the worker has turned within a minute. Not asked is the database: an outage is waited for.
HEALTHCHECK --interval=30s --timeout=10s --start-period=30s --retries=2 \
  CMD find "$CAPE_ALIVE_FILE" -mmin -1 | grep -q .
ENTRYPOINT ["tini", "--", "cape-worker"]
CMD ["run"]
