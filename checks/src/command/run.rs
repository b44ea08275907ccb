//! `check run`.

use super::{Failure, limits, output, suite};
use crate::cli::RunArgs;
use crate::engine::Watch;
use crate::exit::Exit;
use crate::report::{human, json};
use crate::runner::{Difference, Outcome, run_all};
use crate::suite::select;
use crate::trace;
use indicatif::{ProgressBar, ProgressStyle};
use seamcheck_traces::Evidence;
use seamcheck_traces::page::{Entry, index, page};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub(super) fn run(args: &RunArgs, watch: &Arc<Watch>) -> Result<Exit, Failure> {
    let runs = select(suite()?, &args.names)?;
    let (planned, start) = (runs.len(), Instant::now());
    let progress = progress(planned, watch);
    let mut limits = limits(args.limits);
    if planned > 1 && args.limits.threads.is_none() {
        // Two runs at a time leave nothing to a second thread.
        limits.threads = 1;
    }
    let outcomes = run_all(runs, limits, watch, |outcome| {
        progress.inc(1);
        progress.set_message(outcome.run.name.clone());
    });
    progress.finish_and_clear();
    let exit = exit_of(&outcomes, planned);
    if args.json {
        output::print_json(&json::report(&outcomes, exit, false))?;
    } else {
        let totals = human::totals(&outcomes, planned, start.elapsed().as_secs_f64());
        output::print(&format!(
            "{}\n{totals}\n",
            human::suite(&outcomes, args.verbose)
        ))?;
    }
    if let Some(directory) = &args.traces
        && let Err(failure) = write_traces(directory, &outcomes)
    {
        // A verdict that differs is graver than a trace that is missing.
        let both = Exit::worst([exit, failure.exit()]);
        super::complain(failure);
        return Ok(both);
    }
    Ok(exit)
}

fn exit_of(outcomes: &[Outcome], planned: usize) -> Exit {
    let interrupted = (outcomes.len() < planned).then_some(Exit::Interrupted);
    let found = outcomes
        .iter()
        .flat_map(|outcome| outcome.differences.iter().map(Difference::exit));
    Exit::worst(found.chain(interrupted))
}

/// On standard error, and only on a terminal.
fn progress(planned: usize, watch: &Arc<Watch>) -> ProgressBar {
    let bar = ProgressBar::new(planned as u64);
    let states = Arc::clone(watch);
    let style =
        ProgressStyle::with_template("{bar:30} {pos}/{len} runs  {elapsed}  {searching}  {msg}");
    let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
    bar.set_style(style.with_key(
        "searching",
        move |_: &indicatif::ProgressState, out: &mut dyn std::fmt::Write| {
            let _ = write!(
                out,
                "{} states",
                crate::report::grouped(states.states.load(Ordering::Relaxed))
            );
        },
    ));
    bar.enable_steady_tick(Duration::from_millis(200));
    bar
}

/// Every violated property of every run, executed again and written, and a list of them all.
fn write_traces(directory: &Path, outcomes: &[Outcome]) -> Result<(), Failure> {
    let failure = |error| Failure::Output {
        what: directory.display().to_string(),
        error,
    };
    std::fs::create_dir_all(directory).map_err(failure)?;
    let mut written = Vec::new();
    for outcome in outcomes {
        let Some(packed) = &outcome.packed else {
            continue;
        };
        for (property, ..) in &outcome.verdicts {
            let name = &outcome.run.name;
            let Some(trace) = packed.trace(*property, Some(name)) else {
                continue;
            };
            let trace = trace.map_err(|error| Failure::Internal(format!("{name}: {error}")))?;
            let stem = trace::file::stem(name, *property);
            let (json, html) = (format!("{stem}.json"), format!("{stem}.html"));
            output::write(&directory.join(&json), &trace.to_json())?;
            output::write(&directory.join(&html), &page(&trace, Evidence::Executed))?;
            written.push((trace, json, html));
        }
    }
    let entries = written.iter();
    let entries: Vec<Entry<'_>> = entries
        .map(|(trace, json, page)| Entry { trace, json, page })
        .collect();
    output::write(&directory.join("index.html"), &index(&entries))
}
