//! `check explain` and `check replay`.

use super::{Failure, Remedy, output, suite};
use crate::cli::{ExplainArgs, ReplayArgs};
use crate::engine::exact::Until;
use crate::engine::{Limits, Watch};
use crate::exit::Exit;
use crate::packed::Packed;
use crate::question::QuestionError;
use crate::suite::{Form, Run, select};
use crate::trace::{file, print};
use crate::verdict::{Expected, Verdict, property_names};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::data::suggest;
use seamcheck_model::property::Property;
use seamcheck_traces::{Evidence, Format, Trace};
use std::path::Path;

pub(super) fn explain(args: &ExplainArgs, watch: &Watch) -> Result<Exit, Failure> {
    let path = Path::new(&args.what);
    let trace = if path.is_file() {
        read(path)?
    } else {
        of_check(args, watch)?
    };
    let format = if args.json { Format::Json } else { args.format };
    let text = print::text(format, &trace, Evidence::Executed);
    output::print(&text)?;
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
    file::read_verified(path).map_err(|error| Failure::Refused {
        path: path.to_owned(),
        error,
        remedy: Remedy::WriteAnother,
    })
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
