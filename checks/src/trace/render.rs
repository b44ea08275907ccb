//! States and steps in words.

use super::around::around;
use super::fields::{changes, fields, locks};
use super::guards::control;
use super::replay::{self, Single};
use crate::engine::Violation;
use crate::question::Question;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;
use seamcheck_model::status::StatusWord;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::{Agent, StepText, System};
use seamcheck_traces::schema as trace;

/// The trace of a violation; `None` when it can not be executed again.
#[must_use]
pub fn build(
    question: &Question,
    system: &System,
    violation: &Violation,
    check: Option<&str>,
) -> Option<trace::Trace> {
    let singles = replay::singles(system, violation)?;
    let single = replay::single_stepping(system);
    let steps: Vec<trace::Step> = singles.iter().map(|step| render(&single, step)).collect();
    let property = violation.property;
    Some(trace::Trace {
        format: trace::FORMAT.into(),
        tool: crate::TOOL.into(),
        check: check.map(str::to_owned),
        question: question_of(question, property),
        agents: agents(system),
        initial: fields(system, &system.initial()),
        verdict: verdict(&single, property, &singles),
        steps,
        loop_starts_at: None,
    })
}

/// The question as it is written into a trace.
#[must_use]
pub fn question_of(question: &Question, property: Property) -> trace::Question {
    let source = |source: &crate::question::Source| trace::Source {
        name: source.name.clone(),
        toml: (!source.is_builtin).then(|| source.text.clone()),
    };
    let decisions = Decisions::NAMES.iter().map(|name| {
        (
            (*name).to_owned(),
            question.decisions.get(name).unwrap_or_default().to_owned(),
        )
    });
    trace::Question {
        module: source(&question.module),
        kernel: source(&question.kernel),
        set: question.set.iter().cloned().collect(),
        decisions: decisions.collect(),
        scenario: crate::scenario_text::to_map(&question.scenario),
        memory: question.scenario.memory.key().into(),
        property: property.key().into(),
        property_text: property.about().into(),
    }
}

/// The participants, in column order.
#[must_use]
pub fn agents(system: &System) -> Vec<trace::Agent> {
    let agent = |id: String, name: String, kind| trace::Agent { id, name, kind };
    let mut all = vec![agent(
        "zapper".into(),
        "zapper".into(),
        trace::AgentKind::Zapper,
    )];
    all.extend((0..system.scenario.vcpus).map(|index| {
        agent(
            format!("vcpu{index}"),
            format!("vCPU {index}"),
            trace::AgentKind::Vcpu,
        )
    }));
    for index in 0..system.threads.len() {
        let id = agent_id(system, Agent::Thread(index as u8));
        all.push(match system.scenario.threads.get(index) {
            Some(name) => agent(id, distinct(system, index, name), trace::AgentKind::Ioctl),
            None => agent(id, "zapper 2".into(), trace::AgentKind::Zapper),
        });
    }
    all
}

/// The name of a thread; two that run the same path are numbered.
fn distinct(system: &System, index: usize, name: &str) -> String {
    let threads = &system.scenario.threads;
    if threads.iter().filter(|other| *other == name).count() == 1 {
        return name.to_owned();
    }
    let before = threads[..index].iter();
    let number = 1 + before.filter(|other| *other == name).count();
    format!("{name} ({number})")
}

/// An agent's identifier in traces.
#[must_use]
pub fn agent_id(system: &System, agent: Agent) -> String {
    match agent {
        Agent::Thread(index) if system.is_zapper(Part::thread(index.into())) => "zapper2".into(),
        Agent::Zapper => "zapper".into(),
        Agent::Vcpu(index) => format!("vcpu{index}"),
        Agent::Thread(index) => format!("ioctl{index}"),
    }
}

/// One step in words.
#[must_use]
pub fn render(single: &System, step: &Single) -> trace::Step {
    let first = step.event.trail[0];
    let text = single.text(first);
    let status = status_of(single, step);
    let around = around(single, step);
    trace::Step {
        agent: agent_id(single, step.event.agent),
        name: name(&text, step.event.target),
        anchor: trace::Anchor {
            function: text.anchor.function,
            file: text.anchor.file,
        },
        fused: step.fused,
        detail: single.is_detail(first),
        seamcall: call_edge(step),
        status: status.map(|word| word.to_string()),
        status_name: status.map(StatusWord::pretty),
        changed: changes(single, &step.before, &step.after),
        locks: locks(single, &step.after),
        guards: around.guards,
        enabled: around.enabled,
        blocked: around.blocked,
    }
}

