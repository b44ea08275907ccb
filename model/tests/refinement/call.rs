//! A call in the module, as the packed model's step and status.

use super::map::Map;
use seamcheck_model::actors::module::{Call, Phase};
use seamcheck_model::actors::{Action, FIRST_TDCALL};
use seamcheck_model::module::{Held, OpKind};
use seamcheck_model::resource::Resource;
use seamcheck_model::status::{OPERAND_BUSY_HOST_PRIORITY, StatusWord};
use seamcheck_model::system::state::Control;
use seamcheck_model::table::Effect;

impl Map<'_> {
    pub(crate) fn status(&self, status: StatusWord) -> u8 {
        let statuses = &self.system.code.statuses;
        let index = statuses.iter().position(|known| *known == status);
        index.unwrap_or_else(|| panic!("no {}", status.pretty())) as u8
    }

    pub(crate) fn in_call(&self, line: u8, call: &Call) -> Control {
        // An EPT violation found by 0-step's filter is no status, one found by a TDCALL is.
        Control {
            line,
            op: self.op(call),
            status: self.status(call.status),
            page: 0,
        }
    }

    /// The module's step: its leaf's, of the same kind, with the same held, on the same way.
    fn op(&self, call: &Call) -> u8 {
        let setup = &self.protocol.setup;
        let ops = &setup.leaves[usize::from(call.leaf)].ops;
        let samples = |at: usize| matches!(ops[at].action, Action::Do(Effect::SampleEpoch, _));
        let mut held = Held::default();
        for (resource, mode) in call.holds(setup) {
            held = held.with(resource, mode);
        }
        if (0..ops.len()).any(|at| call.held & 1 << at != 0 && samples(at)) {
            held = held.counting();
        }
        let leaf = self.leaf(call.leaf);
        let code = &self.system.code.ops;
        let kind = match call.phase {
            Phase::Mark => OpKind::MarkHostPriority,
            Phase::Forward => match ops[usize::from(call.at)].action {
                Action::Try { resource, mode, .. } => OpKind::Acquire { resource, mode },
                Action::SetTdel { mode, .. } => OpKind::SetTdel { mode },
                Action::ClearTdhp => OpKind::ClearHostPriority,
                Action::TestTdhp { .. } => OpKind::LookHostPriority,
                Action::Release(resource) => OpKind::Release { resource },
                Action::Do(effect, releases) => OpKind::Effect { effect, releases },
            },
            Phase::GiveBack => {
                let last = 31 - call.held.leading_zeros() as usize;
                match ops[last].action {
                    Action::Try { resource, .. } => OpKind::Release { resource },
                    Action::SetTdel { .. }
                        if call.leaf >= FIRST_TDCALL
                            && call.status.code() == OPERAND_BUSY_HOST_PRIORITY =>
                    {
                        OpKind::YieldTdel
                    }
                    Action::SetTdel { .. } => OpKind::Release {
                        resource: Resource::SeptEntry,
                    },
                    _ => OpKind::UndoEpoch,
                }
            }
        };
        let same =
            |at: &usize| code[*at].leaf == leaf && code[*at].kind == kind && code[*at].held == held;
        let mut candidates: Vec<usize> = (1..code.len()).filter(same).collect();
        // The same release stands on the way forward and on the way back: the latter leads nowhere
        // but to more of its kind.
        if candidates.len() > 1 {
            let back = call.phase == Phase::GiveBack;
            candidates.retain(|at| self.only_gives_back(*at) == back);
        }
        assert_eq!(
            candidates.len(),
            1,
            "{leaf:?} {kind:?} {held:?} {:?}",
            call.phase
        );
        candidates[0] as u8
    }

    /// Whether what follows a step undoes in the reverse order of the acquisitions.
    fn only_gives_back(&self, at: usize) -> bool {
        let code = &self.system.code.ops;
        let chains = code
            .iter()
            .filter(|op| op.fail != 0 && op.kind != OpKind::BranchZeroStep);
        let mut starts: Vec<u8> = chains.map(|op| op.fail).collect();
        starts.sort_unstable();
        starts.dedup();
        starts.into_iter().any(|start| {
            let mut here = start;
            while here != 0 {
                if usize::from(here) == at {
                    return true;
                }
                here = code[usize::from(here)].next;
            }
            false
        })
    }
}
