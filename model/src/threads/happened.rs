//! Whether an execution says anything of a property: an oracle that was never asked has not held.

use super::event::{Entry, Event, Leaf};
use super::zappers::sender;
use crate::property::{Property, PropertySet};
use crate::status::SUCCESS;
use crate::system::Agent;
use crate::table::Effect;

/// The properties of which what they are about happens in a journal: an execution without it says nothing
/// about them. The packed model's triggers are the same steps.
pub(super) fn happened(journal: &[Entry]) -> PropertySet {
    let (mut attempted, mut marked, mut happened) = ([false; 3], false, 0);
    for Entry { agent, event } in journal {
        let by_zapper = !matches!(agent, Agent::Vcpu(_));
        let attempted = &mut attempted[sender(*agent) as usize];
        let about: &[Property] = match event {
            Event::Call { no_fail: true, .. } => &[Property::NoSecondBusy, Property::NoVcpuInside],
            Event::Call {
                leaf: Leaf::Enter, ..
            } => &[Property::FlagTested],
            Event::StoreFlag(true) => &[Property::FlagUnderMmuLock],
            Event::Effect(Effect::AdvanceEpoch, _) => &[Property::EpochEmpty],
            Event::Effect(Effect::CheckTracked, _) => &[Property::TrackedRemove],
            Event::Dispatch(1) => &[Property::InterruptOnce],
            Event::Unlock | Event::EndZap if by_zapper && marked => &[Property::NoMarkLeft],
            Event::Returned(status) if by_zapper && *attempted && *status != SUCCESS => {
                &[Property::NoBugOn, Property::KickOnlyWhenBusy]
            }
            Event::Returned(_) if by_zapper => &[Property::NoBugOn],
            Event::AugStatus(_) => &[Property::NoBugOn],
            _ => &[],
        };
        happened |= about.iter().fold(0, |set, property| set | property.bit());
        marked |= *event == Event::MarkHostPriority;
        if by_zapper && let Event::Call { no_fail, leaf } = event {
            // An ioctl's call may fail.
            *attempted = !no_fail && [Leaf::Block, Leaf::Track, Leaf::Remove].contains(leaf);
        }
    }
    happened
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

    fn call(leaf: Leaf, no_fail: bool) -> Event {
        Event::Call { leaf, no_fail }
    }

    #[test]
    fn a_property_is_asked_only_where_what_it_is_about_happens() {
        let asks = |journal: &[Entry], property: Property| happened(journal) & property.bit() != 0;
        let (attempt, second_call) = (
            zapper(call(Leaf::Block, false)),
            zapper(call(Leaf::Block, true)),
        );
        let enters = Entry {
            agent: Agent::Vcpu(0),
            event: call(Leaf::Enter, false),
        };
        let (busy, mark) = (
            zapper(Event::Returned(OPERAND_BUSY)),
            zapper(Event::MarkHostPriority),
        );
        let unlock = zapper(Event::Unlock);
        assert_eq!(happened(&[attempt]), 0);
        assert!(asks(&[attempt, busy], Property::KickOnlyWhenBusy));
        assert!(!asks(&[second_call, busy], Property::KickOnlyWhenBusy));
        assert!(asks(&[second_call], Property::NoVcpuInside));
        assert!(!asks(&[unlock], Property::NoMarkLeft));
        assert!(!asks(&[mark], Property::NoMarkLeft));
        assert!(asks(&[mark, unlock], Property::NoMarkLeft));
        assert!(asks(&[enters], Property::FlagTested));
    }
}