/// What and, where it is not obvious, how it came out: `busy? yes`.
fn name(text: &StepText, target: Option<u8>) -> String {
    let about = target.map_or(String::new(), |index| format!(" vcpu{index}:"));
    if text.outcome.is_empty() {
        return format!("{}{about}", text.name);
    }
    let colon = if text.name.ends_with('?') || target.is_some() {
        ""
    } else {
        ":"
    };
    format!("{}{about}{colon} {}", text.name, text.outcome)
}

/// Where a thread of KVM's enters the module and leaves it again.
fn call_edge(step: &Single) -> Option<trace::CallEdge> {
    let (before, after) = (
        control(&step.before, step.event.agent).op,
        control(&step.after, step.event.agent).op,
    );
    match (before, after) {
        (0, 1..) => Some(trace::CallEdge::Called),
        (1.., 0) => Some(trace::CallEdge::Returned),
        _ => None,
    }
}

/// The status a step is about: what a call returns, or what a failing step has just set.
fn status_of(single: &System, step: &Single) -> Option<StatusWord> {
    let (before, after) = (
        control(&step.before, step.event.agent),
        control(&step.after, step.event.agent),
    );
    let is_environment = single.labels.parts(step.event.trail[0]).0 == Part::Environment;
    if is_environment || before.op == 0 {
        return None;
    }
    let failed = after.status != 0 && after.status != before.status;
    let returns = step.event.trail.len() > 1;
    (failed || returns).then(|| {
        single.code.statuses[usize::from(if failed { after.status } else { before.status })]
    })
}

/// The last failed try of the agent whose step decided the verdict, and who held the lock.
fn conflict(single: &System, singles: &[Single]) -> Option<trace::Conflict> {
    let last = singles.last()?;
    let (try_step, (leaf, resource, mode)) = singles.iter().rev().find_map(|step| {
        let tried = single.observations.busy[usize::from(step.event.trail[0].0)]?;
        (step.event.agent == last.event.agent).then_some((step, tried))
    })?;
    let page = control(&try_step.before, last.event.agent).page;
    let name = if resource.is_per_page() {
        format!("{} of page {page}", resource.key())
    } else {
        resource.key().into()
    };
    let wanted_by = agent_id(single, last.event.agent);
    let held = locks(single, &try_step.before)
        .into_iter()
        .filter(|held| held.lock == name && held.agent != wanted_by)
        .collect();
    Some(trace::Conflict {
        lock: name,
        wanted_by,
        wanted_for: single.code.leaves[usize::from(leaf.0)].key.clone(),
        wanted_mode: mode.key().into(),
        held,
    })
}

/// The verdict of single steps that end in a violation of `property`.
#[must_use]
pub fn verdict(single: &System, property: Property, singles: &[Single]) -> trace::Verdict {
    let conflict = if property.is_about_status() {
        conflict(single, singles)
    } else {
        None
    };
    let returned = singles.iter().rev().find_map(|step| {
        let status = status_of(single, step)?;
        let leaf = &single.code.leaves[usize::from(
            single.code.ops[usize::from(control(&step.before, step.event.agent).op)]
                .leaf
                .0,
        )]
        .key;
        (step.event.agent == singles.last()?.event.agent)
            .then(|| format!("{leaf} returned {status} ({})", status.pretty()))
    });
    let reason = match property {
        Property::NoSecondBusy => format!(
            "{}, and KVM has nothing left to try.",
            returned.unwrap_or_default()
        ),
        Property::NoBugOn => match returned {
            Some(returned) => format!("KVM_BUG_ON fires: {returned}."),
            None => "KVM_BUG_ON fires.".into(),
        },
        _ => format!("The last step breaks it: {}.", property.about()),
    };
    trace::Verdict {
        result: "violated".into(),
        reason,
        conflict,
    }
}

/// `x86-TSO` or `sequential consistency`.
#[must_use]
pub const fn memory_name(memory: Memory) -> &'static str {
    match memory {
        Memory::Sc => "sequential consistency",
        Memory::Tso => "x86-TSO",
    }
}
