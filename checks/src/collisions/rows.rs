//! Which leaves can collide on which lock, by the rows of a lock table alone.

use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::module::compile::TooLarge;
use seamcheck_model::module::{Compiler, Held, Op};
use seamcheck_model::resource::{Mode, Resource};
use seamcheck_model::status::{OPERAND_BUSY, StatusWord};
use seamcheck_model::table::{Leaf, LockTable};

/// A leaf that can fail on a lock because another leaf holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Collision {
    /// The leaf that fails, by key.
    pub loser: String,
    /// The lock.
    pub lock: Resource,
    /// How the loser wants it.
    pub wanted: Mode,
    /// What the loser returns.
    pub status: StatusWord,
    /// The leaf that holds it, by key.
    pub holder: String,
    /// How it holds it.
    pub held: Mode,
}

/// Every collision that the rows of a table allow.
///
/// A pair is left out when the loser can not get as far as the lock: when what it holds by then
/// conflicts with something that the holder holds all the while. TDVPR is left out, because it is one
/// vCPU's.
///
/// # Errors
/// When a leaf has more steps than fit.
pub fn collisions(table: &LockTable) -> Result<Vec<Collision>, TooLarge> {
    let compiled: Result<Vec<Compiled<'_>>, TooLarge> =
        table.leaves.iter().map(Compiled::new).collect();
    let compiled = compiled?;
    let around_guest = compiled
        .iter()
        .find_map(|leaf| leaf.guest)
        .unwrap_or_default();
    let around = |leaf: &Leaf| {
        if leaf.is_tdcall() {
            around_guest
        } else {
            Held::default()
        }
    };
    let mut found = Vec::new();
    for loser in &compiled {
        for (lock, wanted, busy) in loser.leaf.acquisitions() {
            if lock.is_per_vcpu() {
                continue;
            }
            for holder in &compiled {
                let mode = holder.mode_of(lock);
                let Some(held) = mode.filter(|held| wanted.conflicts(*held)) else {
                    continue;
                };
                let tries = loser.tries(lock).map(|op| op.held.and(around(loser.leaf)));
                let mut tries = tries;
                let meet = tries.any(|before| {
                    let mut while_held = holder.holding(lock);
                    while_held.any(|op| compatible(before, op.held.and(around(holder.leaf))))
                });
                if meet {
                    found.push(Collision {
                        loser: loser.leaf.key(),
                        lock,
                        wanted,
                        status: OPERAND_BUSY.with(busy),
                        holder: holder.leaf.key(),
                        held,
                    });
                }
            }
        }
    }
    Ok(found)
}

/// A leaf and its steps, compiled by itself.
struct Compiled<'a> {
    leaf: &'a Leaf,
    ops: Vec<Op>,
    /// What is held while the guest runs (TDH.VP.ENTER).
    guest: Option<Held>,
}

impl<'a> Compiled<'a> {
    fn new(leaf: &'a Leaf) -> Result<Self, TooLarge> {
        let mut compiler = Compiler::default();
        compiler.add(leaf)?;
        let code = compiler.finish();
        let guest = code.leaves.first().and_then(|leaf| leaf.guest);
        Ok(Self {
            leaf,
            guest: guest.map(|address| code.ops[usize::from(address)].held),
            ops: code.ops,
        })
    }

    fn mode_of(&self, lock: Resource) -> Option<Mode> {
        let mut taken = self.leaf.acquisitions();
        taken
            .find(|(other, ..)| *other == lock)
            .map(|(_, mode, _)| mode)
    }

    /// The steps that try a lock.
    fn tries(&self, lock: Resource) -> impl Iterator<Item = &Op> {
        let ops = self.ops.iter().skip(1);
        ops.filter(move |op| op.kind.acquires() == Some(lock))
    }

    /// The steps before which a lock is held.
    fn holding(&self, lock: Resource) -> impl Iterator<Item = &Op> {
        let ops = self.ops.iter().skip(1);
        ops.filter(move |op| op.held.has(lock))
    }
}

/// Whether two threads can hold these at the same time.
fn compatible(one: Held, other: Held) -> bool {
    Resource::ALL.iter().all(|lock| {
        let mode = if one.is_shared(*lock) {
            Mode::Shared
        } else {
            Mode::Exclusive
        };
        lock.is_per_vcpu() || !one.has(*lock) || !other.conflicts(*lock, mode)
    })
}
