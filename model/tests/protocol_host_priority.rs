//! The host-priority mark on an S-EPT entry: it does not make a retry succeed by itself, and one
//! module loses a mark that the other keeps.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Ask, walk};
use seamcheck_model::kvm::instr::{CallSite, Instr};
use seamcheck_model::module::{Op, OpKind};
use seamcheck_model::resource::Mode;
use seamcheck_model::system::labels::{Part, returned};
use seamcheck_model::system::{Event, Reductions, State, System};
use seamcheck_model::table::Effect;
use std::collections::BTreeSet;

const MODULES: [&str; 2] = ["1.5.05", "2.0.12"];

/// Single steps, so that what is seen before and after one is that one's.
fn single(ask: Ask) -> System {
    ask.reduced_by(Reductions::NONE).system().unwrap()
}

/// Neither flag nor kick: what is left to make a retry succeed is the mark.
fn mark_alone(module: &str) -> System {
    let ask = Ask::on(module).unwrap();
    single(ask.with("flag_raise", "never").with("kick", "none"))
}

/// The module's step and outcome in a transition of single steps, if it is one of the module's.
fn module_step<'a>(system: &'a System, event: &Event) -> Option<(&'a Op, u8)> {
    let (part, address, outcome) = system.labels.parts(*event.trail.first()?);
    let op = &system.code.ops[usize::from(address)];
    (part == Part::Module).then_some((op, outcome))
}

/// The zapper stands in a call that must not be BUSY.
fn in_second_call(system: &System, state: &State) -> bool {
    let line = &system.zap[usize::from(state.shared.zapper.line)];
    let no_fail = Instr::Call {
        leaf: system.code.ops[usize::from(state.shared.zapper.op)].leaf,
        site: CallSite::NoFail,
    };
    state.shared.zapper.op != 0 && line.instr == no_fail
}

/// What second calls return when they are BUSY, by leaf.
fn second_busy(system: &System) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let cross = |_: &State, event: &Event, after: &State| {
        for step in event.trail.iter() {
            let (part, line, outcome) = system.labels.parts(*step);
            if part != Part::Zapper || outcome != returned::BUSY {
                continue;
            }
            if let Instr::Call {
                leaf,
                site: CallSite::NoFail,
            } = system.zap[usize::from(line)].instr
            {
                let status = system.code.statuses[usize::from(after.shared.zapper.status)];
                let leaf = &system.code.leaves[usize::from(leaf.0)].key;
                seen.insert(format!("{leaf}: {}", status.pretty()));
            }
        }
    };
    walk(system, |_| {}, cross);
    seen
}

#[test]
fn with_the_mark_alone_a_second_call_is_busy_on_the_entry_with_either_module() {
    let common = [
        "TDH.MEM.PAGE.REMOVE: TDX_OPERAND_BUSY | RCX",
        "TDH.MEM.RANGE.BLOCK: TDX_OPERAND_BUSY | RCX",
        "TDH.MEM.RANGE.BLOCK: TDX_OPERAND_BUSY | SEPT_TREE",
        "TDH.MEM.TRACK: TDX_OPERAND_BUSY | TD_EPOCH",
    ]
    .map(str::to_owned);
    let new = BTreeSet::from(common);
    assert_eq!(second_busy(&mark_alone("2.0.12")), new);
    // TDH.VP.ENTER's 0-step filter takes the tree exclusively up to 2.0.12, so REMOVE meets it too.
    let mut old = new;
    old.insert("TDH.MEM.PAGE.REMOVE: TDX_OPERAND_BUSY | SEPT_TREE".to_owned());
    assert_eq!(second_busy(&mark_alone("1.5.05")), old);
}

#[test]
fn with_flag_and_kick_no_second_call_is_busy() {
    for module in MODULES {
        let merged = single(Ask::on(module).unwrap());
        assert_eq!(second_busy(&merged), BTreeSet::new());
    }
}

