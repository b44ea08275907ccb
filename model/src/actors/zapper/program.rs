//! What the zapper does, in which order, under given decisions.

use crate::actors::setup::{BLOCK, REMOVE, Setup, TRACK};
use crate::kernel::Decisions;
use crate::kernel::decisions::{
    BusyPredicate, FlagClear, FlagRaise, Kick, KickModeRead, OnBusy, TrackKick,
};
use crate::property::PropertySet;
use crate::scenario::Memory;

/// One thing the zapper does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// `write_lock(mmu_lock)`; a mapped SPTE is removed from the mirror page table.
    Lock,
    /// `WRITE_ONCE(wait_for_sept_zap, …)`.
    WriteFlag(bool),
    /// A SEAMCALL whose BUSY is handled; not busy: on to `done`.
    Attempt {
        /// The leaf.
        leaf: u8,
        /// Where to go on.
        done: u8,
    },
    /// A SEAMCALL that must not be BUSY.
    LastCall(u8),
    /// The whole kick.
    Kick,
    /// On success: on to `to` (M10's `if (err) return`).
    UnlessError {
        /// Where to go on.
        to: u8,
    },
    /// On to another deed.
    Goto(u8),
    /// `KVM_BUG_ON(err, kvm)`.
    BugOn,
    /// `write_unlock(mmu_lock)`.
    Unlock,
}

/// The zapper, under given decisions.
#[derive(Clone, Debug)]
pub struct Zapper {
    /// Its program; it starts over at the end.
    pub program: Vec<Deed>,
    pub(super) vcpus: usize,
    pub(super) memory: Memory,
    pub(super) busy: BusyPredicate,
    pub(super) kick: Kick,
    pub(super) mode_read: KickModeRead,
    pub(super) watched: PropertySet,
    /// Whether it tries a SEAMCALL before it kicks.
    pub(super) attempts: bool,
}

impl Zapper {
    pub(in crate::actors) fn new(setup: &Setup) -> Self {
        let decisions = &setup.decisions;
        Self {
            program: program(decisions),
            vcpus: setup.vcpus(),
            memory: setup.scenario.memory,
            busy: decisions.busy_predicate,
            kick: decisions.kick,
            mode_read: decisions.kick_mode_read,
            watched: setup.watched,
            attempts: decisions.flag_raise != FlagRaise::AroundAllThree,
        }
    }
}

fn program(decisions: &Decisions) -> Vec<Deed> {
    let whole = decisions.flag_raise == FlagRaise::AroundAllThree;
    let mut program = vec![Deed::Lock];
    if whole {
        start(&mut program, decisions);
    }
    window(&mut program, decisions, BLOCK);
    window(&mut program, decisions, TRACK);
    if decisions.track_kick == TrackKick::AfterTrack && decisions.kick != Kick::None {
        program.push(Deed::Kick);
    }
    window(&mut program, decisions, REMOVE);
    if whole {
        program.push(Deed::WriteFlag(false));
    }
    let unlock = program.len() as u8;
    program.push(Deed::Unlock);
    // Giving up goes on at the unlock, which was not placed yet.
    for deed in &mut program {
        if *deed == Deed::Goto(GIVE_UP) {
            *deed = Deed::Goto(unlock);
        }
    }
    program
}

/// Stands for the unlock's place until that is known.
const GIVE_UP: u8 = u8::MAX;

/// One SEAMCALL that must succeed in the end.
fn window(program: &mut Vec<Deed>, decisions: &Decisions, leaf: u8) {
    if decisions.flag_raise == FlagRaise::AroundAllThree {
        program.extend([Deed::LastCall(leaf), Deed::BugOn]);
        return;
    }
    let attempt = program.len();
    program.push(Deed::Attempt { leaf, done: 0 });
    match decisions.on_busy {
        OnBusy::KickAndRetry => retry(program, decisions, leaf),
        // What only the packed model has is refused before (setup.rs).
        OnBusy::GiveUp | OnBusy::BlockEagainIgnored | OnBusy::Ignore => {
            program.push(Deed::Goto(GIVE_UP))
        }
        OnBusy::RetryWithoutKick => program.push(Deed::Goto(attempt as u8)),
    }
    let done = program.len() as u8;
    program[attempt] = Deed::Attempt { leaf, done };
    program.push(Deed::BugOn);
}

/// `tdx_no_vcpus_enter_start()`, the second call, `tdx_no_vcpus_enter_stop()`.
fn retry(program: &mut Vec<Deed>, decisions: &Decisions, leaf: u8) {
    let raised = decisions.flag_raise != FlagRaise::Never;
    let stop = raised.then_some(Deed::WriteFlag(false));
    start(program, decisions);
    match decisions.flag_clear {
        FlagClear::BeforeRetry => {
            program.extend(stop);
            program.push(Deed::LastCall(leaf));
        }
        FlagClear::AfterRetry => {
            program.push(Deed::LastCall(leaf));
            program.extend(stop);
        }
        FlagClear::OnlyOnSuccess => {
            program.push(Deed::LastCall(leaf));
            let skip = program.len() as u8 + 2;
            program.push(Deed::UnlessError { to: skip });
            // On error: past the stop, to the check.
            program.push(Deed::Goto(skip + stop.iter().count() as u8));
            program.extend(stop);
        }
    }
}

fn start(program: &mut Vec<Deed>, decisions: &Decisions) {
    let kick = (decisions.kick != Kick::None).then_some(Deed::Kick);
    let raise = Deed::WriteFlag(true);
    match decisions.flag_raise {
        FlagRaise::BeforeKick | FlagRaise::AroundAllThree => {
            program.push(raise);
            program.extend(kick);
        }
        FlagRaise::AfterKick => {
            program.extend(kick);
            program.push(raise);
        }
        FlagRaise::Never | FlagRaise::RequestBit => program.extend(kick),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_tries_raises_the_flag_kicks_and_calls_once_more() {
        let program = program(&Decisions::first_of_each());
        let expected = [
            Deed::Lock,
            Deed::Attempt {
                leaf: BLOCK,
                done: 6,
            },
            Deed::WriteFlag(true),
            Deed::Kick,
            Deed::LastCall(BLOCK),
            Deed::WriteFlag(false),
            Deed::BugOn,
        ];
        assert_eq!(program[..expected.len()], expected);
    }
}
