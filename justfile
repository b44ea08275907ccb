# `just` lists what can be done.

# List the recipes.
default:
    @just --list

# Run the suite.
check *ARGS:
    cargo run --bin check -- {{ARGS}}

# Run the tests.
test:
    cargo test

# Format, then refuse warnings.
lint:
    cargo fmt --all --check
    cargo clippy --all-targets -- -D warnings

# Time the searches: states per second, the exact engine beside stateright.
bench:
    cargo bench -p seamcheck --bench search

# The exact engine beside SPIN, in one run (needs SPIN and a C compiler).
peers:
    cargo bench -p seamcheck --bench peers
    cargo test --release -p seamcheck --test peers -- --include-ignored

# What one more vCPU costs each engine: the table of docs/growth.md.
growth:
    cargo bench -p seamcheck --bench growth

# Accept changed snapshots of human-visible output (look at each with `git diff`).
snapshots:
    INSTA_UPDATE=always cargo test

# Renew the recorded counterexamples and the schema (look at the difference with `git diff`).
record:
    SEAMCHECK_RECORD=1 cargo test -p seamcheck --test recorded

# Everything CI does.
ci:
    bash .ci/run
