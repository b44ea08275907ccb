//! Which steps nobody else can see, because nobody contends: they are made with the step before.

use super::{AUG, Action, Op, Setup, User};
use crate::resource::{Mode, Resource};
use crate::table::Effect;

impl Setup {
    pub(super) fn find_private(&mut self) {
        for user in 0..self.users.len() {
            let leaf = self.users[user].leaf;
            for at in 0..self.leaves[leaf].ops.len() {
                self.leaves[leaf].ops[at].private = self.is_private(&self.users[user], at);
            }
        }
    }

    fn is_private(&self, user: &User, at: usize) -> bool {
        let ops = &self.leaves[user.leaf].ops;
        let uncontended = |resource| {
            let mut own = user.acquires.iter().filter(|(own, _)| *own == resource);
            !own.any(|(_, mode)| self.rivals(user, resource, *mode).next().is_some())
        };
        match ops[at].action {
            Action::Try { resource, .. } | Action::Release(resource) => uncontended(resource),
            Action::SetTdel { .. } => uncontended(Resource::SeptEntry),
            // Only a host sets TDHP, and guests look at it with TDEL set, which the caller has.
            Action::ClearTdhp => !self
                .rivals(user, Resource::SeptEntry, Mode::Host)
                .any(|rival| rival.acquires.contains(&(Resource::SeptEntry, Mode::Host))),
            Action::TestTdhp { .. } => uncontended(Resource::SeptEntry),
            Action::Do(effect, _) => match effect {
                // Under the epoch lock, with its acquisition (docs/model.md, "The three merged checks").
                Effect::SampleEpoch | Effect::AdvanceEpoch => at > 0 && takes_epoch(ops[at - 1]),
                // Only the zapper reads or writes BEPOCH; the state is read under the entry's lock.
                Effect::RecordBepoch | Effect::CheckLeaf | Effect::AttrCheck => true,
                // The copy of TDHP that is made here counts only where it is stored back.
                Effect::AcceptCheck => self.keeps_host_priority,
                _ => false,
            },
        }
    }

    /// Who can hold `resource` against `user`'s taking it in `mode`, or the other way round.
    pub(super) fn rivals<'a>(
        &'a self,
        user: &'a User,
        resource: Resource,
        mode: Mode,
    ) -> impl Iterator<Item = &'a User> + 'a {
        self.users.iter().filter(move |rival| {
            let other_cpu =
                user.by_zapper != rival.by_zapper || (!user.by_zapper && self.scenario.vcpus > 1);
            // A fault freezes the page's SPTE first: no two are in TDH.MEM.PAGE.AUG on one page.
            let frozen = user.leaf == usize::from(AUG)
                && rival.leaf == usize::from(AUG)
                && resource.is_per_page();
            other_cpu
                && !resource.is_per_vcpu()
                && !frozen
                && !user.locks.excludes(rival.locks)
                && rival
                    .acquires
                    .iter()
                    .any(|(other, held)| *other == resource && mode.conflicts(*held))
        })
    }
}

fn takes_epoch(op: Op) -> bool {
    matches!(
        op.action,
        Action::Try {
            resource: Resource::TdEpoch,
            ..
        }
    )
}
