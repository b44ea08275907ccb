//! `check code`.

mod text;

use super::{Failure, cut_short, explain, output};
use crate::cli::CodeArgs;
use crate::engine::{Limits, Watch};
use crate::exit::Exit;
use crate::forms::code::guest::guest_of;
use crate::forms::code::version::version;
use crate::forms::code::{
    BesideText, CodeAnswer, CodeRequest, Engine, Patience, SavedSchedule, child, engine, fewest,
};
use crate::question::{DROP, HOLD, Question, QuestionError, Source};
use crate::report::of_form;
use crate::scenario_text;
use crate::suite::Form;
use crate::verdict::Verdict;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::data::suggest;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::threads::{self, Window};
use serde::Serialize;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use text::text;

/// The format of `--json`.
const FORMAT: &str = "seamcheck.code.v1";

pub(super) fn code(args: &CodeArgs, watch: &Watch) -> Result<Exit, Failure> {
    let limits = Limits {
        time: Duration::from_secs(args.timeout),
        ..Limits::default()
    };
    let patience = Patience::new(limits, watch);
    let (request, answer) = match &args.replay {
        Some(path) => replay(path, patience)?,
        None => {
            let request = request(args)?;
            let answer = fewest::answer(&request, patience)?;
            (request, answer)
        }
    };
    let verdict = answer.verdict(&request);
    let exit = exit_of(&answer, verdict);
    let rests_on = rests_on(&request)?;
    if args.json {
        let report = Report {
            format: FORMAT,
            exit: exit as u8,
            verdict: verdict.word(),
            rests_on,
            bounds: request.bounds_text(),
            request: &request,
            answer: &answer,
        };
        output::print_json(&report)?;
    } else {
        output::print(&text(&request, &answer, verdict, &rests_on))?;
    }
    if let Some(path) = &args.save {
        save(path, &request, &answer)?;
    }
    Ok(exit)
}

/// The hidden command: a request on standard input, its answer on standard output.
pub(super) fn child(watch: &Arc<Watch>) -> Result<Exit, Failure> {
    output::print(&child::serve(watch))?;
    Ok(Exit::AsExpected)
}

#[derive(Serialize)]
struct Report<'a> {
    format: &'static str,
    exit: u8,
    verdict: &'static str,
    rests_on: Vec<u64>,
    bounds: String,
    request: &'a CodeRequest,
    answer: &'a CodeAnswer,
}

fn exit_of(answer: &CodeAnswer, verdict: Verdict) -> Exit {
    let of_verdict = match verdict {
        Verdict::Holds => Exit::AsExpected,
        Verdict::Violated(_) => Exit::Violated,
        Verdict::Vacuous => Exit::Vacuous,
        Verdict::Unknown(cut) => cut_short(cut),
    };
    let diverged = answer.divergence.as_ref().map(|_| Exit::Disagreement);
    let undecided = answer.held.as_ref().filter(|held| held.undecided > 0);
    let undecided = undecided.map(|_| Exit::Unknown);
    Exit::worst(std::iter::once(of_verdict).chain(diverged).chain(undecided))
}

/// Flags that the engine asked for has no use for.
fn of_another_engine(args: &CodeArgs) -> Result<(), Failure> {
    let (loom, shuttle) = (args.engine == Engine::Loom, args.engine == Engine::Shuttle);
    for (flag, given, engine) in [
        ("preemptions", args.preemptions.is_some() && !loom, "loom"),
        ("fewest", args.fewest && !loom, "loom"),
        ("pct", args.pct.is_some() && !shuttle, "shuttle"),
        ("save", args.save.is_some() && !shuttle, "shuttle"),
    ] {
        if given {
            let text = format!("`--{flag}` is {engine}'s: ask for --engine {engine}");
            return Err(QuestionError::Usage(text).into());
        }
    }
    Ok(())
}

