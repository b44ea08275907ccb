//! `check code`.

use super::{Failure, cut_short, explain, output};
use crate::cli::CodeArgs;
use crate::exit::Exit;
use crate::forms::code::request::version;
use crate::forms::code::{
    CodeAnswer, CodeRequest, Engine, SavedSchedule, child, engine, fewest, schedule,
};
use crate::question::{Question, QuestionError, Source};
use crate::report::grouped;
use crate::verdict::Verdict;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::data::suggest;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::scenario::Scenario;
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;

/// The format of `--json`.
const FORMAT: &str = "seamcheck.code.v1";

pub(super) fn code(args: &CodeArgs) -> Result<Exit, Failure> {
    let (request, answer) = match &args.replay {
        Some(path) => replay(path)?,
        None => {
            let request = request(args)?;
            let answer = fewest::answer(&request)?;
            (request, answer)
        }
    };
    let verdict = answer.verdict(&request);
    let exit = exit_of(&answer, verdict);
    if args.json {
        let report = Report {
            format: FORMAT,
            exit: exit as u8,
            verdict: word(verdict),
            bounds: request.bounds_text(),
            request: &request,
            answer: &answer,
        };
        output::print_json(&report)?;
    } else {
        output::print(&text(&request, &answer, verdict))?;
    }
    if let Some(path) = &args.save {
        save(path, &request, &answer)?;
    }
    Ok(exit)
}

/// The hidden command: a request on standard input, its answer on standard output.
pub(super) fn child() -> Result<Exit, Failure> {
    output::print(&child::serve())?;
    Ok(Exit::AsExpected)
}

#[derive(Serialize)]
struct Report<'a> {
    format: &'static str,
    exit: u8,
    verdict: &'static str,
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
    Exit::worst(std::iter::once(of_verdict).chain(diverged))
}

fn request(args: &CodeArgs) -> Result<CodeRequest, Failure> {
    let usage = |text: String| Failure::from(QuestionError::Usage(text));
    let mut set = Vec::new();
    for change in &args.set {
        let (name, value) = change
            .split_once('=')
            .ok_or_else(|| usage(format!("`--set {change}`: write NAME=VALUE")))?;
        if !Decisions::NAMES.contains(&name) {
            return Err(usage(format!(
                "no decision is called `{name}`{}; `check list --decisions` names them",
                suggest::did_you_mean(name, Decisions::NAMES)
            )));
        }
        set.push((name.to_owned(), value.to_owned()));
    }
    let (module, kernel) = (Source::module("1.5.05")?, Source::kernel(&args.kernel)?);
    let decisions = Question::new(module, kernel, set, Scenario::default())?.decisions;
    let base = CodeRequest::new(args.engine, &args.kernel, &decisions);
    let window = args.window.as_deref().map(|name| choice("window", name));
    let window = window.transpose()?.unwrap_or(base.window);
    let vcpus = args.vcpus.map_or(base.vcpus, usize::from);
    let request = CodeRequest {
        memory: choice("memory", &args.memory)?,
        module: version(&args.module).map_err(usage)?,
        property: explain::property(&args.property)?,
        window,
        vcpus,
        laps: args.laps.map_or(base.laps, usize::from),
        zero_step_armed: args.zero_step_armed,
        migrate: args.migrate,
        late: args.late,
        preemptions: args.preemptions.map(usize::from),
        fewest: args.fewest,
        executions: args.executions as usize,
        schedules: args.schedules as usize,
        pct: args.pct.map(usize::from),
        seed: args.seed,
        ..base
    };
    let conformance =
        args.engine == Engine::Shuttle && !args.no_conformance && request.can_conform();
    Ok(CodeRequest {
        conformance,
        ..request
    })
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

fn replay(path: &Path) -> Result<(CodeRequest, CodeAnswer), Failure> {
    let failure = |error: String| Failure::Schedule {
        path: path.to_owned(),
        error,
    };
    let text = std::fs::read_to_string(path).map_err(|error| failure(error.to_string()))?;
    let saved = SavedSchedule::parse(&text).map_err(|error| failure(error.to_string()))?;
    let steps = saved.steps().map_err(|error| failure(error.to_string()))?;
    let answer = engine::replay(&saved.request, steps)?;
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
    let Some(steps) = &answer.steps else {
        return Ok(());
    };
    let saved = SavedSchedule {
        format: schedule::FORMAT.to_owned(),
        request: request.clone(),
        steps: steps.clone(),
    };
    let text = serde_json::to_string_pretty(&saved)
        .map_err(|error| Failure::Internal(error.to_string()))?;
    output::write(path, &(text + "\n"))
}

fn fewest_text(answer: &CodeAnswer) -> String {
    let without = answer.without.iter().enumerate();
    let without: Vec<String> = without
        .map(|(bound, executions)| format!("none of {} with {bound}", grouped(*executions)))
        .collect();
    let found = match answer.preemptions {
        Some(1) => "1 preemption violates".to_owned(),
        Some(bound) => format!("{bound} preemptions violate"),
        None => "no number of preemptions violates".to_owned(),
    };
    if without.is_empty() {
        return found;
    }
    format!("{found}; {}", without.join(", "))
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Holds => "holds",
        Verdict::Violated(_) => "violated",
        Verdict::Vacuous => "vacuous",
        Verdict::Unknown(_) => "unknown",
    }
}

fn text(request: &CodeRequest, answer: &CodeAnswer, verdict: Verdict) -> String {
    let mut out = String::new();
    let engine = match request.engine {
        Engine::Loom => format!("loom, {} memory", request.memory.key()),
        Engine::Shuttle => "shuttle".to_owned(),
        Engine::Std => "std".to_owned(),
    };
    let _ = writeln!(out, "{} {}", word(verdict), request.property.key());
    let mut line = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<12} {value}");
    };
    line("engine", &engine);
    line("bounds", &request.bounds_text());
    let (kernel, module) = (&request.kernel, request.module.key());
    line("protocol", &format!("kernel {kernel}, module {module}"));
    line(
        "ran",
        &format!(
            "{} {}, {} with a second call, {} with a vCPU turned back",
            grouped(answer.executions),
            match answer.executions {
                1 => request.engine.unit().trim_end_matches('s'),
                _ => request.engine.unit(),
            },
            grouped(answer.second_calls),
            grouped(answer.turned_back)
        ),
    );
    if request.fewest {
        line("fewest", &fewest_text(answer));
    }
    if request.conformance {
        let held = match answer.conforming {
            1 => "1 schedule is inside the model".to_owned(),
            many => format!("{} schedules are inside the model", grouped(many)),
        };
        line("conformance", &held);
    }
    if let Some(divergence) = &answer.divergence {
        line("diverges", divergence);
    }
    if let Some(gave_up) = &answer.gave_up {
        line("gave up", gave_up);
    }
    if let Verdict::Unknown(cut) = verdict {
        line("because", cut.text());
    }
    let asked = request.property.key();
    let others: Vec<&str> = answer
        .seen_violated
        .iter()
        .map(String::as_str)
        .filter(|name| *name != asked)
        .collect();
    if !others.is_empty() {
        line("also violated", &others.join(", "));
    }
    if !answer.events.is_empty() {
        let _ = writeln!(out, "\n  the execution:");
        for event in &answer.events {
            let _ = writeln!(out, "    {event}");
        }
    }
    out
}
