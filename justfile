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
    cargo bench -p seamcheck

# Accept changed snapshots of human-visible output (look at each with `git diff`).
snapshots:
    INSTA_UPDATE=always cargo test

# Everything CI does.
ci:
    bash .ci/run
