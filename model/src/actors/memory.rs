//! Kernel memory, sequentially consistent: an access takes effect when it is delivered.
//!
//! Store buffers (x86-TSO) would live here: one FIFO per client, drained by
//! [`Access::FullBarrier`] and [`Access::Cmpxchg`].

use super::message::{Access, Location, Msg, OUTSIDE_GUEST_MODE, Word};
use super::{Agent, Id, Out};

/// The words the protocol uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MemoryState {
    wait_for_sept_zap: Word,
    mode: Vec<Word>,
}

impl MemoryState {
    pub(super) fn new(vcpus: usize) -> Self {
        Self {
            wait_for_sept_zap: 0,
            mode: vec![OUTSIDE_GUEST_MODE; vcpus],
        }
    }

    pub(super) fn on_msg(&mut self, src: Id, msg: Msg, o: &mut Out<Agent>) {
        if let Msg::Access(access) = msg {
            o.send(src, Msg::Value(self.access(access)));
        }
    }

    fn access(&mut self, access: Access) -> Word {
        match access {
            Access::Load(location) => *self.word(location),
            Access::Store(location, value) => {
                *self.word(location) = value;
                value
            }
            Access::Cmpxchg { location, from, to } => {
                let word = self.word(location);
                let old = *word;
                if old == from {
                    *word = to;
                }
                old
            }
            Access::FullBarrier => 0,
        }
    }

    fn word(&mut self, location: Location) -> &mut Word {
        match location {
            Location::WaitForSeptZap => &mut self.wait_for_sept_zap,
            Location::Mode(vcpu) => &mut self.mode[vcpu],
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::actors::message::{EXITING_GUEST_MODE, IN_GUEST_MODE};

    #[test]
    fn a_cmpxchg_answers_the_old_value_whether_it_stores_or_not() {
        let mut memory = MemoryState::new(1);
        let location = Location::Mode(0);
        let kick = Access::Cmpxchg {
            location,
            from: IN_GUEST_MODE,
            to: EXITING_GUEST_MODE,
        };
        assert_eq!(memory.access(kick), OUTSIDE_GUEST_MODE);
        assert_eq!(memory.access(Access::Load(location)), OUTSIDE_GUEST_MODE);
        memory.access(Access::Store(location, IN_GUEST_MODE));
        assert_eq!(memory.access(kick), IN_GUEST_MODE);
        assert_eq!(memory.access(Access::Load(location)), EXITING_GUEST_MODE);
    }
}
