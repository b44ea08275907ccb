//! What two searches of one scenario must have in common, whichever reductions are in force.

use super::{Ask, Outcome, walk};
use rustc_hash::FxHashSet;
use seamcheck_model::module::OpKind;
use seamcheck_model::property::Property;
use seamcheck_model::resource::Resource;
use seamcheck_model::scenario::MAX_THREADS;
use seamcheck_model::system::labels::{Part, StepId};
use seamcheck_model::system::{Agent, Event, Reductions, State, System};
use seamcheck_model::table::Effect;
use std::collections::BTreeSet;
use std::fmt::Debug;

/// All reductions but one, for each that a trimmed guest still needs.
pub(crate) const ONE_LEFT_OUT: [Reductions; 4] = [
    Reductions {
        merge_uncontended: false,
        ..Reductions::ALL
    },
    Reductions {
        fuse_local: false,
        ..Reductions::ALL
    },
    Reductions {
        forget_dead: false,
        ..Reductions::ALL
    },
    Reductions {
        sort_vcpus: false,
        ..Reductions::ALL
    },
];

/// What must not depend on reductions. With R4 off ATTR.WR takes steps of its own, which are
/// ATTR.RD's under another name.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) broken: BTreeSet<Property>,
    pub(crate) witnesses: BTreeSet<String>,
    pub(crate) steps: BTreeSet<String>,
    /// Stores to an entry and releases of it: what it is then, and where the other hosts are.
    pub(crate) entries: BTreeSet<Store>,
    pub(crate) overflowed: bool,
}

/// A step that stores to or unlocks an S-EPT entry; the entry's state and mark; the module's steps
/// at which the zapper and the ioctl threads stand. A mark that is lost shows here and nowhere else.
type Store = (String, String, Vec<String>);

/// Where hosts rest between transitions, and which steps of the module are merged (R1).
struct Rests {
    at: BTreeSet<String>,
    merged: BTreeSet<String>,
}

fn plain(text: &str) -> String {
    text.replace("ATTR.WR", "ATTR.RD")
}

/// A step of the module in words.
fn name(system: &System, op: u8) -> String {
    plain(&system.describe(system.labels.id(Part::Module, op, 0)))
}

/// The zapper's step in the module and the ioctl threads'; 0 where one is not in a call.
fn hosts(state: &State) -> [u8; 1 + MAX_THREADS] {
    let [one, other] = state.shared.threads;
    [state.shared.zapper, one, other].map(|control| control.op)
}

fn page(state: &State, agent: Agent) -> usize {
    let control = match agent {
        Agent::Zapper => state.shared.zapper,
        Agent::Vcpu(index) => state.vcpus[usize::from(index)].control,
        Agent::Thread(index) => state.shared.threads[usize::from(index)],
    };
    usize::from(control.page)
}

/// True when a step of the module writes an S-EPT entry's state or clears its TDEL.
fn stores(kind: OpKind) -> bool {
    match kind {
        OpKind::Release { resource } => resource == Resource::SeptEntry,
        OpKind::Effect { effect, .. } => matches!(
            effect,
            Effect::BlockEntry
                | Effect::FreeEntry
                | Effect::AcceptStore
                | Effect::AugEntry
                | Effect::AddEntry
        ),
        _ => false,
    }
}

fn seen(ask: &Ask, reductions: Reductions) -> Outcome<(Seen, usize, Rests)> {
    let system = ask.clone().reduced_by(reductions).system()?;
    let (mut entries, mut at) = (FxHashSet::default(), FxHashSet::default());
    let visit = |state: &State| at.extend(hosts(state));
    let cross = |before: &State, event: &Event, after: &State| {
        for step in event.trail.iter() {
            let (part, op, _) = system.labels.parts(*step);
            if part == Part::Module && stores(system.code.ops[usize::from(op)].kind) {
                let page = after.shared.pages[page(before, event.agent)];
                entries.insert((*step, page.entry, page.host_priority, hosts(before)));
            }
        }
    };
    let found = walk(&system, visit, cross);
    let describe = |step: &StepId| plain(&system.describe(*step));
    let inside = |ops: [u8; 1 + MAX_THREADS]| ops.into_iter().filter(|op| *op != 0);
    let entries = entries.iter().map(|(step, entry, marked, hosts)| {
        let hosts = inside(*hosts).map(|op| name(&system, op)).collect();
        (describe(step), format!("{entry:?}, marked {marked}"), hosts)
    });
    let merged = (1..system.code.ops.len()).filter(|op| system.code.ops[*op].uncontended);
    let rests = Rests {
        at: at
            .iter()
            .copied()
            .filter(|op| *op != 0)
            .map(|op| name(&system, op))
            .collect(),
        merged: merged.map(|op| name(&system, op as u8)).collect(),
    };
    let seen = Seen {
        broken: found.broken,
        witnesses: found.witnesses.iter().map(|text| plain(text)).collect(),
        steps: found.fired.iter().map(describe).collect(),
        entries: entries.collect(),
        overflowed: found.overflowed,
    };
    Ok((seen, found.states, rests))
}

/// Asserts that two sets are equal, and names what only one of them has.
#[track_caller]
fn differ<T: Ord + Debug>(reduced: &BTreeSet<T>, full: &BTreeSet<T>, fewer: Reductions) {
    let lost: Vec<&T> = full.difference(reduced).collect();
    let made_up: Vec<&T> = reduced.difference(full).collect();
    let none = lost.is_empty() && made_up.is_empty();
    assert!(
        none,
        "with {fewer:?} also {lost:#?}, with all also {made_up:#?}"
    );
}

/// Compares a search with all reductions with one that has `fewer`, and gives what was seen.
#[track_caller]
pub(crate) fn same(ask: &Ask, fewer: Reductions) -> Seen {
    match (seen(ask, Reductions::ALL), seen(ask, fewer)) {
        (Ok((mut reduced, few, rests)), Ok((mut full, many, _))) => {
            assert!(few <= many, "{few} states reduced, {many} with {fewer:?}");
            // Without the reductions a host is also seen where it does not rest with them.
            for seen in [&mut reduced, &mut full] {
                seen.entries.retain(|(step, _, hosts)| {
                    !rests.merged.contains(step) && hosts.iter().all(|at| rests.at.contains(at))
                });
            }
            differ(&reduced.witnesses, &full.witnesses, fewer);
            differ(&reduced.steps, &full.steps, fewer);
            differ(&reduced.entries, &full.entries, fewer);
            assert_eq!(reduced.overflowed, full.overflowed, "{fewer:?}");
            assert_eq!(reduced.broken, full.broken, "{fewer:?}");
            full
        }
        (Err(error), _) | (_, Err(error)) => panic!("{error}"),
    }
}
