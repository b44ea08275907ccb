//! Properties that are about two threads at once, read off the journal of an execution.
//!
//! The order of a journal is the order in which the engine let the steps happen: on a weak memory too,
//! where a load may have found an older value than the latest.

use super::event::{Entry, Event, Leaf};
use crate::property::{Property, PropertySet};
use crate::status::SUCCESS;
use crate::system::Agent;
use crate::table::Effect;

/// The properties that a journal breaks, as a set of [`Property::bit`]s. The first `inside` vCPUs are in
/// their guests from the start.
pub(super) fn broken(journal: &[Entry], inside: usize) -> PropertySet {
    let mut inside = (1_u64 << inside) - 1;
    let (mut must_not_fail, mut flag, mut broken) = (false, false, 0);
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

/// The properties of which what they are about happens in a journal: an execution without it says nothing
/// about them. The packed model's triggers are the same steps.
pub(super) fn happened(journal: &[Entry]) -> PropertySet {
    let (mut attempted, mut marked, mut happened) = (false, false, 0);
    for Entry { agent, event } in journal {
        let by_zapper = *agent == Agent::Zapper;
        let about: &[Property] = match event {
            Event::Call { no_fail: true, .. } => &[Property::NoSecondBusy, Property::NoVcpuInside],
            Event::Call {
                leaf: Leaf::Enter, ..
            } => &[Property::FlagTested],
            Event::StoreFlag(true) => &[Property::FlagUnderMmuLock],
            Event::Effect(Effect::AdvanceEpoch, _) => &[Property::EpochEmpty],
            Event::Effect(Effect::CheckTracked, _) => &[Property::TrackedRemove],
            Event::Dispatch(1) => &[Property::InterruptOnce],
            Event::Unlock if by_zapper && marked => &[Property::NoMarkLeft],
            Event::Returned(status) if by_zapper && attempted && *status != SUCCESS => {
                &[Property::NoBugOn, Property::KickOnlyWhenBusy]
            }
            Event::Returned(_) if by_zapper => &[Property::NoBugOn],
            Event::AugStatus(_) => &[Property::NoBugOn],
            _ => &[],
        };
        happened |= about.iter().fold(0, |set, property| set | property.bit());
        marked |= *event == Event::MarkHostPriority;
        if by_zapper && let Event::Call { no_fail, .. } = event {
            attempted = !no_fail;
        }
    }
    happened
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
    use crate::status::OPERAND_BUSY;

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

    #[test]
    fn a_property_is_asked_only_where_what_it_is_about_happens() {
        let asks = |journal: &[Entry], property: Property| happened(journal) & property.bit() != 0;
        let attempt = zapper(Event::Call {
            leaf: Leaf::Block,
            no_fail: false,
        });
        let (busy, mark) = (
            zapper(Event::Returned(OPERAND_BUSY)),
            zapper(Event::MarkHostPriority),
        );
        let unlock = zapper(Event::Unlock);
        assert_eq!(happened(&[attempt]), 0);
        assert!(asks(&[attempt, busy], Property::KickOnlyWhenBusy));
        assert!(!asks(&[second_call(), busy], Property::KickOnlyWhenBusy));
        assert!(asks(&[second_call()], Property::NoVcpuInside));
        assert!(!asks(&[unlock], Property::NoMarkLeft));
        assert!(!asks(&[mark], Property::NoMarkLeft));
        assert!(asks(&[mark, unlock], Property::NoMarkLeft));
        assert!(asks(&[enters(0)], Property::FlagTested));
    }
}
