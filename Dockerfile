# Image of tf_ssl, for CPUs or for NVIDIA GPUs (the driver is the host's):
#
#   docker build --tag tf-ssl:0.2.0 .
#   docker build --build-arg EXTRA=gpu --tag tf-ssl:0.2.0-gpu .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" tf-ssl:0.2.0 \
#     train --gin_file=gin_configs/pretrain/quickstart.gin --model_dir=runs/a
#
# `python -m release.image_root` runs these very steps in a clean root without Docker.

FROM debian:trixie-slim AS build
ARG DEBIAN_FRONTEND=noninteractive
# Debian keeps only the newest version of a package, so none is pinned.
# hadolint ignore=DL3008
RUN apt-get update -qq \
    && apt-get install -qq --no-install-recommends ca-certificates python3-venv \
    && rm -rf /var/lib/apt/lists/*
RUN python3 -m venv /opt/tf_ssl
ENV PATH=/opt/tf_ssl/bin:$PATH
WORKDIR /opt/source
# Before the sources, so that a change of them installs only tf_ssl again.
COPY requirements/py313.lock requirements/
RUN pip install --quiet --no-cache-dir --no-compile --no-deps \
    --requirement requirements/py313.lock
ARG EXTRA=
RUN case "$EXTRA" in \
      "") ;; \
      gpu) pip install --quiet --no-cache-dir --no-compile \
             --constraint requirements/py313.lock 'tensorflow[and-cuda]' ;; \
      *) echo "EXTRA=$EXTRA: expected gpu, or nothing for CPUs" >&2; exit 2 ;; \
    esac
COPY . .
# Compiled, as the user of the image cannot store what Python compiles.
RUN pip install --quiet --no-cache-dir --no-compile --no-deps \
      --no-build-isolation . \
    && { python -m compileall -qq -j 0 /opt/tf_ssl/lib || true; }

FROM debian:trixie-slim
ARG DEBIAN_FRONTEND=noninteractive
LABEL org.opencontainers.image.title="tf_ssl" \
      org.opencontainers.image.licenses="Apache-2.0"
# /work is for every user, as `docker run --user` may name any.
# hadolint ignore=DL3008
RUN apt-get update -qq \
    && apt-get install -qq --no-install-recommends ca-certificates python3 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 1000 tf_ssl \
    && useradd --uid 1000 --gid 1000 --create-home tf_ssl \
    && install --directory --mode=1777 /work
COPY --from=build /opt/tf_ssl /opt/tf_ssl
ENV PATH=/opt/tf_ssl/bin:$PATH
USER 1000:1000
WORKDIR /work
ENTRYPOINT ["tf-ssl"]
CMD ["help"]
