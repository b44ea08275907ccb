//! The code in the TD: a loop over the instructions that matter here.
//!
//! Between a [`Msg::Resume`] and the [`Msg::Fetch`] behind it the instruction pointer moves on by
//! itself ([`Msg::Wander`], on a channel of its own), any number of times. Which instruction the
//! fetch finds is therefore free: the race of two channels is the choice, without timers and
//! without stateright's string-keyed random choices.

use super::message::{Instruction, Msg};
use super::{Agent, Id, Out};

/// The loop. An EPT violation that finds progress clears the 0-step list, one that finds none may
/// arm it; any other exit would leave it as it is, which an interrupt does already.
const LOOP: [Instruction; 3] = [
    Instruction::Accept,
    Instruction::Touch { arms: false },
    Instruction::Touch { arms: true },
];

/// Where the guest's code is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct GuestState {
    /// Index into the loop; `None` while the guest does not run.
    at: Option<usize>,
    /// A [`Msg::Wander`] is under way.
    wandering: bool,
}

impl GuestState {
    pub(super) fn on_msg(&mut self, id: Id, src: Id, msg: Msg, o: &mut Out<Agent>) {
        match (msg, self.at) {
            (Msg::Resume, _) => {
                self.at = Some(0);
                if !self.wandering {
                    self.wandering = true;
                    o.send(id, Msg::Wander);
                }
            }
            (Msg::Wander, Some(at)) => {
                self.at = Some((at + 1) % LOOP.len());
                o.send(id, Msg::Wander);
            }
            (Msg::Wander, None) => self.wandering = false,
            (Msg::Fetch, Some(at)) => {
                self.at = None;
                o.send(src, Msg::Reached(LOOP[at]));
            }
            (msg, at) => unreachable!("a guest at {at:?} is sent {msg:?} by nobody"),
        }
    }
}