fn request(args: &CodeArgs) -> Result<CodeRequest, Failure> {
    let usage = |text: String| Failure::from(QuestionError::Usage(text));
    of_another_engine(args)?;
    let (of_the_td, set) = split_set(&args.set);
    let (set, against) = (changes("set", &set)?, changes("against", &args.against)?);
    let beside = beside(args, &of_the_td)?;
    let is_beside = !beside.with.is_empty();
    let (module, kernel) = (Source::module("1.5.05")?, Source::kernel(&args.kernel)?);
    let locks = lock_changes(args)?;
    let set = set.into_iter().chain(locks).collect();
    let question = Question::new(module, kernel, set, Scenario::default())?;
    let (decisions, profile) = (&question.decisions, &question.profile);
    let base = CodeRequest::new(args.engine, &args.kernel, decisions, profile);
    let window = args.window.as_deref().map(|name| choice("window", name));
    let usual = if is_beside {
        Window::Whole
    } else {
        base.window
    };
    let window = window.transpose()?.unwrap_or(usual);
    let guest = args.guest.as_deref().map(|name| choice("guest", name));
    let usual = if is_beside { 0 } else { base.vcpus };
    let vcpus = args.vcpus.map_or(usual, usize::from);
    let request = CodeRequest {
        memory: choice("memory", &args.memory)?,
        module: version(&args.module).map_err(usage)?,
        property: explain::property(&args.property)?,
        window,
        zappers: usize::from(args.zappers),
        vcpus,
        laps: args.laps.map_or(base.laps, usize::from),
        guest: guest
            .transpose()?
            .unwrap_or(guest_of(window, usize::from(args.zappers))),
        guest_once: args.guest_once,
        in_guest: args.in_guest,
        zero_step_armed: args.zero_step_armed,
        marked: args.marked,
        barriers_in_locks: args.barriers_in_locks,
        migrate: args.migrate,
        late: args.late,
        beside,
        foreign_kick: args.foreign_kick,
        preemptions: args.preemptions.map(usize::from),
        fewest: args.fewest,
        executions: args.executions as usize,
        schedules: args.schedules as usize,
        pct: args.pct.map(usize::from),
        seed: args.seed,
        against: against.into_iter().collect(),
        ..base
    };
    let conformance = !args.no_conformance && request.why_not_held().is_none();
    Ok(CodeRequest {
        conformance,
        ..request
    })
}

/// What `--drop` and `--hold` change, in this order: a writer may become a reader.
fn lock_changes(args: &CodeArgs) -> Result<Vec<(String, String)>, Failure> {
    let mut changes = Vec::new();
    if !args.with.is_empty() {
        // Those of a run beside ioctls go with them.
        return Ok(changes);
    }
    for (flag, given) in [(DROP, &args.drop), (HOLD, &args.hold)] {
        for change in given {
            if !change.ends_with("@zap") {
                return Err(Failure::from(QuestionError::Usage(format!(
                    "`--{flag} {change}`: without an ioctl (--with) the code has the KVM locks of a page \
                     removal, as in mmu_lock:read@zap"
                ))));
            }
            changes.push((format!("{flag} {change}"), String::new()));
        }
    }
    Ok(changes)
}

/// Settings of the TD apart from decisions.
fn split_set(given: &[String]) -> (Vec<&String>, Vec<String>) {
    let of_the_td = |change: &&String| {
        let name = change.split_once('=').map(|(name, _)| name);
        matches!(name, Some("finalized" | "populated"))
    };
    let decisions = given.iter().filter(|change| !of_the_td(change));
    (
        given.iter().filter(of_the_td).collect(),
        decisions.cloned().collect(),
    )
}

/// Who is beside the zapper, and the TD they find.
fn beside(args: &CodeArgs, of_the_td: &[&String]) -> Result<BesideText, QuestionError> {
    let mut td = Scenario::default();
    for change in of_the_td {
        let (name, value) = change.split_once('=').unwrap_or((change, ""));
        scenario_text::set(&mut td, name, value)?;
    }
    let (hold, drop) = match args.with.is_empty() {
        true => (Vec::new(), Vec::new()),
        false => (args.hold.clone(), args.drop.clone()),
    };
    Ok(BesideText {
        with: args.with.clone(),
        hold,
        drop,
        finalized: td.finalized,
        populated: td.populated,
    })
}

