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

# Time the searches, the exact engine beside stateright, and the whole suite.
bench:
    cargo bench -p seamcheck --bench search
    cargo bench -p seamcheck --bench suite

# The exact engine beside SPIN, in one run (needs SPIN and a C compiler).
peers:
    cargo bench -p seamcheck --bench peers
    cargo test --release -p seamcheck --test peers -- --include-ignored

# What one more vCPU costs each engine: the table of docs/growth.md.
growth:
    cargo bench -p seamcheck --bench growth

# Damaged input and random protocols, for so many seconds each instead of a fixed number.
fuzz SECONDS="60":
    SEAMCHECK_FUZZ_SECONDS={{SECONDS}} cargo test -p seamcheck --test fuzz --test random_protocols --test random_forms -- --test-threads 2

# Accept changed snapshots of human-visible output (look at each with `git diff`).
snapshots:
    INSTA_UPDATE=always cargo test

# Renew the recorded counterexamples and the schema (look at the difference with `git diff`).
record:
    SEAMCHECK_RECORD=1 cargo test -p seamcheck --test recorded

# Everything CI does.
ci:
    bash .ci/run

# Write the generated chapters of the book again.
book:
    cargo run --bin check -- assumptions --markdown > docs/assumptions.md
    cargo run --bin check -- list --necessity > docs/necessity.md
    cargo run --bin check -- list --agreement > docs/agreement.md

# What takes minutes: the nightly profile, and the tests left out by day.
nightly:
    cargo run --bin check -- run --profile nightly
    cargo test -- --include-ignored

# Licences and sources of dependencies (needs cargo-deny).
deny:
    cargo deny check licenses bans sources
