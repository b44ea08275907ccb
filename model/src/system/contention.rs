//! Who can collide with whom on which lock: read off the lock table and the KVM locks (R1).

use super::System;
use super::build::User;
use super::labels::Part;
use crate::module::{LeafId, Op, OpKind};
use crate::resource::{Mode, Resource};
use crate::scenario::Scenario;
use crate::table::Effect;

impl System {
    /// True when agents of this part take any step in the scenario.
    #[must_use]
    pub fn is_active(&self, part: Part) -> bool {
        match part {
            Part::Vcpu => self.scenario.vcpus > 0 && (self.scenario.finalized || self.of_two_lives),
            _ if self.is_zapper(part) => self.scenario.zap != Scenario::NOBODY,
            _ => true,
        }
    }

    /// True when two configured agents can be in these two leaves at the same time.
    #[must_use]
    pub fn can_overlap(&self, one: &User, other: &User) -> bool {
        let distinct =
            one.part != other.part || (one.part == Part::Vcpu && self.scenario.vcpus > 1);
        distinct
            && self.is_active(one.part)
            && self.is_active(other.part)
            && !one
                .locks
                .excludes_on(other.locks, self.scenario.inodes == 1)
    }

    /// True when a configured agent can be in `rival`'s leaf holding `resource` so that `user` fails on it.
    #[must_use]
    pub fn can_fail(&self, user: &User, rival: &User, resource: Resource, mode: Mode) -> bool {
        // Two that freeze its SPTE never meet on a page, nor do two threads that lock its inode.
        let page_excluded = user.freezes && rival.freezes || user.locks.excludes(rival.locks);
        let apart = resource.is_per_page() && page_excluded;
        self.can_overlap(user, rival)
            && !resource.is_per_vcpu()
            && !apart
            && rival
                .acquisitions
                .iter()
                .any(|(other, held)| *other == resource && mode.conflicts(*held))
    }

    /// True when `user` can really find `rival` on `resource`: what it holds by then does not keep
    /// the rival from holding what the rival holds around `resource`.
    #[must_use]
    pub fn can_meet(&self, user: &User, rival: &User, resource: Resource, mode: Mode) -> bool {
        self.can_fail(user, rival, resource, mode)
            && !self.held_before(user, resource).iter().any(|(held, mode)| {
                let shared = user.freezes && rival.freezes && held.is_per_page();
                !held.is_per_vcpu()
                    && !shared
                    && self
                        .held_around(rival, resource)
                        .iter()
                        .any(|(other, around)| other == held && mode.conflicts(*around))
            })
    }

    /// What a leaf holds when it tries `resource`.
    fn held_before(&self, user: &User, resource: Resource) -> Vec<(Resource, Mode)> {
        self.held_where(user, |op| op.kind.acquires() == Some(resource))
    }

    /// What a leaf holds at every step at which it holds `resource`.
    fn held_around(&self, user: &User, resource: Resource) -> Vec<(Resource, Mode)> {
        self.held_where(user, |op| op.held.has(resource))
    }

    /// The acquisitions that a leaf holds at every step of a kind; a TDCALL also what its
    /// TDH.VP.ENTER holds around the guest.
    fn held_where(&self, user: &User, at: impl Fn(&Op) -> bool) -> Vec<(Resource, Mode)> {
        let steps: Vec<&Op> = self.code.ops[1..]
            .iter()
            .filter(|op| op.leaf == user.leaf && at(op))
            .collect();
        let always =
            |resource: Resource| !steps.is_empty() && steps.iter().all(|op| op.held.has(resource));
        let own = user
            .acquisitions
            .iter()
            .copied()
            .filter(|(resource, _)| always(*resource));
        let outer = self.users.iter().find(|other| other.leaf == self.enter);
        let in_guest = self.code.leaves[usize::from(user.leaf.0)].is_tdcall;
        let around = outer
            .filter(|_| in_guest)
            .into_iter()
            .flat_map(|enter| enter.acquisitions.iter().copied());
        own.chain(around.filter(|(resource, _)| self.guest_held.has(*resource)))
            .collect()
    }

    /// Marks the steps that R1 merges: no configured agent can make them fail or notice them.
    pub(super) fn find_contention(&mut self) {
        let contended = |user: &User, resource: Resource| {
            let mode = user
                .acquisitions
                .iter()
                .find(|(other, _)| *other == resource)
                .map(|(_, mode)| *mode);
            mode.is_none_or(|mode| {
                self.users
                    .iter()
                    .any(|rival| self.can_fail(user, rival, resource, mode))
            })
        };
        let mut uncontended = vec![false; self.code.ops.len()];
        for (address, op) in self.code.ops.iter().enumerate() {
            let resource = match op.kind {
                OpKind::Acquire { resource, .. } | OpKind::Release { resource } => resource,
                OpKind::SetTdel { .. }
                | OpKind::LookHostPriority
                | OpKind::YieldTdel
                | OpKind::MarkHostPriority
                | OpKind::ClearHostPriority => Resource::SeptEntry,
                _ => continue,
            };
            uncontended[address] = self
                .users
                .iter()
                .filter(|user| user.leaf == op.leaf)
                .all(|user| !contended(user, resource));
        }
        let host = |user: &User| {
            user.acquisitions
                .contains(&(Resource::SeptEntry, Mode::Host))
        };
        self.host_rivals = self.users.iter().any(|user| {
            host(user)
                && self.users.iter().any(|rival| {
                    host(rival) && self.can_fail(user, rival, Resource::SeptEntry, Mode::Host)
                })
        });
        let advances = |leaf: LeafId| {
            let advance = |op: &Op| {
                matches!(
                    op.kind,
                    OpKind::Effect {
                        effect: Effect::AdvanceEpoch,
                        ..
                    }
                )
            };
            self.code
                .ops
                .iter()
                .any(|op| op.leaf == leaf && advance(op))
        };
        // Beside one zapper any other thread that advances the epoch is taken to meet its BLOCK.
        self.sole_tracker = self.users.iter().all(|user| {
            let mut zappers = self.users.iter().filter(|other| self.is_zapper(other.part));
            !advances(user.leaf)
                || self.is_zapper(user.part) && !zappers.any(|other| self.can_overlap(user, other))
        });
        for (op, uncontended) in self.code.ops.iter_mut().zip(uncontended) {
            op.uncontended = uncontended;
        }
    }
}
