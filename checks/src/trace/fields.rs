//! What a reader may know of a state: locks held, and fields by name.

use super::render::agent_id;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::resource::{Mode, Resource};
use seamcheck_model::system::state::Control;
use seamcheck_model::system::{Agent, State, System};
use seamcheck_traces::schema as trace;
use std::collections::BTreeMap;

/// Every lock held in a state.
#[must_use]
pub fn locks(system: &System, state: &State) -> Vec<trace::Held> {
    let mut all = Vec::new();
    let mut add = |agent: Agent,
                   control: Control,
                   held: seamcheck_model::module::Held,
                   line: &seamcheck_model::kvm::Line| {
        for (lock, mode) in line.held.iter() {
            let by = line.anchor.function.clone();
            all.push(trace::Held {
                lock: lock.key().into(),
                mode: mode.key().into(),
                agent: agent_id(system, agent),
                by,
            });
        }
        for resource in Resource::ALL
            .iter()
            .copied()
            .filter(|resource| held.has(*resource))
        {
            let leaf = system.leaf_that_holds(control.op, resource);
            let leaf = &system.code.leaves[usize::from(leaf.0)];
            let mode = match (resource, held.is_shared(resource)) {
                (Resource::SeptEntry, _) if leaf.is_tdcall => Mode::Guest,
                (Resource::SeptEntry, _) => Mode::Host,
                (_, true) => Mode::Shared,
                (_, false) => Mode::Exclusive,
            };
            let lock = if resource.is_per_page() {
                format!("{} of page {}", resource.key(), control.page)
            } else {
                resource.key().into()
            };
            all.push(trace::Held {
                lock,
                mode: mode.key().into(),
                agent: agent_id(system, agent),
                by: leaf.key.clone(),
            });
        }
    };
    let zapper = state.shared.zapper;
    add(
        Agent::Zapper,
        zapper,
        system.held_by(zapper),
        &system.zap[usize::from(zapper.line)],
    );
    for (index, vcpu) in state.vcpus[..system.scenario.vcpus].iter().enumerate() {
        add(
            Agent::Vcpu(index as u8),
            vcpu.control,
            system.held_by_vcpu(vcpu),
            system.vcpu_line(vcpu),
        );
    }
    for (index, program) in system.threads.iter().enumerate() {
        let thread = state.shared.threads[index];
        add(
            Agent::Thread(index as u8),
            thread,
            system.held_by(thread),
            &program[usize::from(thread.line)],
        );
    }
    all
}

/// The fields of a state that a reader may know, by name.
#[must_use]
pub fn fields(system: &System, state: &State) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let shared = &state.shared;
    all.insert("wait_for_sept_zap".into(), shared.flag.to_string());
    all.insert(
        "zapper.store_buffer".into(),
        buffered(shared.flag_stores, ["false", "true"]),
    );
    if let Some(part) = system.zappers().nth(1) {
        let stores = buffered(shared.flag_stores_of(part), ["false", "true"]);
        all.insert("zapper2.store_buffer".into(), stores);
    }
    all.insert("kvm.vm_bugged".into(), shared.bugged.to_string());
    for (index, page) in shared.pages[..system.scenario.pages].iter().enumerate() {
        all.insert(format!("page{index}.entry"), page.entry.key().into());
        all.insert(format!("page{index}.TDHP"), page.host_priority.to_string());
        all.insert(format!("page{index}.BEPOCH"), page.bepoch.key().into());
        all.insert(format!("page{index}.mirror_spte"), page.mirror.key().into());
    }
    for (index, vcpu) in state.vcpus[..system.scenario.vcpus].iter().enumerate() {
        let mut put =
            |field: &str, value: String| all.insert(format!("vcpu{index}.{field}"), value);
        put("mode", vcpu.mode.key().into());
        put(
            "store_buffer",
            buffered(vcpu.stores, ["OUTSIDE_GUEST_MODE", "IN_GUEST_MODE"]),
        );
        put("kick", vcpu.kick.key().into());
        put("ipi", vcpu.ipi.key().into());
        if system.scenario.zappers > 1 {
            put("zapper2.kick", vcpu.second_kick.key().into());
            put("zapper2.ipi", vcpu.second_ipi.key().into());
        }
        put(
            "epoch",
            if system.held_by_vcpu(vcpu).counted {
                vcpu.epoch.key().into()
            } else {
                "-".into()
            },
        );
        put(
            "zero_step",
            if vcpu.zero_step == 0 {
                "-".into()
            } else {
                format!("armed on page {}", vcpu.zero_step - 1)
            },
        );
        put("exit_reason", vcpu.exit.key().into());
        if system.scenario.host_priority_timeout {
            put("hp_lock_busy", vcpu.hp_lock_busy.to_string());
        }
    }
    all
}

fn buffered(mut stores: seamcheck_model::system::state::StoreBuffer, names: [&str; 2]) -> String {
    let mut all = Vec::new();
    while let Some((value, rest)) = stores.pop() {
        all.push(names[usize::from(value)]);
        stores = rest;
    }
    if all.is_empty() {
        "empty".into()
    } else {
        all.join(", ")
    }
}

/// The fields that differ between two states.
#[must_use]
pub fn changes(system: &System, before: &State, after: &State) -> Vec<trace::Change> {
    let (from, to) = (fields(system, before), fields(system, after));
    let pairs = from.into_iter().zip(to.into_values());
    pairs
        .filter(|((_, from), to)| from != to)
        .map(|((field, from), to)| trace::Change { field, from, to })
        .collect()
}
