//! Who holds what: derived from where everybody stands, never stored.

use super::System;
use super::labels::Part;
use super::others::{Others, Predicate};
use super::run::Frame;
use super::state::{Control, Shared, Vcpu};
use crate::closed_enum::ClosedEnum;
use crate::module::{Held, OpKind};
use crate::resource::{Mode, Resource};
use crate::table::Effect;

impl System {
    /// The locks a thread that is not a vCPU holds.
    #[must_use]
    pub fn held_by(&self, control: Control) -> Held {
        if control.op == 0 {
            Held::default()
        } else {
            self.op(control.op).held
        }
    }

    /// The locks a vCPU thread or its guest holds; in a TDCALL also what TDH.VP.ENTER holds around it.
    #[must_use]
    pub fn held_by_vcpu(&self, vcpu: &Vcpu) -> Held {
        if vcpu.control.op == 0 {
            return Held::default();
        }
        let op = self.op(vcpu.control.op);
        if self.code.leaves[usize::from(op.leaf.0)].is_tdcall {
            op.held.and(self.guest_held)
        } else {
            op.held
        }
    }

    /// True when a vCPU is between the start of TDH.VP.ENTER and its return, guest included.
    #[must_use]
    pub fn is_in_vp_enter(&self, vcpu: &Vcpu) -> bool {
        if vcpu.control.op == 0 {
            return false;
        }
        let leaf = self.op(vcpu.control.op).leaf;
        leaf == self.enter || self.code.leaves[usize::from(leaf.0)].is_tdcall
    }

    /// True when a step of the module's is the guest's running.
    #[must_use]
    pub fn runs_guest(&self, address: u8) -> bool {
        matches!(
            self.op(address).kind,
            OpKind::Effect {
                effect: Effect::RunGuest,
                ..
            }
        )
    }

    /// True when two vCPUs can not both stand where they stand: one holds a lock against the other.
    ///
    /// No reachable state has such a pair: taking a lock asks whether anybody holds it, and freezing
    /// an SPTE looks whether it is frozen.
    #[must_use]
    pub fn clash(&self, one: &Vcpu, other: &Vcpu) -> bool {
        let (mine, theirs) = (self.held_by_vcpu(one), self.held_by_vcpu(other));
        let same_page = one.control.page == other.control.page;
        let on = |resource: Resource| {
            let mode = if mine.is_shared(resource) {
                Mode::Shared
            } else {
                Mode::Exclusive
            };
            !resource.is_per_vcpu()
                && (same_page || !resource.is_per_page())
                && mine.has(resource)
                && theirs.conflicts(resource, mode)
        };
        let (here, there) = (self.vcpu_line(one), self.vcpu_line(other));
        Resource::ALL.iter().copied().any(on)
            || here.held.excludes(there.held)
            || (same_page && here.frozen && there.frozen)
    }

    /// The zapper and the ioctl threads, without the one that asks.
    pub(super) fn other_singletons(
        &self,
        shared: &Shared,
        asking: Part,
    ) -> impl Iterator<Item = (Part, Control)> {
        let all = [
            (Part::Zapper, shared.zapper),
            (Part::Thread0, shared.threads[0]),
            (Part::Thread1, shared.threads[1]),
        ];
        let there = all.into_iter().take(1 + self.threads.len());
        there.filter(move |(part, _)| *part != asking)
    }

    /// Whether a try-acquire fails now: somebody else holds the lock in a conflicting mode.
    pub(super) fn is_contended<O: Others>(
        &self,
        frame: &Frame<'_, O>,
        resource: Resource,
        mode: Mode,
    ) -> bool {
        if resource.is_per_vcpu() {
            return false;
        }
        let page = frame.control().page;
        let shared = &frame.shared;
        let by_singleton = self
            .other_singletons(shared, frame.part)
            .any(|(_, control)| {
                self.held_by(control).conflicts(resource, mode)
                    && (!resource.is_per_page() || control.page == page)
            });
        by_singleton
            || frame.any_vcpu(
                self,
                Predicate::Conflicts {
                    resource,
                    mode,
                    page,
                },
            )
    }
}
