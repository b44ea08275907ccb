//! Who is brought together to look for a status, and whom it would be idle to bring.

use crate::question::Question;
use seamcheck_model::kernel::{CodePath, Deed};
use seamcheck_model::resource::Resource;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::System;
use seamcheck_model::system::labels::Part;
use seamcheck_model::table::{Effect, FlowAction, Leaf};

/// Who takes part: one or two vCPUs, or one or two code paths; fewest agents first, what KVM does not
/// have last.
pub(super) fn scenarios(question: &Question) -> Vec<Scenario> {
    let paths = question.profile.paths.iter();
    // What makes or unmakes the VM meets nobody.
    let meets = |path: &&CodePath| path.alone.is_none();
    let paths: Vec<&CodePath> = paths.filter(meets).collect();
    let mut all = Vec::new();
    let with = |finalized: bool, vcpus: usize, threads: &[&CodePath]| Scenario {
        vcpus,
        finalized,
        threads: threads.iter().map(|path| path.name.clone()).collect(),
        memory: Memory::Tso,
        ..Scenario::default()
    };
    all.extend([with(true, 1, &[]), with(true, 2, &[])]);
    for (at, one) in paths.iter().copied().enumerate() {
        let mut groups = vec![vec![one]];
        // What KVM does not have is asked about by itself only.
        let others = paths[at..].iter().copied();
        let real = others.filter(|other| !one.hypothetical && !other.hypothetical);
        groups.extend(real.map(|other| vec![one, other]));
        for group in groups {
            let finalizes = group.iter().any(|path| path.finalizes());
            if finalizes || group.iter().all(|path| !path.after_finalize) {
                all.push(with(false, 0, &group));
            }
            if group.iter().all(|path| !path.before_finalize) {
                all.push(with(true, 1, &group));
            }
        }
    }
    all.sort_by_key(|scenario| {
        let agents = scenario.vcpus + scenario.threads.len();
        (needs_hypothetical(question, scenario), agents)
    });
    all
}

pub(super) fn needs_hypothetical(question: &Question, scenario: &Scenario) -> bool {
    let mut paths = scenario
        .threads
        .iter()
        .filter_map(|name| question.profile.path(name));
    paths.any(|path| path.hypothetical)
}

/// Whether a thread can be left out without anything being lost: it does nothing but issue SEAMCALLs,
/// which change no state, and nobody in the scenario can fail because of it, nor it because of others.
/// The KVM locks that it takes only keep others waiting. The scenario without it is searched too.
pub(super) fn has_idler(question: &Question, system: &System) -> bool {
    let paths = question.scenario.threads.iter().enumerate();
    paths
        .filter_map(|(index, name)| Some((Part::thread(index), question.profile.path(name)?)))
        .any(|(part, path)| only_calls(question, path) && meets_nobody(system, part))
}

/// Whether a path does nothing but issue SEAMCALLs that take locks and give them back.
fn only_calls(question: &Question, path: &CodePath) -> bool {
    let changes_nothing = |leaf: &Leaf| {
        leaf.flow.iter().all(|step| match step.action {
            FlowAction::Effect { effect, .. } => {
                matches!(effect, Effect::RequireInitialized | Effect::RequireRunnable)
            }
            // A failed host try-lock marks the entry, a later one clears the mark.
            FlowAction::Acquire { resource, .. } => resource != Resource::SeptEntry,
            FlowAction::Release { .. } => true,
        })
    };
    path.deeds().all(|deed| match deed {
        Deed::Seamcall(key) => question.table.leaf(key).is_some_and(changes_nothing),
        _ => false,
    })
}

fn meets_nobody(system: &System, part: Part) -> bool {
    let users = system.users();
    let mut own = users.iter().filter(|user| user.part == part);
    own.all(|user| {
        user.acquisitions.iter().all(|(lock, mode)| {
            let mut others = users.iter();
            !others.any(|rival| system.can_fail(user, rival, *lock, *mode))
        })
    })
}
