//! `check run`.

use super::{Failure, limits_over, memory, output, suite};
use crate::agree::Agreement;
use crate::cli::{MessageFormat, RunArgs};
use crate::engine::{Limits, Watch};
use crate::exit::Exit;
use crate::profiles::{self, Profile};
use crate::question::QuestionError;
use crate::report::{agreement, github, human, json, junit};
use crate::runner::{Difference, Outcome, run_all};
use crate::suite::{of_profile, select};
use crate::trace;
use indicatif::{ProgressBar, ProgressStyle};
use seamcheck_traces::Evidence;
use seamcheck_traces::page::{Entry, index, page};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

pub(super) fn run(args: &RunArgs, watch: &Arc<Watch>) -> Result<Exit, Failure> {
    let profile = profile(&args.profile)?;
    let runs = if args.names.is_empty() {
        of_profile(&profile).map_err(super::broken_suite)?
    } else {
        select(suite()?, &args.names)?
    };
    let names: Vec<String> = runs.iter().map(|run| run.name.clone()).collect();
    let (planned, start) = (runs.len(), Instant::now());
    let progress = progress(planned, watch);
    let outcomes = run_all(runs, limits_of(&profile, args, planned), watch, |outcome| {
        progress.inc(1);
        progress.set_message(outcome.run.name.clone());
    });
    progress.finish_and_clear();
    let totals = human::totals(&outcomes, planned, start.elapsed().as_secs_f64());
    let agreement = Agreement::of(&outcomes);
    let exit = exit_of(&outcomes, &agreement, planned);
    let not_run = not_run(&outcomes, &names);
    let printed = match args.message_format {
        _ if args.json => print_json(&outcomes, &agreement, exit, not_run.clone()),
        MessageFormat::Json => print_json(&outcomes, &agreement, exit, not_run.clone()),
        MessageFormat::Human => output::print(&text(args, &outcomes, &agreement, &totals)),
        MessageFormat::Github => {
            let text = text(args, &outcomes, &agreement, &totals);
            output::print(&(text + &github::annotations(&outcomes)))
        }
    };
    // A verdict that differs is graver than a file that is missing.
    let mut all = vec![exit];
    for written in [
        printed,
        write_summary(args, &outcomes, &totals),
        write_junit(args, &outcomes, &not_run),
        write_traces(args, &outcomes),
    ] {
        if let Err(failure) = written {
            all.push(failure.exit());
            super::complain(failure);
        }
    }
    Ok(Exit::worst(all))
}

fn profile(name: &str) -> Result<Profile, Failure> {
    let all = profiles::parse("profiles.toml", profiles::BUILT_IN);
    let all = all.map_err(|error| Failure::Internal(error.to_string()))?;
    profiles::find(all, name).map_err(|said| QuestionError::Usage(said).into())
}

fn limits_of(profile: &Profile, args: &RunArgs, planned: usize) -> Limits {
    let of_profile = Limits {
        memory: memory::mebibytes(profile.max_memory),
        time: Duration::from_secs(profile.timeout),
        ..Limits::default()
    };
    let searches = if planned > 1 { 2 } else { 1 };
    let limits = limits_over(of_profile, args.limits);
    let mut limits = memory::at_most_what_is_left(limits, searches);
    if planned > 1 && args.limits.threads.is_none() {
        // Two runs at a time leave nothing to a second thread.
        limits.threads = 1;
    }
    limits
}

fn text(args: &RunArgs, outcomes: &[Outcome], agreement: &Agreement, totals: &str) -> String {
    let agreement = agreement::in_suite(agreement);
    let suite = human::suite(outcomes, args.verbose);
    format!("{suite}{agreement}\n{totals}\n")
}

fn print_json(
    outcomes: &[Outcome],
    agreement: &Agreement,
    exit: Exit,
    not_run: Vec<String>,
) -> Result<(), Failure> {
    output::print_json(&json::suite(outcomes, agreement, exit, not_run))
}

/// What an interrupt kept from running.
fn not_run(outcomes: &[Outcome], names: &[String]) -> Vec<String> {
    let has_run = |name: &&String| outcomes.iter().any(|outcome| outcome.run.name == **name);
    let missing = names.iter().filter(|name| !has_run(name));
    missing.cloned().collect()
}

/// Where GitHub asks for it.
fn write_summary(args: &RunArgs, outcomes: &[Outcome], totals: &str) -> Result<(), Failure> {
    match std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) {
        Some(path) if args.message_format == MessageFormat::Github => {
            output::append(Path::new(&path), &github::summary(outcomes, totals))
        }
        _ => Ok(()),
    }
}

fn write_junit(args: &RunArgs, outcomes: &[Outcome], not_run: &[String]) -> Result<(), Failure> {
    let Some(path) = &args.junit else {
        return Ok(());
    };
    let text = junit::report(outcomes, not_run).map_err(Failure::Internal)?;
    output::write(path, &text)
}

fn exit_of(outcomes: &[Outcome], agreement: &Agreement, planned: usize) -> Exit {
    let interrupted = (outcomes.len() < planned).then_some(Exit::Interrupted);
    let apart = (!agreement.apart.is_empty()).then_some(Exit::Disagreement);
    let found = outcomes
        .iter()
        .flat_map(|outcome| outcome.differences.iter().map(Difference::exit));
    Exit::worst(found.chain(interrupted).chain(apart))
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

/// Every violated property of every run, executed again and written, and a list of them all; shuttle's as
/// schedules.
fn write_traces(args: &RunArgs, outcomes: &[Outcome]) -> Result<(), Failure> {
    let Some(directory) = &args.traces else {
        return Ok(());
    };
    let failure = |error| Failure::Output {
        what: directory.display().to_string(),
        error,
    };
    std::fs::create_dir_all(directory).map_err(failure)?;
    let mut written = Vec::new();
    for outcome in outcomes {
        let form = outcome.form.as_ref();
        let schedule = form.and_then(|form| form.schedule.as_ref());
        if let (Some(schedule), Some((property, ..))) = (schedule, outcome.verdicts.first()) {
            let stem = trace::file::stem(&outcome.run.name, *property);
            output::write(&directory.join(format!("{stem}.schedule.json")), schedule)?;
        }
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
