# The two commands: `make demo` runs the gateway on embedded defaults, `make test` passes the tests. Both do all the set-up
# they need. Everything is built in one profile (release), so that the Wasm runtime is compiled once.

CARGO ?= cargo
BIN := $(or $(CARGO_TARGET_DIR),target)/release/wicketgate

.PHONY: demo test test-cluster bench soak lint build toolchain clean

build: toolchain
	$(CARGO) build --release --locked --workspace

# A compiler with the target wasm32-unknown-unknown; at once where there is one.
toolchain:
	@plugins/toolchain

demo: build
	@exec $(BIN) demo

# Unit tests, then the integration tests, which drive the real binary and real peers.
test: build
	@tests/run

# What needs a real cluster: Helm, kube-apiserver, etcd, kubelet and containerd, which are built once. Apart, for that takes minutes.
test-cluster: build
	@tests/cluster/run

# A request through the gateway beside nginx, TCP beside HAProxy, latency while plugins are swapped, then single decisions.
bench: build
	@tests/bench/run
	@tests/bench/tcp
	@tests/bench/swaps
	@$(CARGO) bench --locked --workspace --bench decisions

# Ten thousand plugin sets, good and bad, one after the other under load: half an hour or more.
soak: build
	@tests/bench/soak

lint: toolchain
	$(CARGO) fmt --all --check
	$(CARGO) clippy --release --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --release --locked --workspace --test cluster -- -D warnings

clean:
	$(CARGO) clean
