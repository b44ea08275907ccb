//! `check list`.

use super::{Failure, output, pairs, suite};
use crate::agree;
use crate::cli::ListArgs;
use crate::engine::Watch;
use crate::exit::Exit;
use crate::report::{agreement, json, necessity};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use std::fmt::Write;

pub(super) fn list(args: &ListArgs, watch: &Watch) -> Result<Exit, Failure> {
    if args.decisions {
        output::print(&decisions())?;
    } else if args.pairs {
        output::print(&pairs::table(&suite()?, watch)?)?;
    } else if args.agreement {
        output::print(&agreement::markdown(&agree::expected(&suite()?)))?;
    } else if args.necessity {
        output::print(&necessity::markdown(&suite()?))?;
    } else if args.json {
        output::print_json(&json::list(&suite()?))?;
    } else {
        output::print(&checks(&suite()?))?;
    }
    Ok(Exit::AsExpected)
}

fn decisions() -> String {
    let mut out = String::new();
    for name in Decisions::NAMES {
        let _ = writeln!(out, "{name}");
        for (value, about) in Decisions::values(name) {
            let _ = writeln!(out, "    {value:<28} {about}");
        }
    }
    out
}

fn checks(runs: &[crate::suite::Run]) -> String {
    let mut out = String::new();
    let mut group = "";
    for run in runs {
        if run.group != group {
            let _ = writeln!(
                out,
                "{}{}",
                if group.is_empty() { "" } else { "\n" },
                run.group
            );
            group = &run.group;
        }
        let expected: Vec<String> = run
            .expect
            .iter()
            .map(|(property, expected)| format!("{} {expected}", property.key()))
            .collect();
        let _ = writeln!(out, "  {:<34} {}", run.name, expected.join(", "));
    }
    out
}
