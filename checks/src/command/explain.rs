//! `check explain` and `check replay`.

use super::{Failure, output, suite};
use crate::cli::{ExplainArgs, ReplayArgs};
use crate::engine::exact::Until;
use crate::engine::{Limits, Watch};
use crate::exit::Exit;
use crate::packed::Packed;
use crate::question::QuestionError;
use crate::suite::{Form, Run, select};
use crate::trace;
use crate::verdict::{Expected, Verdict, property_names};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::data::suggest;
use seamcheck_model::property::Property;
use seamcheck_traces::{MAX_BYTES, Trace};
use std::io::Read;
use std::path::Path;

pub(super) fn explain(args: &ExplainArgs, watch: &Watch) -> Result<Exit, Failure> {
    let path = Path::new(&args.what);
    let trace = if path.is_file() {
        read(path)?
    } else {
        of_check(args, watch)?
    };
    if args.json {
        output::print(&trace.to_json())?;
    } else {
        output::print(&seamcheck_traces::race(&trace))?;
    }
    if let Some(out) = &args.out {
        output::write(out, &trace.to_json())?;
    }
    Ok(Exit::AsExpected)
}

pub(super) fn replay(args: &ReplayArgs) -> Result<Exit, Failure> {
    let trace = read(&args.file)?;
    let steps = trace.steps.len();
    output::print(&format!(
        "{}: {steps} steps executed again; {}\n",
        args.file.display(),
        trace.verdict.reason
    ))?;
    Ok(Exit::AsExpected)
}

/// Reads a trace and executes it again.
pub(super) fn read(path: &Path) -> Result<Trace, Failure> {
    let failure = |error: String| Failure::Trace {
        path: path.to_owned(),
        error,
    };
    // One byte more than is accepted, so that what never ends is not read to its end.
    let mut text = String::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BYTES as u64 + 1).read_to_string(&mut text))
        .map_err(|error| failure(error.to_string()))?;
    let trace = Trace::from_json(&text).map_err(|error| failure(error.to_string()))?;
    trace::verify(&trace).map_err(|error| failure(error.to_string()))?;
    Ok(trace)
}

/// Searches a check for its shortest counterexample.
fn of_check(args: &ExplainArgs, watch: &Watch) -> Result<Trace, Failure> {
    let run = pick(args)?;
    let property = wanted(args, &run)?;
    let question = run.question()?;
    let (until, limits) = (Until::Violates(property), Limits::default());
    let packed = Packed::search(question, &[property], until, limits, watch)?;
    if let Some(trace) = packed.trace(property, Some(&run.name)) {
        return trace.map_err(|error| Failure::Internal(format!("{}: {error}", run.name)));
    }
    if let Verdict::Unknown(cut) = packed.verdict(property) {
        let name = run.name;
        return Err(Failure::CutShort { name, cut });
    }
    Err(QuestionError::Usage(format!(
        "{} does not break {}: there is nothing to explain",
        run.name,
        property.key()
    ))
    .into())
}

/// The run that is meant: for a bare check name the first that something is expected to break in.
fn pick(args: &ExplainArgs) -> Result<Run, Failure> {
    let runs = select(suite()?, std::slice::from_ref(&args.what))?;
    let breaks = |run: &&Run| {
        run.expect
            .iter()
            .any(|(_, expected)| matches!(expected, Expected::Violated(_)))
    };
    let run = runs.iter().find(breaks).or(runs.first()).cloned();
    let run = run.ok_or_else(|| Failure::Internal("an empty selection".into()))?;
    if run.form != Form::Packed {
        return Err(QuestionError::Usage(format!(
            "{} is no run of the packed model; only those have traces yet",
            run.name
        ))
        .into());
    }
    Ok(run)
}

fn wanted(args: &ExplainArgs, run: &Run) -> Result<Property, Failure> {
    if let Some(name) = &args.property {
        return Ok(property(name)?);
    }
    let broken = run
        .expect
        .iter()
        .find(|(_, expected)| matches!(expected, Expected::Violated(_)));
    Ok(broken
        .or(run.expect.first())
        .map_or(Property::NoSecondBusy, |(property, _)| *property))
}

/// The property called `name`.
pub(super) fn property(name: &str) -> Result<Property, QuestionError> {
    Property::from_key(name).ok_or_else(|| {
        QuestionError::Usage(format!(
            "unknown property `{name}`{}",
            suggest::did_you_mean(name, &property_names())
        ))
    })
}
