//! Properties that are about two threads at once, read off the journal of an execution.
//!
//! The order of a journal is the order in which the engine let the steps happen: on a weak memory too,
//! where a load may have found an older value than the latest.

use super::event::{Entry, Event, Leaf};
use super::zappers::sender;
use crate::property::{Property, PropertySet};
use crate::resource::KvmMode;
use crate::system::Agent;

/// What is remembered of a zapper.
#[derive(Clone, Copy)]
struct Zapper {
    /// A call that must not fail is under way.
    must_not_fail: bool,
    /// It is in its retry window.
    retries: bool,
    /// It holds mmu_lock for write: a window that is run by itself is one.
    writes: bool,
}

/// The properties that a journal breaks, as a set of [`Property::bit`]s. The first `inside` vCPUs are in
/// their guests from the start.
pub(super) fn broken(journal: &[Entry], inside: usize) -> PropertySet {
    let (mut inside, mut flag, mut broken) = ((1_u64 << inside) - 1, false, 0);
    let mut zappers = [Zapper {
        must_not_fail: false,
        retries: false,
        writes: true,
    }; 3];
    for Entry { agent, event } in journal {
        match (agent, event) {
            (
                Agent::Vcpu(index),
                Event::Call {
                    leaf: Leaf::Enter, ..
                },
            ) => inside |= 1 << index,
            (Agent::Vcpu(index), Event::Returned(_)) => inside &= !(1 << index),
            (Agent::Vcpu(_), _) => {}
            (agent, event) => {
                zappers[sender(*agent) as usize].does(*event);
                if let Event::StoreFlag(up) = event {
                    flag = *up;
                }
            }
        }
        if inside != 0 && zappers.iter().any(|zapper| zapper.must_not_fail) {
            broken |= Property::NoVcpuInside.bit();
        }
        if flag && !zappers.iter().any(|zapper| zapper.retries && zapper.writes) {
            broken |= Property::FlagUnderMmuLock.bit();
        }
    }
    broken
}

impl Zapper {
    fn does(&mut self, event: Event) {
        match event {
            Event::Call { no_fail, .. } => self.must_not_fail = no_fail,
            Event::Returned(_) => self.must_not_fail = false,
            Event::BeginZap { mmu_lock, .. } => self.writes = mmu_lock == Some(KvmMode::Write),
            _ => {}
        }
        match event {
            Event::StoreFlag(up) => self.retries = up,
            // What a zapper does only outside its retry window.
            Event::BugOn
            | Event::Unlock
            | Event::EndZap
            | Event::BeginZap { .. }
            | Event::Call { no_fail: false, .. } => self.retries = false,
            _ => {}
        }
    }
}

/// Whether a violation that was met lies before the first KVM_BUG_ON of several threads beside vCPUs. Behind it
/// the VM is dead: the model stands still, while a removal under way goes on in the code as in KVM.
///
/// Of what a journal does not show it is taken to. A sample of schedules passes over the others; a search of
/// all of them does not, because it makes one order of steps that do not touch each other.
pub(super) fn is_in_a_live_vm(journal: &[Entry], property: Property) -> bool {
    // A zapper that is alone with vCPUs ends its removal by itself.
    let has_company = |entry: &Entry| matches!(entry.agent, Agent::Thread(_));
    let has_company = journal.iter().any(has_company);
    let dies = |entry: &Entry| has_company && entry.event == Event::BugOn;
    let Some(death) = journal.iter().position(dies) else {
        return true;
    };
    let alive = &journal[..=death];
    match property {
        Property::NoVcpuInside | Property::FlagUnderMmuLock => {
            broken(alive, 0) & property.bit() != 0
        }
        Property::NoSecondBusy => second_busy(alive),
        Property::KickOnlyWhenBusy => {
            let called = |entry: &Entry| matches!(entry.event, Event::CalledBusy(_));
            alive.iter().any(called)
        }
        _ => true,
    }
}

/// A call that must not fail came back BUSY, whichever zapper's.
fn second_busy(journal: &[Entry]) -> bool {
    let mut must_not_fail = [false; 3];
    journal
        .iter()
        .filter(|entry| !matches!(entry.agent, Agent::Vcpu(_)))
        .any(|entry| {
            let must_not_fail = &mut must_not_fail[sender(entry.agent) as usize];
            match entry.event {
                Event::Call { no_fail, .. } => {
                    *must_not_fail = no_fail;
                    false
                }
                Event::Returned(status) => *must_not_fail && status.is_operand_busy(),
                _ => false,
            }
        })
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
        assert_eq!(broken(&[enters(1), second_call()], 0), inside);
        assert_eq!(broken(&[second_call(), enters(0)], 0), inside);
        let left = Entry {
            agent: Agent::Vcpu(1),
            event: Event::Returned(SUCCESS),
        };
        assert_eq!(broken(&[enters(1), left, second_call()], 0), 0);
        assert_eq!(broken(&[second_call()], 1), inside);
        assert_eq!(broken(&[left, second_call()], 2), inside);
        let first_left = Entry {
            agent: Agent::Vcpu(0),
            ..left
        };
        assert_eq!(broken(&[left, first_left, second_call()], 2), 0);
        let over = zapper(Event::Returned(SUCCESS));
        assert_eq!(broken(&[second_call(), over, enters(1)], 0), 0);
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
        // The other zapper's death counts where there are two, and its second call too.
        let (its_call, its_busy) = (
            by_the_second(second_call().event),
            by_the_second(busy.event),
        );
        let own_death = zapper(Event::BugOn);
        assert!(is_in_a_live_vm(&[its_call, its_busy, own_death], second));
        assert!(!is_in_a_live_vm(&[own_death, its_call, its_busy], second));
    }

    #[test]
    fn a_flag_that_is_left_up_is_seen() {
        let (up, down) = (
            zapper(Event::StoreFlag(true)),
            zapper(Event::StoreFlag(false)),
        );
        let bugged = zapper(Event::BugOn);
        assert_eq!(broken(&[up, second_call(), down, bugged], 0), 0);
        let left_up = Property::FlagUnderMmuLock.bit();
        assert_eq!(broken(&[up, second_call(), bugged], 0), left_up);
        assert_eq!(broken(&[up, zapper(Event::Unlock)], 0), left_up);
    }

    fn by_the_second(event: Event) -> Entry {
        let agent = Agent::Thread(0);
        Entry { agent, event }
    }

    fn begins(mmu_lock: Option<KvmMode>) -> Event {
        Event::BeginZap { page: 0, mmu_lock }
    }

    #[test]
    fn a_vcpu_inside_is_seen_in_either_zappers_second_call() {
        let inside = Property::NoVcpuInside.bit();
        let (call, over) = (second_call().event, Event::Returned(SUCCESS));
        let both = [second_call(), by_the_second(call), zapper(over), enters(0)];
        assert_eq!(broken(&both, 0), inside);
        let none = [second_call(), by_the_second(over), zapper(over), enters(0)];
        assert_eq!(broken(&none, 0), 0);
    }

    #[test]
    fn a_flag_that_no_writer_of_mmu_lock_has_raised_is_seen() {
        let left_up = Property::FlagUnderMmuLock.bit();
        let up = Event::StoreFlag(true);
        for (mmu_lock, expected) in [
            (Some(KvmMode::Write), 0),
            (Some(KvmMode::Read), left_up),
            (None, left_up),
        ] {
            let journal = [by_the_second(begins(mmu_lock)), by_the_second(up)];
            assert_eq!(broken(&journal, 0), expected);
        }
    }
}
