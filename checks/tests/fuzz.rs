//! Every parser on damaged input: a fixed number of mutations of a committed corpus, the same ones
//! every time. A parser may refuse; it must not panic, and what it refuses it must explain.
//! With SEAMCHECK_FUZZ_SECONDS in the environment it goes on with other mutations for so long (`just
//! fuzz`); an input that makes a target panic is left in the target directory.
//!
//! `checks/fuzz/NAME/` holds the corpus of the target NAME; where the program comes with a file of
//! that kind, this one is damaged too.

mod common;
#[path = "common/mutation.rs"]
mod mutation;
#[path = "common/rounds.rs"]
mod rounds;

use mutation::Mutator;
use rounds::rounds;
use seamcheck::forms::code::{SavedSchedule, engine};
use seamcheck::import::{Import, Ours};
use seamcheck::prove::certificate::Certificate;
use seamcheck::question::{Question, QuestionError, Source};
use seamcheck::scenario_text;
use seamcheck::triage::log::Log;
use seamcheck::{assumptions, profiles, suite};
use seamcheck_model::builtin;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::Reductions;
use seamcheck_model::table::LockTable;
use seamcheck_traces::Trace;
use std::panic::{catch_unwind, resume_unwind};
use std::path::{Path, PathBuf};

/// Mutations of each file of a corpus.
const MUTATIONS: usize = 400;

/// Reads text; the error as people would see it.
type Target = fn(&str) -> Result<(), String>;

const TARGETS: &[(&str, Target)] = &[
    ("table", |text| said(LockTable::parse("fuzzed.toml", text))),
    ("kernel", |text| {
        said(KernelProfile::parse("fuzzed.toml", text))
    }),
    ("suite", |text| said(suite::parse("fuzzed.toml", text))),
    ("profiles", |text| {
        said(profiles::parse("fuzzed.toml", text))
    }),
    ("assumptions", |text| {
        said(assumptions::parse("fuzzed.toml", text))
    }),
    ("log", log),
    ("mail", mail),
    ("trace", trace),
    ("certificate", certificate),
    ("set", set),
    ("schedule", schedule),
];

fn said<T, E: ToString>(result: Result<T, E>) -> Result<(), String> {
    result.map(|_| ()).map_err(|error| error.to_string())
}

/// A trace that is read is also drawn, and executed again.
fn trace(text: &str) -> Result<(), String> {
    let trace = Trace::from_json(text).map_err(|error| error.to_string())?;
    let _ = seamcheck_traces::race(&trace);
    said(seamcheck::trace::verify(&trace))
}

/// What `--set`, `--hold` and `--drop` take, a line each; what is understood makes a system, or says
/// why it does not fit.
fn set(text: &str) -> Result<(), String> {
    said(changed(text).and_then(|question| question.system(Reductions::ALL)))
}

fn changed(text: &str) -> Result<Question, QuestionError> {
    let (mut scenario, mut changes) = (Scenario::default(), Vec::new());
    for line in text.lines() {
        let (name, value) = line.split_once('=').unwrap_or((line, ""));
        if scenario_text::NAMES.contains(&name) {
            scenario_text::set(&mut scenario, name, value)?;
        } else {
            changes.push((name.to_owned(), value.to_owned()));
        }
    }
    let (module, kernel) = (Source::module("1.5.05")?, Source::kernel("6.16")?);
    Question::new(module, kernel, changes, scenario)
}

/// A schedule that is read is one that could be made again.
fn schedule(text: &str) -> Result<(), String> {
    let saved = SavedSchedule::parse(text).map_err(|error| error.to_string())?;
    saved.steps().map_err(|error| error.to_string())?;
    said(engine::check(&saved.request))
}

/// A certificate that is read is asked for its question and its views.
fn certificate(text: &str) -> Result<(), String> {
    let certificate = Certificate::from_json(text).map_err(|error| error.to_string())?;
    certificate.question().map_err(|error| error.to_string())?;
    said(certificate.views())
}

/// A log without a failure counts as refused.
fn log(text: &str) -> Result<(), String> {
    let log = Log::read(text.as_bytes()).map_err(|error| error.to_string())?;
    assert_eq!(
        log.lines,
        text.split_inclusive('\n').count() as u64,
        "every line is read"
    );
    if log.failures.is_empty() {
        return Err("no failure".into());
    }
    Ok(())
}

/// A mail with neither table nor retry site counts as refused.
fn mail(text: &str) -> Result<(), String> {
    let ours = Ours {
        tables: Vec::new(),
        kernels: Vec::new(),
    };
    let import = Import::new("fuzzed".into(), text.as_bytes(), &ours);
    let _ = seamcheck::import::text::text(&import, &ours);
    if import.found.is_empty() {
        return Err("nothing in it".into());
    }
    Ok(())
}

