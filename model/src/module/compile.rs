//! From lock-table rows to steps.
//!
//! Every failing step continues at an unwinding chain that releases what was taken, in reverse
//! order, one step each. Address 0 means "not in the module".

use super::op::{Held, LeafId, Op, OpKind};
use crate::resource::{Mode, Resource};
use crate::status::{OPERAND_BUSY, OPERAND_BUSY_HOST_PRIORITY, Operand, StatusWord};
use crate::table::{Effect, FlowAction, FlowStep, Leaf};
use rustc_hash::FxHashMap;

/// One compiled leaf.
#[derive(Clone, Debug)]
pub struct CompiledLeaf {
    /// Its key in the lock table.
    pub key: String,
    /// Where this row was found.
    pub source: String,
    /// Address of its first step.
    pub start: u8,
    /// Address of the step where the guest runs (TDH.VP.ENTER).
    pub guest: Option<u8>,
    /// True for TDG leaves.
    pub is_tdcall: bool,
}

/// The compiled leaves of one run.
#[derive(Clone, Debug, Default)]
pub struct Code {
    /// All steps; index 0 is unused.
    pub ops: Vec<Op>,
    /// The leaves.
    pub leaves: Vec<CompiledLeaf>,
    /// Status words that can occur; index 0 is success.
    pub statuses: Vec<StatusWord>,
}

/// More steps or statuses than an address has room for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the lock table needs more than {limit} {what}; remove leaves that no agent uses")]
pub struct TooLarge {
    /// What overflowed.
    pub what: &'static str,
    /// How many fit.
    pub limit: usize,
}

/// What must be undone on failure, most recent last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Undo {
    Lock(Resource, Mode),
    Epoch,
}

/// Compiles leaves one after the other into a [`Code`].
pub struct Compiler {
    code: Code,
    asks_op_state: bool,
    unwind: FxHashMap<(LeafId, Vec<Undo>), u8>,
    done: FxHashMap<(LeafId, usize, Option<bool>, Vec<Undo>), u8>,
}

const MAX_OPS: usize = 255;
const MAX_STATUSES: usize = 31;

impl Default for Compiler {
    fn default() -> Self {
        let nowhere = Op {
            leaf: LeafId(0),
            kind: OpKind::Return,
            next: 0,
            fail: 0,
            status: 0,
            held: Held::default(),
            uncontended: false,
        };
        Self {
            code: Code {
                ops: vec![nowhere],
                leaves: Vec::new(),
                statuses: vec![StatusWord(0)],
            },
            asks_op_state: false,
            unwind: FxHashMap::default(),
            done: FxHashMap::default(),
        }
    }
}

impl Compiler {
    /// A compiler for a TD that may be finalized meanwhile: only there do leaves ask for OP_STATE.
    /// Elsewhere the answer is known and the same for everybody.
    #[must_use]
    pub fn asking_op_state(asks_op_state: bool) -> Self {
        Self {
            asks_op_state,
            ..Self::default()
        }
    }

    /// Adds a leaf.
    ///
    /// # Errors
    /// When the leaves together are too large for one-byte addresses.
    pub fn add(&mut self, leaf: &Leaf) -> Result<LeafId, TooLarge> {
        let id = LeafId(self.code.leaves.len() as u8);
        self.code.leaves.push(CompiledLeaf {
            key: leaf.key(),
            source: leaf.source.clone(),
            start: 0,
            guest: None,
            is_tdcall: leaf.is_tdcall(),
        });
        let flow: Vec<FlowStep> = leaf
            .flow
            .iter()
            .filter(|step| self.asks_op_state || !step.asks_op_state())
            .copied()
            .collect();
        let start = self.compile(id, &flow, 0, None, &[])?;
        let guest = self.code.ops.iter().position(|op| {
            op.leaf == id
                && matches!(
                    op.kind,
                    OpKind::Effect {
                        effect: Effect::RunGuest,
                        ..
                    }
                )
        });
        let compiled = &mut self.code.leaves[usize::from(id.0)];
        compiled.start = start;
        compiled.guest = guest.map(|address| address as u8);
        Ok(id)
    }

    /// The finished code.
    #[must_use]
    pub fn finish(self) -> Code {
        self.code
    }

    /// Compiles `flow[index..]` and returns its address. `armed` is the answer to the flow's
    /// condition once it was asked; it is forgotten after the last step that depends on it.
    fn compile(
        &mut self,
        leaf: LeafId,
        flow: &[FlowStep],
        index: usize,
        armed: Option<bool>,
        undo: &[Undo],
    ) -> Result<u8, TooLarge> {
        let Some(step) = flow.get(index) else {
            return self.push(leaf, OpKind::Return, 0, 0, StatusWord(0), undo);
        };
        let armed = armed.filter(|_| flow[index..].iter().any(|later| later.when.is_some()));
        let key = (leaf, index, armed, undo.to_vec());
        if let Some(address) = self.done.get(&key) {
            return Ok(*address);
        }
        let address = match (step.when, armed) {
            (Some(_), None) => {
                let taken = self.compile(leaf, flow, index, Some(true), undo)?;
                let skipped = self.compile(leaf, flow, index, Some(false), undo)?;
                self.push(
                    leaf,
                    OpKind::BranchZeroStep,
                    taken,
                    skipped,
                    StatusWord(0),
                    undo,
                )?
            }
            (Some(_), Some(false)) => self.compile(leaf, flow, index + 1, armed, undo)?,
            _ => self.compile_action(leaf, flow, index, armed, undo)?,
        };
        self.done.insert(key, address);
        Ok(address)
    }