#[test]
fn a_second_call_is_busy_on_a_marked_entry_while_a_guest_gives_way() {
    // The guest sets TDEL before it looks at TDHP, so one that is going to give way is in the way.
    for module in MODULES {
        let system = mark_alone(module);
        let (mut giving_way, mut past_the_look) = (0, 0);
        let cross = |before: &State, event: &Event, _: &State| {
            let page = usize::from(before.shared.zapper.page);
            let marked = before.shared.pages[page].host_priority;
            let failed = module_step(&system, event).is_some_and(|(op, outcome)| {
                op.kind == OpKind::SetTdel { mode: Mode::Host } && outcome == 1
            });
            if failed && marked && in_second_call(&system, before) {
                let guest = before.vcpus[0].control.op;
                match system.code.ops[usize::from(guest)].kind {
                    OpKind::LookHostPriority | OpKind::YieldTdel => giving_way += 1,
                    _ => past_the_look += 1,
                }
            }
        };
        walk(&system, |_| {}, cross);
        assert!(giving_way > 0, "{module}");
        // The other way: the guest looked before the first call failed, and still holds the entry.
        assert!(past_the_look > 0, "{module}");
    }
}

#[test]
fn no_guest_takes_a_marked_entry() {
    for module in MODULES {
        let system = mark_alone(module);
        let mut refused = 0;
        let cross = |before: &State, event: &Event, after: &State| {
            let Some((op, outcome)) = module_step(&system, event) else {
                return;
            };
            if op.kind == OpKind::LookHostPriority {
                let page = usize::from(before.vcpus[0].control.page);
                let marked = before.shared.pages[page].host_priority;
                assert_eq!(outcome == 1, marked, "{module}");
                let next = &system.code.ops[usize::from(after.vcpus[0].control.op)];
                assert_eq!(next.kind == OpKind::YieldTdel, marked, "{module}");
                refused += u32::from(marked);
            }
        };
        walk(&system, |_| {}, cross);
        assert!(refused > 0, "{module}");
    }
}

/// What becomes of a mark that is there when ACCEPT stores the entry back: was it in ACCEPT's copy,
/// and is it there afterwards.
fn marks_at_accepts_store(module: &str) -> BTreeSet<(bool, bool)> {
    let system = single(Ask::on(module).unwrap());
    let mut seen = BTreeSet::new();
    let cross = |before: &State, event: &Event, after: &State| {
        let store = module_step(&system, event).is_some_and(|(op, _)| {
            matches!(
                op.kind,
                OpKind::Effect {
                    effect: Effect::AcceptStore,
                    ..
                }
            )
        });
        let page = usize::from(before.vcpus[0].control.page);
        if store && before.shared.pages[page].host_priority {
            let copied = before.vcpus[0].entry_copy_hp;
            seen.insert((copied, after.shared.pages[page].host_priority));
        }
    };
    walk(&system, |_| {}, cross);
    seen
}

#[test]
fn a_mark_set_during_accept_is_lost_by_its_store_in_1_5_05() {
    // A mark set before ACCEPT read the entry is in its copy and comes back with it.
    let (set_before, set_after) = ((true, true), (false, false));
    let seen = marks_at_accepts_store("1.5.05");
    assert_eq!(seen, BTreeSet::from([set_before, set_after]));
}

#[test]
fn a_mark_set_during_accept_is_kept_by_its_store_in_2_0_12() {
    let (set_before, set_after) = ((true, true), (false, true));
    let seen = marks_at_accepts_store("2.0.12");
    assert_eq!(seen, BTreeSet::from([set_before, set_after]));
}

#[test]
fn the_mark_of_a_host_that_lost_to_another_host_can_be_lost_too() {
    // Setting TDEL and clearing TDHP are two steps, with all reductions too where hosts can meet: what
    // the loser marks in between, the winner clears.
    let mut ask = Ask::claim().unwrap().threads(&["host-debug-read"]);
    (ask.scenario.zero_step, ask.scenario.attr) = (false, false);
    let system = ask.system().unwrap();
    let (mut lost, mut lasts) = (0, 0);
    let cross = |before: &State, event: &Event, after: &State| {
        let loser = |op: &Op| op.kind == OpKind::MarkHostPriority;
        if !module_step(&system, event).is_some_and(|(op, _)| loser(op)) {
            return;
        }
        let hosts = [before.shared.zapper, before.shared.threads[0]];
        let page = usize::from(hosts[0].page);
        assert!(after.shared.pages[page].host_priority);
        let winner = hosts
            .iter()
            .any(|host| system.code.ops[usize::from(host.op)].kind == OpKind::ClearHostPriority);
        *(if winner { &mut lost } else { &mut lasts }) += 1;
    };
    walk(&system, |_| {}, cross);
    assert!(lost > 0 && lasts > 0, "{lost} {lasts}");
}