/// Files that the program comes with.
fn built_in(name: &str) -> Vec<Vec<u8>> {
    let texts = |all: &[(&str, &str)]| -> Vec<Vec<u8>> {
        all.iter()
            .map(|(_, text)| text.as_bytes().to_vec())
            .collect()
    };
    match name {
        "table" => texts(builtin::MODULES),
        "kernel" => texts(builtin::KERNELS),
        "mail" => vec![include_bytes!("mails/removal.patch").to_vec()],
        "profiles" => vec![profiles::BUILT_IN.into()],
        "assumptions" => vec![assumptions::BUILT_IN.into()],
        // The suite is long, and checked for duplicates: a part of it says as much.
        "suite" => vec![suite::FILES[1].1.into()],
        _ => Vec::new(),
    }
}

fn corpus(name: &str) -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("fuzz")
        .join(name);
    let files = std::fs::read_dir(&directory).expect("a corpus");
    let mut files: Vec<PathBuf> = files.map(|entry| entry.expect("readable").path()).collect();
    files.sort();
    assert!(!files.is_empty(), "{}", directory.display());
    let mut all: Vec<Vec<u8>> = files
        .iter()
        .map(|file| std::fs::read(file).expect("readable"))
        .collect();
    all.extend(built_in(name));
    all
}

/// The target on one input; what makes it panic is kept in a file.
fn try_one(name: &str, target: Target, input: &[u8]) -> bool {
    let text = String::from_utf8_lossy(input);
    let result = catch_unwind(|| target(&text)).unwrap_or_else(|panic| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fuzz-{name}"));
        std::fs::write(&file, input).expect("writable");
        eprintln!("{name}: the input is in {}", file.display());
        resume_unwind(panic)
    });
    if let Err(error) = &result {
        assert!(!error.trim().is_empty(), "{name}: an error without words");
    }
    result.is_ok()
}

fn fuzz(name: &str, target: Target) {
    let (mut accepted, mut refused) = (0, 0);
    for round in rounds() {
        for (seed, text) in corpus(name).iter().enumerate() {
            let mut mutator = Mutator::new(seed as u64 ^ round << 32, text);
            for _ in 0..MUTATIONS {
                if try_one(name, target, &mutator.next()) {
                    accepted += 1;
                } else {
                    refused += 1;
                }
            }
        }
    }
    eprintln!("{name}: {accepted} accepted, {refused} refused");
    // Both ways out are taken, so the mutations are neither too mild nor too wild.
    assert!(
        accepted > 0 && refused > 0,
        "{name}: {accepted} accepted, {refused} refused"
    );
}

#[test]
fn no_damaged_lock_table_makes_the_parser_panic() {
    run("table");
}

#[test]
fn no_damaged_kernel_profile_makes_the_parser_panic() {
    run("kernel");
}

#[test]
fn no_damaged_suite_makes_the_parser_panic() {
    run("suite");
}

#[test]
fn no_damaged_profile_of_the_suite_makes_the_parser_panic() {
    run("profiles");
}

#[test]
fn no_damaged_ledger_makes_the_parser_panic() {
    run("assumptions");
}

#[test]
fn no_damaged_log_makes_the_reader_panic() {
    run("log");
}

#[test]
fn no_damaged_mail_makes_the_reader_panic() {
    run("mail");
}

#[test]
fn no_damaged_trace_makes_the_reader_the_diagram_or_the_replay_panic() {
    run("trace");
}

#[test]
fn no_damaged_certificate_makes_the_reader_panic() {
    run("certificate");
}

#[test]
fn no_damaged_change_of_a_question_makes_the_model_panic() {
    run("set");
}

#[test]
fn no_damaged_schedule_makes_the_reader_panic() {
    run("schedule");
}

fn run(name: &str) {
    let mut targets = TARGETS.iter();
    let (_, target) = targets.find(|(known, _)| *known == name).expect("a target");
    fuzz(name, *target);
}

#[test]
fn every_corpus_has_a_target_and_every_target_a_corpus() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz");
    let entries = std::fs::read_dir(directory).expect("there");
    let mut corpora: Vec<String> = entries
        .map(|entry| entry.expect("readable").file_name())
        .map(|name| name.to_string_lossy().into_owned())
        .collect();
    corpora.sort();
    let mut targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    targets.sort_unstable();
    assert_eq!(corpora, targets);
}
