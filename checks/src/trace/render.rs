//! States and steps in words.

use super::fields::{changes, locks};
use super::replay::{self, Single};
use crate::engine::Violation;
use crate::question::Question;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Memory;
use seamcheck_model::status::StatusWord;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::others::Asked;
use seamcheck_model::system::state::Control;
use seamcheck_model::system::{Agent, State, StepText, System};
use seamcheck_traces::schema as trace;
use std::cell::RefCell;

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
    all.extend(
        system
            .scenario
            .threads
            .iter()
            .enumerate()
            .map(|(index, name)| {
                agent(
                    format!("ioctl{index}"),
                    name.clone(),
                    trace::AgentKind::Ioctl,
                )
            }),
    );
    all
}

/// An agent's identifier in traces.
#[must_use]
pub fn agent_id(agent: Agent) -> String {
    match agent {
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
    let (enabled, blocked) = alternatives(single, step);
    trace::Step {
        agent: agent_id(step.event.agent),
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
        guards: guards(single, step),
        enabled,
        blocked,
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

fn control(state: &State, agent: Agent) -> Control {
    match agent {
        Agent::Zapper => state.shared.zapper,
        Agent::Vcpu(index) => state.vcpus[usize::from(index)].control,
        Agent::Thread(index) => state.shared.threads[usize::from(index)],
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

/// What the step asked about other vCPUs.
fn guards(single: &System, step: &Single) -> Vec<trace::Guard> {
    let log = RefCell::new(Vec::new());
    let mut asked = Vec::new();
    single.successors_asking(&step.before, &log, |event, _| {
        if asked.is_empty() && event == step.event {
            asked = log
                .borrow()
                .iter()
                .rev()
                .take_while(|entry| **entry != Asked::Agent)
                .copied()
                .collect();
        }
    });
    let mut guards: Vec<trace::Guard> = asked
        .into_iter()
        .rev()
        .filter_map(|entry| match entry {
            Asked::Question(predicate, value) => Some(trace::Guard {
                text: predicate.text(),
                value,
            }),
            Asked::Agent => None,
        })
        .collect();
    guards.dedup();
    guards
}

/// What else could run, and who could not.
fn alternatives(single: &System, step: &Single) -> (Vec<trace::Alternative>, Vec<trace::Blocked>) {
    let mut enabled: Vec<trace::Alternative> = Vec::new();
    let mut movers = vec![step.event.agent];
    single.successors(&step.before, |event, _| {
        movers.push(event.agent);
        let text = single.text(event.trail[0]);
        let alternative = trace::Alternative {
            agent: agent_id(event.agent),
            name: text.name,
        };
        if event != step.event && !enabled.contains(&alternative) {
            enabled.push(alternative);
        }
    });
    let agents = std::iter::once(Agent::Zapper)
        .chain((0..single.scenario.vcpus as u8).map(Agent::Vcpu))
        .chain((0..single.threads.len() as u8).map(Agent::Thread));
    let blocked = agents
        .filter(|agent| !movers.contains(agent))
        .map(|agent| {
            let (name, because) = single.waits_for(&step.before, agent);
            trace::Blocked {
                agent: agent_id(agent),
                name,
                because: because.into(),
            }
        })
        .collect();
    (enabled, blocked)
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
    let wanted_by = agent_id(last.event.agent);
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
