//! `check fix`.

use super::{Failure, explain, limits, output, suite};
use crate::cli::FixArgs;
use crate::engine::Watch;
use crate::exit::Exit;
use crate::fix::{self, Fixes, Not};
use crate::question::{Question, QuestionError};
use crate::report::{grouped, rests_on_text};
use crate::suite::{Form, select};
use crate::trace::verify;
use crate::verdict::Expected;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;

pub(super) fn fix(args: &FixArgs, watch: &Watch) -> Result<Exit, Failure> {
    let (question, property) = asked(args)?;
    let fixes = fix::search(&question, property, limits(args.limits), watch)?;
    let Some(fixes) = fixes.map_err(|cut| Failure::CutShort {
        name: args.what.clone(),
        cut,
    })?
    else {
        return Err(QuestionError::Usage(format!(
            "{} is not violated there: there is nothing to fix",
            property.key()
        ))
        .into());
    };
    let cut = fixes.others.iter().find_map(|(_, not)| match not {
        Not::Unknown(cut) => Some(*cut),
        _ => None,
    });
    let exit = match cut {
        Some(cut) => super::cut_short(cut),
        None if fixes.fixes.is_empty() => Exit::Violated,
        None => Exit::AsExpected,
    };
    if args.json {
        output::print_json(&json(&fixes, exit))?;
    } else {
        output::print(&human(&args.what, &fixes))?;
    }
    Ok(exit)
}

/// The question, and the property that is to hold: from a trace, or from the suite.
fn asked(args: &FixArgs) -> Result<(Question, Property), Failure> {
    let wanted = args
        .property
        .as_deref()
        .map(explain::property)
        .transpose()?;
    let path = Path::new(&args.what);
    let (question, property) = if path.is_file() {
        let trace = explain::read(path)?;
        let question = verify::question(&trace.question)?;
        let property = explain::property(&trace.question.property)?;
        (question, wanted.unwrap_or(property))
    } else {
        let runs = select(suite()?, std::slice::from_ref(&args.what))?;
        let broken = |expect: &&(Property, Expected)| {
            matches!(expect.1, Expected::Violated(_)) && !expect.0.is_liveness()
        };
        let packed = runs.iter().filter(|run| run.form == Form::Packed);
        let found = packed
            .filter_map(|run| Some((run, run.expect.iter().find(broken)?.0)))
            .next();
        let Some((run, property)) = found else {
            return Err(QuestionError::Usage(format!(
                "nothing is expected to break in {}: there is nothing to fix",
                args.what
            ))
            .into());
        };
        (run.question()?, wanted.unwrap_or(property))
    };
    if property.is_liveness() {
        return Err(QuestionError::Usage(format!(
            "{} is about what happens in the end; a lock is looked for only for what must never happen",
            property.key()
        ))
        .into());
    }
    Ok((question, property))
}

fn human(what: &str, found: &Fixes) -> String {
    let mut out = String::new();
    let tried = found.fixes.len() + found.others.len();
    let _ = writeln!(
        out,
        "{what} breaks {} after {} transitions; {tried} single locks tried in {:.1} s",
        found.property.key(),
        found.length,
        found.elapsed.as_secs_f64()
    );
    for fix in &found.fixes {
        let calls = if fix.covers == 1 {
            "SEAMCALL"
        } else {
            "SEAMCALLs"
        };
        let bugs = if fix.still_bugs {
            "; KVM_BUG_ON still fires for another reason"
        } else {
            ""
        };
        let _ = writeln!(
            out,
            "  holds with {}\n      around {} {calls}; {} states searched{bugs}",
            fix.hold,
            fix.covers,
            grouped(fix.states)
        );
    }
    if found.fixes.is_empty() {
        out.push_str("  no single KVM lock makes it hold\n");
    }
    let count = |wanted: fn(&Not) -> bool| {
        let others = found.others.iter();
        others.filter(|(_, not)| wanted(not)).count()
    };
    let _ = writeln!(
        out,
        "of the others {} still break it, {} would deadlock or are held already, {} keep a SEAMCALL \
         from being issued",
        count(|not| matches!(not, Not::Violated(_))),
        count(|not| matches!(not, Not::Refused(_))),
        count(|not| matches!(not, Not::Starves(_))),
    );
    let _ = writeln!(out, "rests on {}", rests_on_text(&found.rests_on));
    let cut = found.others.iter().filter_map(|(hold, not)| match not {
        Not::Unknown(cut) => Some((hold, cut)),
        _ => None,
    });
    for (hold, cut) in cut {
        let _ = writeln!(out, "unknown: {hold}: {}", cut.text());
    }
    out
}

#[derive(Serialize)]
struct Json<'a> {
    format: &'static str,
    tool: &'static str,
    exit: u8,
    property: &'static str,
    length: u64,
    fixes: Vec<JsonFix<'a>>,
    others: Vec<JsonOther<'a>>,
    rests_on: &'a [u64],
    seconds: f64,
}

#[derive(Serialize)]
struct JsonFix<'a> {
    hold: &'a str,
    covers: usize,
    states: u64,
    bug_on_still_fires: bool,
}

#[derive(Serialize)]
struct JsonOther<'a> {
    hold: &'a str,
    because: String,
}

fn json(found: &Fixes, exit: Exit) -> impl Serialize {
    let fixes = found.fixes.iter().map(|fix| JsonFix {
        hold: &fix.hold,
        covers: fix.covers,
        states: fix.states,
        bug_on_still_fires: fix.still_bugs,
    });
    let others = found.others.iter().map(|(hold, not)| JsonOther {
        hold,
        because: match not {
            Not::Refused(why) => why.clone(),
            Not::Violated(length) => format!("violated {length}"),
            Not::Starves(calls) => format!("never issued any more: {}", calls.join(", ")),
            Not::Unknown(cut) => format!("unknown: {}", cut.text()),
        },
    });
    Json {
        format: "seamcheck.fix.v1",
        tool: crate::TOOL,
        exit: exit as u8,
        property: found.property.key(),
        length: found.length,
        fixes: fixes.collect(),
        others: others.collect(),
        rests_on: &found.rests_on,
        seconds: found.elapsed.as_secs_f64(),
    }
}
