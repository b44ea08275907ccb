//! Who can find whom on which lock: what a search that holds must have seen.

use super::{AUG, Action, ENTER, FIRST_TDCALL, Op, Setup, User};
use crate::resource::{Mode, Resource};
use crate::table::Effect;

/// A lock that a leaf holds at a step, and whether it does so on every way there.
type Held = (Resource, Mode, bool);

impl Setup {
    /// Every (loser, lock, holder) that can meet: the loser's place and the holder's among the leaves.
    #[must_use]
    pub fn collisions(&self) -> Vec<(u8, Resource, u8)> {
        let mut all = Vec::new();
        for user in &self.users {
            for (resource, mode) in &user.acquires {
                let rivals = self.rivals(user, *resource, *mode);
                for rival in rivals.filter(|rival| !self.keeps_off(user, rival, *resource)) {
                    all.push((user.leaf as u8, *resource, rival.leaf as u8));
                }
            }
        }
        all.sort_unstable();
        all.dedup();
        all
    }

    /// What `user` holds when it tries a lock keeps `rival` from holding what it holds around it: TDR taken
    /// exclusively by TDH.MEM.TRACK, for one, keeps every TDH.VP.ENTER away from TD_EPOCH.
    fn keeps_off(&self, user: &User, rival: &User, resource: Resource) -> bool {
        let mut before = self.held_at(user.leaf, |op, _| {
            acquired(op).is_some_and(|(tried, _)| tried == resource)
        });
        let mut around = self.held_at(rival.leaf, |_, held| {
            held.iter().any(|(other, ..)| *other == resource)
        });
        before.extend(self.held_around(user.leaf));
        around.extend(self.held_around(rival.leaf));
        let both_fault = [user, rival].map(|user| user.leaf) == [usize::from(AUG); 2];
        before.iter().any(|(held, mode)| {
            let never_met = held.is_per_vcpu() || both_fault && held.is_per_page();
            let mut around = around.iter();
            !never_met && around.any(|(other, as_)| other == held && mode.conflicts(*as_))
        })
    }

    /// What TDH.VP.ENTER holds around a TDCALL.
    fn held_around(&self, leaf: usize) -> Vec<(Resource, Mode)> {
        if leaf < usize::from(FIRST_TDCALL) {
            return Vec::new();
        }
        self.held_at(usize::from(ENTER), |op, _| {
            matches!(op.action, Action::Do(Effect::RunGuest, _))
        })
    }

    /// What a leaf holds at every step of a kind.
    fn held_at(&self, leaf: usize, at: impl Fn(&Op, &[Held]) -> bool) -> Vec<(Resource, Mode)> {
        let mut held: Vec<Held> = Vec::new();
        let mut always: Option<Vec<(Resource, Mode)>> = None;
        for op in &self.leaves[leaf].ops {
            if at(op, &held) {
                let surely = held.iter().filter(|(.., surely)| *surely);
                let now: Vec<_> = surely.map(|(lock, mode, _)| (*lock, *mode)).collect();
                always = Some(match always {
                    None => now,
                    Some(before) => before.into_iter().filter(|it| now.contains(it)).collect(),
                });
            }
            if let Some((resource, mode)) = acquired(op) {
                held.push((resource, mode, !op.if_armed));
            }
            if let Action::Release(freed) | Action::Do(_, Some(freed)) = op.action {
                held.retain(|(resource, ..)| *resource != freed);
            }
        }
        always.unwrap_or_default()
    }
}

fn acquired(op: &Op) -> Option<(Resource, Mode)> {
    match op.action {
        Action::Try { resource, mode, .. } => Some((resource, mode)),
        Action::SetTdel { mode, .. } => Some((Resource::SeptEntry, mode)),
        _ => None,
    }
}
