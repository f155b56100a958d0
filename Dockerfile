# The gateway's image: one program on a base without a shell, as a user without rights. README.md says how it's built.
#
# The compiler always runs on the architecture of the machine that builds; for another one (TARGETARCH) it compiles across.
# The last stage runs nothing, so no architecture needs emulation. With the build context `build` in place of the stage of that
# name (`--build-context build=DIRECTORY`), a program that was compiled before is packed: DIRECTORY/out/wicketgate.

ARG RUST=docker.io/library/rust:1.95-slim-trixie
# Whatever has glibc, as new as that of RUST's Debian, libgcc and the certificates of authorities.
ARG BASE=gcr.io/distroless/cc-debian13:nonroot

FROM --platform=$BUILDPLATFORM ${RUST} AS build
ARG TARGETARCH
WORKDIR /src

# Rust's standard library for the program and for the default plugins, which are Wasm whatever the architecture. A C compiler for
# TARGETARCH, because aws-lc, mimalloc and Wasmtime have parts in C; the native one is in the base.
# Engines that aren't asked for a platform may name none.
RUN set -eu; \
    own=$(dpkg --print-architecture); \
    TARGETARCH=${TARGETARCH:-$own}; \
    case "$TARGETARCH" in \
        amd64) cpu=x86_64; compiler=x86-64 ;; \
        arm64) cpu=aarch64; compiler=aarch64 ;; \
        *) echo "no image for the architecture '$TARGETARCH': amd64 or arm64" >&2; exit 1 ;; \
    esac; \
    echo "$cpu-unknown-linux-gnu" >/triple; \
    rustup target add wasm32-unknown-unknown "$(cat /triple)"; \
    if [ "$TARGETARCH" != "$own" ]; then \
        apt-get update; \
        apt-get install --yes --no-install-recommends "gcc-$compiler-linux-gnu" "libc6-dev-$TARGETARCH-cross"; \
        rm -rf /var/lib/apt/lists/*; \
    fi
ENV CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc \
    CARGO_TARGET_X86_64_UNKNOWN_LINUX_GNU_LINKER=x86_64-linux-gnu-gcc

COPY . .
# Function names stay for backtraces. One build at a time uses the cached directory; for two architectures it shares what runs
# on the machine that builds.
RUN --mount=type=cache,id=wicketgate-registry,target=/usr/local/cargo/registry \
    --mount=type=cache,id=wicketgate-target,target=/target,sharing=locked \
    CARGO_TARGET_DIR=/target CARGO_PROFILE_RELEASE_STRIP=debuginfo \
        cargo build --release --locked --package wicketgate --bin wicketgate --target "$(cat /triple)" && \
    install -D "/target/$(cat /triple)/release/wicketgate" /out/wicketgate

FROM ${BASE} AS runtime
ARG BASE
ARG VERSION=0.1.0
ARG REVISION
LABEL org.opencontainers.image.title="Wicketgate" \
      org.opencontainers.image.description="An access gateway for AI sessions whose decisions are WebAssembly components" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.base.name="${BASE}"
COPY LICENSE /usr/share/doc/wicketgate/LICENSE
COPY --from=build --chmod=0755 /out/wicketgate /usr/bin/wicketgate
# Numbers, because Kubernetes refuses a name where it must know that it isn't root's.
USER 65532:65532
WORKDIR /
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/wicketgate"]
CMD ["run"]