/// `NAME=VALUE`s of a flag, names checked.
fn changes(flag: &str, given: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let usage = |text: String| Failure::from(QuestionError::Usage(text));
    let mut set = Vec::new();
    for change in given {
        let (name, value) = change
            .split_once('=')
            .ok_or_else(|| usage(format!("`--{flag} {change}`: write NAME=VALUE")))?;
        if !Decisions::NAMES.contains(&name) {
            return Err(usage(format!(
                "no decision is called `{name}`{}; `check list --decisions` names them",
                suggest::did_you_mean(name, Decisions::NAMES)
            )));
        }
        set.push((name.to_owned(), value.to_owned()));
    }
    Ok(set)
}

fn choice<T: ClosedEnum>(what: &str, name: &str) -> Result<T, Failure> {
    T::from_key(name).ok_or_else(|| {
        let known: Vec<&str> = T::ALL.iter().map(|value| value.key()).collect();
        let known_text = known.join(", ");
        let hint = suggest::did_you_mean(name, &known);
        QuestionError::Usage(format!(
            "unknown {what} `{name}`: it is one of {known_text}{hint}"
        ))
        .into()
    })
}

fn replay(path: &Path, patience: Patience<'_>) -> Result<(CodeRequest, CodeAnswer), Failure> {
    let failure = |error: String| Failure::Schedule {
        path: path.to_owned(),
        error,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failure(error.to_string()))?;
    let saved = SavedSchedule::parse(&text).map_err(|error| failure(error.to_string()))?;
    if saved.request.engine != Engine::Shuttle {
        return Err(failure("it is no schedule of shuttle's".to_owned()));
    }
    let steps = saved.steps().map_err(|error| failure(error.to_string()))?;
    let answer = engine::replay(&saved.request, steps, patience)?;
    if answer.failed.is_some() || answer.executions == 0 {
        let why = answer
            .failed
            .map_or_else(String::new, |why| format!(" ({why})"));
        return Err(failure(format!(
            "the code does not follow this schedule{why}: it was changed, or is of another version"
        )));
    }
    Ok((saved.request, answer))
}

fn save(path: &Path, request: &CodeRequest, answer: &CodeAnswer) -> Result<(), Failure> {
    let text = SavedSchedule::text(request, answer);
    match text.map_err(|error| Failure::Internal(error.to_string()))? {
        Some(text) => output::write(path, &text),
        None => {
            let not_written = format!(
                "{}: not written, no schedule violates or parts from the model",
                path.display()
            );
            output::note(&not_written);
            Ok(())
        }
    }
}

/// The ledger's numbers, of the profile that was named where it is still there.
fn rests_on(request: &CodeRequest) -> Result<Vec<u64>, Failure> {
    let scenario = Scenario {
        vcpus: request.vcpus,
        zappers: request.zappers,
        pages: request.zappers,
        inodes: request.zappers,
        ..Scenario::default()
    };
    let mut question = request.question(scenario)?;
    if request.beside.is_nobody()
        && let Ok(mut profile) = Source::kernel(&request.kernel).and_then(|kernel| kernel.profile())
    {
        if profile.zap.locks != question.profile.zap.locks {
            profile.zap = question.profile.zap;
        }
        question.profile = profile;
    }
    let (form, memory) = match (request.engine, request.memory) {
        (Engine::Loom, threads::Memory::Weak) => (Form::Loom, None),
        (Engine::Loom, _) => (Form::Loom, Some(Memory::Sc)),
        (Engine::Shuttle, _) => (Form::Shuttle, Some(Memory::Sc)),
        (Engine::Std, _) => (Form::Shuttle, None),
    };
    Ok(of_form(question, form, memory))
}
