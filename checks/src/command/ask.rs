//! `check what-if`.

use super::{Failure, explain, limits, output};
use crate::cli::{ExploreArgs, MODULE, QuestionArgs, WhatIfArgs};
use crate::engine::exact::Until;
use crate::engine::{Limits, Violation, Watch};
use crate::exit::Exit;
use crate::packed::Packed;
use crate::question::{DROP, HOLD, Question, QuestionError, Source};
use crate::report::{human, json};
use crate::runner::Outcome;
use crate::scenario_text;
use crate::suite::{CodeSettings, ExpectedHeld, Form, Run};
use crate::trace;
use crate::verdict::{Expected, Verdict};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::data::suggest;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::System;
use seamcheck_traces::Trace;

pub(super) fn what_if(args: &WhatIfArgs, watch: &Watch) -> Result<Exit, Failure> {
    let property = explain::property(&args.question.property)?;
    let question = question(&args.question, args.vcpus, property)?;
    let run = as_run(&question, property);
    // A violation ends the search; only a complete one can say "holds".
    let until = Until::Violates(property);
    let limits = limits(args.limits);
    let packed = Packed::search(question, &[property], until, limits, watch)?;
    let unchanged = unchanged(args, property, limits, watch);
    let changed = unchanged.map_or_else(String::new, |(what, verdict)| {
        format!("{what}: {verdict}\n")
    });
    let verdict = packed.verdict(property);
    let trace = packed.trace(property, None).transpose();
    let trace = trace.map_err(Failure::Internal)?;
    let exit = exit_of(verdict);
    let outcome = Outcome {
        run,
        verdicts: vec![(property, Expected::Holds, verdict)],
        packed: Some(packed),
        form: None,
        differences: Vec::new(),
    };
    if args.json {
        output::print_json(&json::answer(&outcome, exit))?;
    } else if let Some(packed) = &outcome.packed {
        let diagram = trace.as_ref().map_or_else(String::new, |trace| {
            format!("\n{}", seamcheck_traces::race(trace))
        });
        let answer = human::answer(&outcome, packed);
        output::print(&format!("{answer}{changed}{diagram}"))?;
    }
    if let Some(path) = &args.trace {
        output::write_trace(path, trace.as_ref())?;
    }
    Ok(exit)
}

/// The trace of a violation, executed again.
pub(super) fn traced(
    question: &Question,
    system: &System,
    violation: &Violation,
) -> Result<Trace, Failure> {
    let trace = trace::build(question, system, violation, None)
        .ok_or_else(|| Failure::Internal("the violation can not be executed again".into()))?;
    trace::verify(&trace).map_err(|error| Failure::Internal(error.to_string()))?;
    Ok(trace)
}

/// The verdict with the kernel's own locks where one was added or dropped, else with no decision,
/// code path or lock table changed; `None` when nothing is, and when the question makes no sense
/// without it.
fn unchanged(
    args: &WhatIfArgs,
    property: Property,
    limits: Limits,
    watch: &Watch,
) -> Option<(&'static str, Verdict)> {
    let is_decision = |change: &&String| {
        let name = change.split_once('=').map(|(name, _)| name);
        name.is_some_and(|name| Decisions::NAMES.contains(&name))
    };
    let given = &args.question;
    let settings = given.set.iter().filter(|change| !is_decision(change));
    let (what, plain) = if !given.hold.is_empty() || !given.drop.is_empty() {
        let own = QuestionArgs {
            hold: Vec::new(),
            drop: Vec::new(),
            ..given.clone()
        };
        ("with the kernel's own locks", own)
    } else {
        let plain = QuestionArgs {
            module: MODULE.to_owned(),
            set: settings.cloned().collect(),
            with: Vec::new(),
            ..given.clone()
        };
        let is_same = plain.set.len() == given.set.len()
            && plain.module == given.module
            && given.with.is_empty();
        if is_same {
            return None;
        }
        ("without these changes", plain)
    };
    // A second opinion, not worth a long wait.
    let limits = Limits {
        states: limits.states.min(1_000_000),
        ..limits
    };
    let question = question(&plain, args.vcpus, property).ok()?;
    let until = Until::Violates(property);
    let packed = Packed::search(question, &[property], until, limits, watch).ok()?;
    Some((what, packed.verdict(property)))
}

