//! What the tests of the program share: the program itself, and the suite's runs by name.

// Each test file uses its own part of this one.
#![allow(dead_code)]

use assert_cmd::Command;
use seamcheck::engine::exact::{self, Until};
use seamcheck::engine::{Limits, Report, Watch};
use seamcheck::profiles;
use seamcheck::suite::{self, Run};
use seamcheck_model::system::{Reductions, System};
use std::path::{Path, PathBuf};

/// How the program ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
}

/// The program, with nothing of the caller's terminal.
pub(crate) fn check(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_check"));
    for (name, value) in PLAIN {
        command.env(name, value);
    }
    command.env_remove("CLICOLOR_FORCE");
    command.env_remove("FORCE_COLOR");
    command.args(args);
    command
}

/// No colour, a fixed width, UTF-8.
pub(crate) const PLAIN: [(&str, &str); 4] = [
    ("NO_COLOR", "1"),
    ("COLUMNS", "100"),
    ("TERM", "dumb"),
    ("LC_ALL", "C.UTF-8"),
];

/// Runs the program to its end.
pub(crate) fn ended(args: &[&str]) -> Ended {
    ended_in(Path::new("."), args)
}

/// The same in another directory, so that file names in messages are short.
pub(crate) fn ended_in(directory: &Path, args: &[&str]) -> Ended {
    let output = check(args).current_dir(directory).output();
    let output = output.expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
    Ended {
        status: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// Runs `trace` to its end, in a directory.
pub(crate) fn trace(directory: &Path, args: &[&str]) -> Ended {
    let mut command = Command::new(env!("CARGO_BIN_EXE_trace"));
    command.envs(PLAIN).args(args).current_dir(directory);
    command
        .env_remove("CLICOLOR_FORCE")
        .env_remove("FORCE_COLOR");
    let output = command.output().expect("the program starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("the program prints UTF-8");
    Ended {
        status: output.status.code(),
        out: text(output.stdout),
        err: text(output.stderr),
    }
}

/// A text without line breaks and frames, to look for sentences in.
pub(crate) fn words(text: &str) -> String {
    let plain = text.replace(['│', '×'], " ");
    plain.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// An empty directory of the test called `name`.
pub(crate) fn scratch(name: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a scratch directory can be made");
    path
}

/// Everything that `check` runs by default.
pub(crate) fn runs() -> Vec<Run> {
    let profiles = profiles::parse("profiles.toml", profiles::BUILT_IN).expect("well-formed");
    let default = profiles::find(profiles, "default").expect("there is one");
    suite::of_profile(&default).expect("the suite is well-formed")
}

/// The run called `name`.
pub(crate) fn run(name: &str) -> Run {
    let mut all = runs().into_iter();
    all.find(|run| run.name == name)
        .unwrap_or_else(|| panic!("no run is called {name}"))
}

/// The system of a run, as the program searches it.
pub(crate) fn system(run: &Run) -> System {
    let question = run.question().expect("the suite asks only what exists");
    let system = question.system(Reductions::ALL);
    system.expect("the suite's scenarios fit")
}

/// The whole search of a system.
pub(crate) fn search(system: &System) -> Report {
    let watch = Watch::default();
    exact::search(system, Until::Everything, Limits::default(), &watch)
}

/// A short race: two ioctls, no vCPU.
pub(crate) const SHORT: &str = "init-vcpu-twice/sc";
/// A long one, with stores in buffers.
pub(crate) const LONG: &str = "M06/tso";

/// A directory with the trace of a run in `trace.json`, and its text.
pub(crate) fn recorded(directory: &str, run: &str) -> (PathBuf, String) {
    let directory = scratch(directory);
    let ended = ended_in(&directory, &["explain", run, "--out", "trace.json"]);
    assert_eq!(ended.status, Some(0), "{}", ended.err);
    let text = std::fs::read_to_string(directory.join("trace.json"));
    (directory, text.expect("it was written"))
}

/// What `check replay given.json` says of a text.
pub(crate) fn replayed(directory: &Path, text: &str) -> Ended {
    std::fs::write(directory.join("given.json"), text).expect("it can be written");
    ended_in(directory, &["replay", "given.json"])
}

/// The first of these programs that there is.
pub(crate) fn program(names: &[&str]) -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let places = names.iter().flat_map(|name| {
        directories
            .iter()
            .map(move |directory| directory.join(name))
    });
    places.into_iter().find(|place| place.is_file())
}

/// Says that a test is skipped for want of a program. In CI, which installs it, that is a failure.
pub(crate) fn skipped(program: &str) {
    let ci = std::env::var("CI").is_ok_and(|ci| ci == "true");
    assert!(!ci, "{program} is missing");
    eprintln!("SKIPPED: {program} is not installed, so nothing was tested here");
}
