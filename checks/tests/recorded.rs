//! The recorded counterexamples: one for each check whose subject is expected to be violated, each
//! executed again on today's model. `just record` renews them, and the schema beside them.

mod common;

use common::runs;
use seamcheck::engine::exact::Until;
use seamcheck::engine::{Limits, Watch};
use seamcheck::packed::Packed;
use seamcheck::suite::{Form, Run};
use seamcheck::trace::{file, verify};
use seamcheck::verdict::Expected;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_traces::Trace;
use seamcheck_traces::schema::json_schema;
use serde_json::Value;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Once;

fn traces() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../traces")
}

/// Each run whose subject is expected to be violated: its file, the property, the length. The first
/// test to ask renews everything first, if it is told to.
fn subjects() -> Vec<(Run, PathBuf, Property, u64)> {
    static RENEWED: Once = Once::new();
    RENEWED.call_once(|| {
        if std::env::var_os("SEAMCHECK_RECORD").is_some() {
            renew();
        }
    });
    expected()
}

fn renew() {
    let directory = traces().join("recorded");
    let _ = std::fs::remove_dir_all(&directory);
    std::fs::create_dir_all(&directory).expect("it can be made");
    for (run, path, property, _) in expected() {
        record(&run, &path, property);
    }
    let schema = traces().join("trace.v1.schema.json");
    std::fs::write(schema, json_schema()).expect("it can be written");
}

fn expected() -> Vec<(Run, PathBuf, Property, u64)> {
    let packed = runs().into_iter().filter(|run| run.form == Form::Packed);
    packed
        .filter_map(|run| match run.expect.first() {
            Some(&(property, Expected::Violated(length))) => {
                let name = format!("{}.json", file::stem(&run.name, property));
                Some((run, traces().join("recorded").join(name), property, length))
            }
            _ => None,
        })
        .collect()
}

fn record(run: &Run, path: &Path, property: Property) {
    let question = run.question().expect("the suite asks only what exists");
    let (until, watch) = (Until::Violates(property), Watch::default());
    let packed = Packed::search(question, &[property], until, Limits::default(), &watch);
    let trace = packed.expect("it fits").trace(property, Some(&run.name));
    let trace = trace.expect("it is violated").expect("it is confirmed");
    std::fs::write(path, trace.to_json_lines()).expect("it can be written");
}

#[test]
fn every_recorded_counterexample_is_still_one_and_none_is_missing() {
    let directory = traces().join("recorded");
    let files = std::fs::read_dir(&directory).expect("readable");
    let files: BTreeSet<PathBuf> = files.map(|file| file.expect("readable").path()).collect();
    let wanted: BTreeSet<PathBuf> = subjects().into_iter().map(|subject| subject.1).collect();
    assert_eq!(files, wanted, "`just record` renews them");
    assert!(wanted.len() >= 50, "{} traces", wanted.len());
    for (run, path, property, length) in subjects() {
        let name = path.display();
        let trace = file::read_verified(&path);
        let trace =
            trace.unwrap_or_else(|error| panic!("{name}: {error}; `just record` renews it"));
        assert_eq!(trace.check.as_deref(), Some(run.name.as_str()), "{name}");
        assert_eq!(trace.question.property, property.key(), "{name}");
        // Nobody holds a lock at the start: viewers need no list of those.
        assert!(trace.steps[0].locks.len() <= 2, "{name}");
        // One transition of the search is a step and those fused to it: no longer one is recorded.
        let whole = trace.steps.iter().filter(|step| !step.fused).count();
        assert_eq!(whole as u64, length, "{name}");
        let text = std::fs::read_to_string(&path).expect("readable");
        assert_eq!(
            trace.to_json_lines(),
            text,
            "{name}: written in another way"
        );
    }
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    subjects();
    let path = traces().join("trace.v1.schema.json");
    let published = std::fs::read_to_string(&path).expect("readable");
    assert_eq!(published, json_schema(), "`just record` renews it");
}

#[test]
fn every_recorded_trace_fits_the_schema_and_a_damaged_one_does_not() {
    let published = std::fs::read_to_string(traces().join("trace.v1.schema.json"));
    let schema: Value = serde_json::from_str(&published.expect("readable")).expect("JSON");
    let schema = jsonschema::validator_for(&schema).expect("a schema");
    for (_, path, ..) in subjects() {
        let text = std::fs::read_to_string(&path).expect("readable");
        let trace: Value = serde_json::from_str(&text).expect("JSON");
        if let Err(error) = schema.validate(&trace) {
            panic!("{}: {error} at {}", path.display(), error.instance_path());
        }
        for (pointer, bad) in [
            ("/format", Value::from("seamcheck.trace.v2")),
            ("/agents/0/kind", Value::from("thread")),
            ("/steps/0/name", Value::from(7)),
            ("/verdict", Value::from("violated")),
        ] {
            let mut damaged = trace.clone();
            *damaged.pointer_mut(pointer).expect("it is there") = bad;
            assert!(!schema.is_valid(&damaged), "{pointer}");
        }
        let mut more = trace.clone();
        more["colour"] = Value::from("red");
        assert!(!schema.is_valid(&more));
    }
}

#[test]
fn a_recorded_trace_that_no_longer_fits_the_model_is_noticed() {
    let (_, path, ..) = subjects().swap_remove(0);
    let trace = Trace::from_json(&std::fs::read_to_string(path).expect("readable"));
    let mut trace = trace.expect("a trace");
    trace.steps[0].anchor.file.push('x');
    assert!(verify(&trace).is_err());
}
