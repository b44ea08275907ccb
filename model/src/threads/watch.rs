//! Properties that are about two threads at once, read off the journal of an execution.
//!
//! The order of a journal is the order in which the engine let the steps happen: on a weak memory too,
//! where a load may have found an older value than the latest.

use super::event::{Entry, Event, Leaf};
use crate::property::{Property, PropertySet};
use crate::system::Agent;

/// The properties that a journal breaks, as a set of [`Property::bit`]s.
pub(super) fn broken(journal: &[Entry]) -> PropertySet {
    let (mut inside, mut must_not_fail, mut flag, mut broken) = (0_u32, false, false, 0);
    for Entry { agent, event } in journal {
        match (agent, event) {
            (
                Agent::Vcpu(index),
                Event::Call {
                    leaf: Leaf::Enter, ..
                },
            ) => inside |= 1 << index,
            (Agent::Vcpu(index), Event::Returned(_)) => inside &= !(1 << index),
            (Agent::Zapper, Event::Call { no_fail, .. }) => must_not_fail = *no_fail,
            (Agent::Zapper, Event::Returned(_)) => must_not_fail = false,
            (Agent::Zapper, Event::StoreFlag(up)) => flag = *up,
            _ => {}
        }
        if must_not_fail && inside != 0 {
            broken |= Property::NoVcpuInside.bit();
        }
        if flag && *agent == Agent::Zapper && is_outside(*event) {
            broken |= Property::FlagUnderMmuLock.bit();
        }
    }
    broken
}

/// Whether a violation that was met lies before an ioctl's KVM_BUG_ON. Behind it the VM is dead: the model
/// stands still, while a removal under way goes on in the code as in KVM.
///
/// Of what a journal does not show it is taken to. A sample of schedules passes over the others; a search of
/// all of them does not, because it makes one order of steps that do not touch each other.
pub(super) fn is_in_a_live_vm(journal: &[Entry], property: Property) -> bool {
    let dies =
        |entry: &Entry| matches!(entry.agent, Agent::Thread(_)) && entry.event == Event::BugOn;
    let Some(death) = journal.iter().position(dies) else {
        return true;
    };
    let alive = &journal[..=death];
    match property {
        Property::NoVcpuInside | Property::FlagUnderMmuLock => broken(alive) & property.bit() != 0,
        Property::NoSecondBusy => second_busy(alive),
        Property::KickOnlyWhenBusy => {
            let called = |entry: &Entry| matches!(entry.event, Event::CalledBusy(_));
            alive.iter().any(called)
        }
        _ => true,
    }
}

/// A call that must not fail came back BUSY.
fn second_busy(journal: &[Entry]) -> bool {
    let mut must_not_fail = false;
    journal
        .iter()
        .filter(|entry| entry.agent == Agent::Zapper)
        .any(|entry| match entry.event {
            Event::Call { no_fail, .. } => {
                must_not_fail = no_fail;
                false
            }
            Event::Returned(status) => must_not_fail && status.is_operand_busy(),
            _ => false,
        })
}

/// What the zapper does only outside its retry window.
const fn is_outside(event: Event) -> bool {
    matches!(
        event,
        Event::BugOn | Event::Unlock | Event::BeginZap | Event::Call { no_fail: false, .. }
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::status::SUCCESS;

    fn zapper(event: Event) -> Entry {
        Entry {
            agent: Agent::Zapper,
            event,
        }
    }

    fn second_call() -> Entry {
        zapper(Event::Call {
            leaf: Leaf::Block,
            no_fail: true,
        })
    }

    fn enters(index: u8) -> Entry {
        Entry {
            agent: Agent::Vcpu(index),
            event: Event::Call {
                leaf: Leaf::Enter,
                no_fail: false,
            },
        }
    }

    #[test]
    fn a_vcpu_inside_is_seen_whoever_comes_first() {
        let inside = Property::NoVcpuInside.bit();
        assert_eq!(broken(&[enters(1), second_call()]), inside);
        assert_eq!(broken(&[second_call(), enters(0)]), inside);
        let left = Entry {
            agent: Agent::Vcpu(1),
            event: Event::Returned(SUCCESS),
        };
        assert_eq!(broken(&[enters(1), left, second_call()]), 0);
        let over = zapper(Event::Returned(SUCCESS));
        assert_eq!(broken(&[second_call(), over, enters(1)]), 0);
    }

    #[test]
    fn what_happens_in_a_dead_vm_is_told_from_what_killed_it() {
        let dies = Entry {
            agent: Agent::Thread(0),
            event: Event::BugOn,
        };
        let busy = zapper(Event::Returned(crate::status::OPERAND_BUSY));
        let (second, flag) = (Property::NoSecondBusy, Property::FlagUnderMmuLock);
        assert!(is_in_a_live_vm(&[second_call(), busy], second));
        assert!(is_in_a_live_vm(&[second_call(), busy, dies], second));
        assert!(!is_in_a_live_vm(&[dies, second_call(), busy], second));
        let (up, unlocks) = (zapper(Event::StoreFlag(true)), zapper(Event::Unlock));
        assert!(is_in_a_live_vm(&[up, unlocks, dies], flag));
        assert!(!is_in_a_live_vm(&[up, dies, unlocks], flag));
        assert!(is_in_a_live_vm(&[dies], Property::NoBugOn));
    }

    #[test]
    fn a_flag_that_is_left_up_is_seen() {
        let (up, down) = (
            zapper(Event::StoreFlag(true)),
            zapper(Event::StoreFlag(false)),
        );
        let bugged = zapper(Event::BugOn);
        assert_eq!(broken(&[up, second_call(), down, bugged]), 0);
        let left_up = Property::FlagUnderMmuLock.bit();
        assert_eq!(broken(&[up, second_call(), bugged]), left_up);
        assert_eq!(broken(&[up, zapper(Event::Unlock)]), left_up);
    }
}
