//! Which callers can bring a collision about, and what keeps the others apart.

use super::{Caller, Collision, When};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::KvmHeld;
use seamcheck_model::resource::{KvmLock, KvmMode, Resource};

/// What keeps two callers apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Apart {
    /// A KVM lock, and how the two hold it.
    Lock(KvmLock, KvmMode, KvmMode),
    /// One is over before the other can begin.
    Finalize,
    /// Two faults on the same page: one finds the SPTE frozen.
    FrozenSpte,
    /// One of them makes or unmakes the VM: nothing else runs then.
    Alone,
}

impl Apart {
    /// In words.
    #[must_use]
    pub fn text(self) -> String {
        match self {
            Self::Lock(lock, KvmMode::Write, KvmMode::Write) => {
                format!("{}, which both take alone", lock.key())
            }
            Self::Lock(lock, one, other) => {
                format!("{}, {} against {}", lock.key(), one.key(), other.key())
            }
            Self::Finalize => "TDH.MR.FINALIZE lies between them".into(),
            Self::Alone => "nothing else runs while the VM is made or unmade".into(),
            Self::FrozenSpte => "the frozen SPTE: one page, two faults".into(),
        }
    }
}

/// What keeps two callers from meeting on a lock; `None` when nothing does.
#[must_use]
pub fn apart(one: &Caller, other: &Caller, on: Resource) -> Option<Apart> {
    let times = [one.when, other.when];
    if times.contains(&When::BeforeFinalize) && times.contains(&When::AfterFinalize) {
        return Some(Apart::Finalize);
    }
    if one.is_alone || other.is_alone {
        return Some(Apart::Alone);
    }
    if one.locks.excludes(other.locks) {
        let single = |held: (KvmLock, KvmMode)| KvmHeld::default().with(held.0, held.1);
        let pairs = one.locks.iter().flat_map(|held| {
            let others = other.locks.iter();
            others.map(move |against| (held, against))
        });
        let mut excluding =
            pairs.filter(|(held, against)| single(*held).excludes(single(*against)));
        return excluding
            .next()
            .map(|(held, against)| Apart::Lock(held.0, held.1, against.1));
    }
    (one.is_fault && other.is_fault && on.is_per_page()).then_some(Apart::FrozenSpte)
}

/// A collision between two callers, and what keeps them apart, if anything does.
#[derive(Clone, Debug)]
pub struct Meeting<'a> {
    /// Who fails.
    pub loser: &'a Caller,
    /// Who holds the lock.
    pub holder: &'a Caller,
    /// What keeps them apart.
    pub apart: Option<Apart>,
}

/// Everybody who can bring a collision about, together or not.
#[must_use]
pub fn meetings<'a>(collision: &Collision, callers: &'a [Caller]) -> Vec<Meeting<'a>> {
    let issues = |leaf: &str| {
        let leaf = leaf.to_owned();
        callers.iter().filter(move |caller| caller.leaf == leaf)
    };
    let pairs = issues(&collision.loser)
        .flat_map(|loser| issues(&collision.holder).map(move |holder| (loser, holder)));
    pairs
        .map(|(loser, holder)| Meeting {
            loser,
            holder,
            apart: apart(loser, holder, collision.lock),
        })
        .collect()
}
