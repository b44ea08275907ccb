//! What is promised of the Rust that is needed, held against every package that is built here.

use std::path::{Path, PathBuf};
use std::process::Command;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What cargo says of the packages that are built here.
fn metadata() -> serde_json::Value {
    let host = Command::new("rustc").arg("-vV").output().expect("rustc");
    let host = String::from_utf8(host.stdout).expect("text");
    let host = host.lines().find_map(|line| line.strip_prefix("host: "));
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--locked", "--offline"])
        .args(["--filter-platform", host.expect("rustc names it")])
        .current_dir(root())
        .output()
        .expect("cargo");
    let said = String::from_utf8_lossy(&output.stderr);
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {said}"))
}

/// `1.88` and `1.88.0` are the same.
fn version(text: &str) -> Vec<u64> {
    let mut parts: Vec<u64> = text
        .split('.')
        .filter_map(|part| part.parse().ok())
        .collect();
    parts.resize(3, 0);
    parts
}

#[test]
fn no_dependency_asks_for_a_newer_rust_than_is_stated() {
    let manifest = read(&root().join("Cargo.toml"));
    let line = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "));
    let stated = line.expect("stated").trim_matches('"');
    let readme = read(&root().join("README.md"));
    assert!(readme.contains(&format!("Rust {stated} or newer")));
    let metadata = metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    let mut asking = 0;
    for package in packages {
        if let Some(asked) = package["rust_version"].as_str() {
            asking += 1;
            let name = &package["name"];
            assert!(version(asked) <= version(stated), "{name} asks for {asked}");
        }
    }
    assert!(asking > 100, "{asking} of {}", packages.len());
}
