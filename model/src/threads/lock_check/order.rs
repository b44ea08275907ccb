//! The abstract lock, and the search for one order of all that an execution did to the real one.
//!
//! The abstract lock is the packed model's (docs/model.md, "Lock kinds"). A try-lock: an attempt is BUSY
//! exactly when somebody holds the lock in a conflicting mode at that moment, and who holds it is derived
//! from who stands where. An S-EPT entry has the model's steps, each of which is a moment of its
//! own: a host that is refused sets TDHP then, one that is not clears it; a guest holds the entry while it
//! looks at TDHP, and until it has given way. A host-priority lock has such a mark too, of which hosts take
//! no notice. The packed model leaves it out, since no leaf of the tables takes such a lock as a guest.
//!
//! An attempt is made between its first operation on the word and its last, a release too. The set of
//! states that the abstract lock can be in is followed through the execution; when it is empty, there is no
//! order.

use super::{Contender, Moment, Moments};
use crate::resource::{LockKind, Mode};
use crate::threads::locks::Side;
use rustc_hash::FxHashSet;

/// The most contenders: loom's threads, but for its first.
const CONTENDERS: usize = 4;

/// Where a contender stands with the abstract lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Stands {
    /// Neither tries it nor has it.
    #[default]
    Off,
    /// Its attempt is to be made.
    Tries,
    /// A host that was refused is to set the mark.
    Marks,
    /// A host that has the lock is to clear the mark.
    Clears,
    /// A guest that has the entry is to look at the mark.
    Looks,
    /// A guest that has the entry and saw the mark is to give way.
    Yields,
    /// The attempt came to this.
    Came(Came),
    /// It has the lock.
    Holds,
    /// It has it, and its release is to be made.
    Releases,
    /// It was released.
    Released,
}

/// What an attempt came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Came {
    Has,
    Refused,
    GivesWay,
}

impl Stands {
    const fn has_it(self) -> bool {
        matches!(
            self,
            Self::Clears
                | Self::Looks
                | Self::Yields
                | Self::Came(Came::Has)
                | Self::Holds
                | Self::Releases
        )
    }
}

/// A state of the abstract lock: the contenders and the mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
struct Abstract {
    stands: [Stands; CONTENDERS],
    marked: bool,
}

/// True when two contenders can not hold the lock at once.
pub(super) fn conflict(kind: LockKind, contenders: &[Contender], one: u8, other: u8) -> bool {
    let mode = |who: u8| match kind {
        LockKind::SeptEntry => Mode::Exclusive,
        _ => contenders[usize::from(who)].mode,
    };
    one != other && mode(one).conflicts(mode(other))
}

/// Whether the abstract lock has an order for all attempts and releases of an execution.
pub(super) fn exists(kind: LockKind, contenders: &[Contender], moments: &Moments) -> bool {
    let lock = Lock { kind, contenders };
    let mut states = FxHashSet::from_iter([Abstract::default()]);
    // What a contender has begun, and not yet made an operation of.
    let mut ahead = [None; CONTENDERS];
    for (who, moment) in moments {
        let who = usize::from(*who);
        states = match moment {
            Moment::Tries => {
                ahead[who] = Some(Stands::Tries);
                continue;
            }
            Moment::Releases => {
                ahead[who] = Some(Stands::Releases);
                continue;
            }
            Moment::Acts(_) => match ahead[who].take() {
                Some(begun) => {
                    lock.all_from(states.into_iter().map(|state| state.with(who, begun)))
                }
                None => continue,
            },
            Moment::Has => came(&states, who, Stands::Came(Came::Has), Stands::Holds),
            Moment::Refused => came(&states, who, Stands::Came(Came::Refused), Stands::Off),
            Moment::GivesWay => came(&states, who, Stands::Came(Came::GivesWay), Stands::Off),
            Moment::Free => came(&states, who, Stands::Released, Stands::Off),
        };
    }
    !states.is_empty()
}

/// The states in which a contender has come to where the execution has it, and goes on from there.
fn came(states: &FxHashSet<Abstract>, who: usize, to: Stands, then: Stands) -> FxHashSet<Abstract> {
    let there = states.iter().filter(|state| state.stands[who] == to);
    there.map(|state| state.with(who, then)).collect()
}

impl Abstract {
    const fn with(mut self, who: usize, stands: Stands) -> Self {
        self.stands[who] = stands;
        self
    }

    const fn marked(mut self, marked: bool) -> Self {
        self.marked = marked;
        self
    }
}

struct Lock<'a> {
    kind: LockKind,
    contenders: &'a [Contender],
}

impl Lock<'_> {
    /// Whatever steps whoever takes.
    fn all_from(&self, states: impl Iterator<Item = Abstract>) -> FxHashSet<Abstract> {
        let mut open: Vec<Abstract> = states.collect();
        let mut seen: FxHashSet<Abstract> = open.iter().copied().collect();
        while let Some(state) = open.pop() {
            for who in 0..self.contenders.len() {
                if let Some(next) = self.step(state, who)
                    && seen.insert(next)
                {
                    open.push(next);
                }
            }
        }
        seen
    }

    /// The step a contender is to take, if there is one.
    fn step(&self, state: Abstract, who: usize) -> Option<Abstract> {
        let to = |stands| state.with(who, stands);
        Some(match state.stands[who] {
            Stands::Tries => to(self.attempt(state, who)),
            Stands::Marks => to(Stands::Came(Came::Refused)).marked(true),
            Stands::Clears => to(Stands::Came(Came::Has)).marked(false),
            Stands::Looks if state.marked => to(Stands::Yields),
            Stands::Looks => to(Stands::Came(Came::Has)),
            Stands::Yields => to(Stands::Came(Came::GivesWay)),
            Stands::Releases => to(Stands::Released),
            Stands::Off | Stands::Came(_) | Stands::Holds | Stands::Released => return None,
        })
    }

    /// The try-lock itself.
    fn attempt(&self, state: Abstract, who: usize) -> Stands {
        let others = (0..self.contenders.len()).filter(|other| state.stands[*other].has_it());
        let busy = others
            .into_iter()
            .any(|other| conflict(self.kind, self.contenders, who as u8, other as u8));
        let Contender { side, mode, .. } = self.contenders[who];
        let (marked, shared) = (state.marked, mode == Mode::Shared);
        match (self.kind, side) {
            (LockKind::Sharex, _) if busy => Stands::Came(Came::Refused),
            (LockKind::Sharex, _) => Stands::Came(Came::Has),
            (LockKind::SeptEntry, Side::Guest) if busy => Stands::Came(Came::Refused),
            (LockKind::SeptEntry, Side::Guest) => Stands::Looks,
            (_, Side::Host) if busy => Stands::Marks,
            (LockKind::SeptEntry, Side::Host) => Stands::Clears,
            (LockKind::SharexHostPriority, Side::Host) if marked => Stands::Clears,
            (LockKind::SharexHostPriority, Side::Host) => Stands::Came(Came::Has),
            // A shared attempt looks at the mark first, an exclusive one at the holders.
            (LockKind::SharexHostPriority, Side::Guest) if marked && (shared || !busy) => {
                Stands::Came(Came::GivesWay)
            }
            (LockKind::SharexHostPriority, Side::Guest) if busy => Stands::Came(Came::Refused),
            (LockKind::SharexHostPriority, Side::Guest) => Stands::Came(Came::Has),
        }
    }
}