    fn compile_action(
        &mut self,
        leaf: LeafId,
        flow: &[FlowStep],
        index: usize,
        armed: Option<bool>,
        undo: &[Undo],
    ) -> Result<u8, TooLarge> {
        match flow[index].action {
            FlowAction::Acquire {
                resource,
                mode,
                busy,
            } => {
                let taken = [undo, &[Undo::Lock(resource, mode)]].concat();
                let next = self.compile(leaf, flow, index + 1, armed, &taken)?;
                let unwind = self.unwind(leaf, undo)?;
                match resource {
                    Resource::SeptEntry => self.entry_acquire(leaf, mode, busy, next, unwind, undo),
                    _ => {
                        let kind = OpKind::Acquire { resource, mode };
                        self.push(leaf, kind, next, unwind, OPERAND_BUSY.with(busy), undo)
                    }
                }
            }
            FlowAction::Release { resource } => {
                let next = self.compile(leaf, flow, index + 1, armed, &dropped(undo, resource))?;
                self.push(
                    leaf,
                    OpKind::Release { resource },
                    next,
                    0,
                    StatusWord(0),
                    undo,
                )
            }
            FlowAction::Effect { effect, releases } => {
                let mut after =
                    releases.map_or_else(|| undo.to_vec(), |resource| dropped(undo, resource));
                match effect {
                    Effect::SampleEpoch => after.push(Undo::Epoch),
                    Effect::LeaveEpoch => after.retain(|entry| *entry != Undo::Epoch),
                    _ => {}
                }
                let next = self.compile(leaf, flow, index + 1, armed, &after)?;
                let unwind = self.unwind(leaf, undo)?;
                self.push(
                    leaf,
                    OpKind::Effect { effect, releases },
                    next,
                    unwind,
                    StatusWord(0),
                    undo,
                )
            }
        }
    }

    /// The S-EPT entry lock is two atomic operations: TDEL, then TDHP (tdx_locks.h,
    /// `sept_lock_acquire_host` and `sept_lock_acquire_guest`).
    fn entry_acquire(
        &mut self,
        leaf: LeafId,
        mode: Mode,
        busy: Operand,
        next: u8,
        unwind: u8,
        undo: &[Undo],
    ) -> Result<u8, TooLarge> {
        let with_tdel = [undo, &[Undo::Lock(Resource::SeptEntry, mode)]].concat();
        let success = StatusWord(0);
        let (taken, refused) = if mode == Mode::Host {
            let clear = self.push(
                leaf,
                OpKind::ClearHostPriority,
                next,
                0,
                success,
                &with_tdel,
            )?;
            let mark = self.push(leaf, OpKind::MarkHostPriority, unwind, 0, success, undo)?;
            (clear, mark)
        } else {
            let give_way = self.push(leaf, OpKind::YieldTdel, unwind, 0, success, &with_tdel)?;
            let refusal = OPERAND_BUSY_HOST_PRIORITY.with(busy);
            let look = self.push(
                leaf,
                OpKind::LookHostPriority,
                next,
                give_way,
                refusal,
                &with_tdel,
            )?;
            (look, unwind)
        };
        self.push(
            leaf,
            OpKind::SetTdel { mode },
            taken,
            refused,
            OPERAND_BUSY.with(busy),
            undo,
        )
    }

    /// The address of the chain that undoes `undo`, most recent first, and returns.
    fn unwind(&mut self, leaf: LeafId, undo: &[Undo]) -> Result<u8, TooLarge> {
        if let Some(address) = self.unwind.get(&(leaf, undo.to_vec())) {
            return Ok(*address);
        }
        let address = match undo.split_last() {
            None => self.push(leaf, OpKind::Return, 0, 0, StatusWord(0), undo)?,
            Some((last, rest)) => {
                let next = self.unwind(leaf, rest)?;
                let kind = match last {
                    Undo::Lock(resource, _) => OpKind::Release {
                        resource: *resource,
                    },
                    Undo::Epoch => OpKind::UndoEpoch,
                };
                self.push(leaf, kind, next, 0, StatusWord(0), undo)?
            }
        };
        self.unwind.insert((leaf, undo.to_vec()), address);
        Ok(address)
    }

    fn push(
        &mut self,
        leaf: LeafId,
        kind: OpKind,
        next: u8,
        fail: u8,
        status: StatusWord,
        undo: &[Undo],
    ) -> Result<u8, TooLarge> {
        let address = self.code.ops.len();
        if address > MAX_OPS {
            return Err(TooLarge {
                what: "steps",
                limit: MAX_OPS,
            });
        }
        let status = self.status(status)?;
        self.code.ops.push(Op {
            leaf,
            kind,
            next,
            fail,
            status,
            held: held(undo),
            uncontended: false,
        });
        Ok(address as u8)
    }

    /// The index of a status word, adding it when it is new.
    ///
    /// # Errors
    /// When there are too many.
    pub fn status(&mut self, status: StatusWord) -> Result<u8, TooLarge> {
        if let Some(index) = self.code.statuses.iter().position(|known| *known == status) {
            return Ok(index as u8);
        }
        if self.code.statuses.len() > MAX_STATUSES {
            return Err(TooLarge {
                what: "status words",
                limit: MAX_STATUSES,
            });
        }
        self.code.statuses.push(status);
        Ok((self.code.statuses.len() - 1) as u8)
    }
}

fn dropped(undo: &[Undo], resource: Resource) -> Vec<Undo> {
    undo.iter()
        .copied()
        .filter(|entry| !matches!(entry, Undo::Lock(held, _) if *held == resource))
        .collect()
}

fn held(undo: &[Undo]) -> Held {
    undo.iter()
        .fold(Held::default(), |held, entry| match entry {
            Undo::Lock(resource, mode) => held.with(*resource, *mode),
            Undo::Epoch => held.counting(),
        })
}
