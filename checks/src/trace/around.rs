//! What surrounds a step: what it asked, what else could have run, and who could not.

use super::guards::{asked_of_others, asked_of_vcpus};
use super::render::agent_id;
use super::replay::Single;
use seamcheck_model::system::labels::Part;
use seamcheck_model::system::others::Asked;
use seamcheck_model::system::{Agent, System};
use seamcheck_traces::schema as trace;
use std::cell::RefCell;

/// What surrounds one step.
#[derive(Default)]
pub(super) struct Around {
    pub(super) guards: Vec<trace::Guard>,
    pub(super) enabled: Vec<trace::Alternative>,
    pub(super) blocked: Vec<trace::Blocked>,
}

/// Looks around before a step is taken.
pub(super) fn around(single: &System, step: &Single) -> Around {
    let log = RefCell::new(Vec::new());
    let mut asked: Option<Vec<Asked>> = None;
    let mut enabled: Vec<trace::Alternative> = Vec::new();
    let mut movers = vec![step.event.agent];
    single.successors_asking(&step.before, &log, |event, _| {
        movers.push(event.agent);
        if event == step.event {
            asked.get_or_insert_with(|| since_its_agent(&log.borrow()));
            return;
        }
        let alternative = trace::Alternative {
            agent: agent_id(single, event.agent),
            name: single.text(event.trail[0]).name,
        };
        if !enabled.contains(&alternative) {
            enabled.push(alternative);
        }
    });
    let is_environment = single.labels.parts(step.event.trail[0]).0 == Part::Environment;
    let mut guards = asked_of_vcpus(&asked.unwrap_or_default());
    if !is_environment {
        guards.extend(asked_of_others(single, &step.before, step.event.agent));
    }
    Around {
        guards,
        enabled,
        blocked: blocked(single, step, &movers, &log.into_inner()),
    }
}

/// What the agent whose turn it is has asked so far.
fn since_its_agent(log: &[Asked]) -> Vec<Asked> {
    let start = log.iter().rposition(|entry| *entry == Asked::Agent);
    log[start.map_or(0, |index| index + 1)..].to_vec()
}

fn blocked(single: &System, step: &Single, movers: &[Agent], log: &[Asked]) -> Vec<trace::Blocked> {
    // In the order in which the model asks them.
    let vcpus = (0..single.scenario.vcpus as u8).map(Agent::Vcpu);
    let threads = (0..single.threads.len() as u8).map(Agent::Thread);
    let agents = vcpus.chain([Agent::Zapper]).chain(threads);
    let turns = log.split(|entry| *entry == Asked::Agent).skip(1);
    let mut blocked: Vec<(Agent, trace::Blocked)> = agents
        .zip(turns)
        .filter(|(agent, _)| !movers.contains(agent))
        .map(|(agent, asked)| {
            let (name, because) = single.waits_for(&step.before, agent);
            let mut guards = asked_of_vcpus(asked);
            guards.extend(asked_of_others(single, &step.before, agent));
            let blocked = trace::Blocked {
                agent: agent_id(single, agent),
                name,
                because: because.into(),
                guards,
            };
            (agent, blocked)
        })
        .collect();
    blocked.sort_by_key(|(agent, _)| matches!(agent, Agent::Vcpu(_) | Agent::Thread(_)));
    blocked.into_iter().map(|(_, blocked)| blocked).collect()
}