const fn exit_of(verdict: Verdict) -> Exit {
    match verdict {
        Verdict::Holds => Exit::AsExpected,
        Verdict::Violated(_) => Exit::Violated,
        Verdict::Vacuous => Exit::Vacuous,
        Verdict::Unknown(cut) => super::cut_short(cut),
    }
}

pub(super) fn question(
    args: &QuestionArgs,
    vcpus: usize,
    property: Property,
) -> Result<Question, QuestionError> {
    let mut scenario = Scenario {
        vcpus,
        pages: args.pages,
        threads: args.with.clone(),
        ..Scenario::default()
    };
    // I8 is about the cached exit reason, which only this question carries.
    scenario.exit_reason = property == Property::InterruptOnce;
    // So it is with the module's timer.
    scenario.host_priority_timeout =
        matches!(property, Property::NoInternalError | Property::MarkGoesAway);
    scenario_text::set(&mut scenario, "memory", &args.memory)?;
    let locks = |how: &str, given: &[String]| -> Vec<(String, String)> {
        let given = given.iter();
        given
            .map(|text| (format!("{how} {text}"), String::new()))
            .collect()
    };
    let mut decisions = [locks(HOLD, &args.hold), locks(DROP, &args.drop)].concat();
    decisions.extend(changes(&args.set, &mut scenario)?);
    Question::new(
        Source::module(&args.module)?,
        Source::kernel(&args.kernel)?,
        decisions,
        scenario,
    )
}

/// What the actors are asked, to be walked through: one page, a finalized TD, no ioctl threads.
pub(super) fn actors_question(args: &ExploreArgs) -> Result<Question, QuestionError> {
    let mut scenario = Scenario {
        vcpus: args.vcpus,
        ..Scenario::default()
    };
    scenario_text::set(&mut scenario, "memory", &args.memory)?;
    let decisions = changes(&args.set, &mut scenario)?;
    Question::new(
        Source::module(&args.module)?,
        Source::kernel(&args.kernel)?,
        decisions,
        scenario,
    )
}

/// Decisions are returned, settings go to the scenario.
fn changes(
    given: &[String],
    scenario: &mut Scenario,
) -> Result<Vec<(String, String)>, QuestionError> {
    let (mut decisions, mut named) = (Vec::new(), Vec::new());
    for change in given {
        let (name, value) = change
            .split_once('=')
            .ok_or_else(|| QuestionError::Usage(format!("`--set {change}`: write NAME=VALUE")))?;
        if named.contains(&name) {
            return Err(QuestionError::Usage(format!(
                "`--set {change}`: {name} is set twice"
            )));
        }
        named.push(name);
        if Decisions::NAMES.contains(&name) {
            decisions.push((name.to_owned(), value.to_owned()));
        } else if scenario_text::NAMES.contains(&name) {
            scenario_text::set(scenario, name, value)?;
        } else {
            let known: Vec<&str> = [Decisions::NAMES, &scenario_text::NAMES].concat();
            return Err(QuestionError::Usage(format!(
                "no decision and no setting is called `{name}`{}; `check list --decisions` and `check \
                 what-if --help` name them",
                suggest::did_you_mean(name, &known)
            )));
        }
    }
    Ok(decisions)
}

pub(super) fn as_run(question: &Question, property: Property) -> Run {
    Run {
        name: format!("what-if/{}", question.scenario.memory.key()),
        check: "what-if".into(),
        group: "question".into(),
        about: property.about().into(),
        form: Form::Packed,
        module: question.module.name.clone(),
        kernel: question.kernel.name.clone(),
        set: question.set.clone(),
        scenario: question.scenario.clone(),
        code: CodeSettings::default(),
        states: None,
        held: ExpectedHeld::default(),
        views: None,
        expect: Vec::new(),
        stateright: false,
    }
}
