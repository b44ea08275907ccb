//! Which questions are none for the code, and why: what the code has not.

use crate::forms::code::WATCHED;
use crate::suite::Run;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Scenario;
use seamcheck_model::threads::{Beside, Version};

/// Why a question is none for the code, if it is none.
pub(super) fn beyond_the_code(run: &Run, property: Property) -> Option<&'static str> {
    let (asked, plain) = (&run.scenario, Scenario::default());
    let beside = not_beside(run);
    let reasons = [
        (
            property.is_liveness(),
            "an engine of the code says nothing of what happens in the end",
        ),
        (!WATCHED.contains(&property), "the code does not watch it"),
        (
            Version::from_key(&run.module).is_none(),
            "this module is not there as code",
        ),
        (beside.is_some(), beside.unwrap_or_default()),
        (
            asked.vcpus == 0 && asked.threads.is_empty(),
            "without a vCPU there is nothing to interleave in the code",
        ),
        (
            asked.zappers == plain.zappers && asked.pages > plain.pages,
            "one zapper of the code's has one page",
        ),
        (
            asked.zappers > plain.zappers && asked.inodes < asked.zappers,
            "two zappers of the code's have a page and an inode each",
        ),
        (
            asked.zap != plain.zap,
            "the code removes pages as the profile's [zap] does",
        ),
        (
            asked.host_priority_timeout,
            "no timer of the module's runs out in the code",
        ),
        (
            !is_plain(run),
            "the guest of the code does all that a guest can",
        ),
    ];
    let found = reasons.iter().find(|(applies, _)| *applies);
    found.map(|(_, reason)| *reason)
}

/// Why those beside zapper and vCPUs, and the TD that they find, are not the code's.
fn not_beside(run: &Run) -> Option<&'static str> {
    if run.scenario.threads.is_empty() && run.scenario.finalized {
        // No profile has to be read: this is asked of every pair of runs.
        return None;
    }
    let profile = run.question().ok()?.profile;
    let refused = Beside::of(&profile, &run.scenario).err()?;
    Some(refused.reason())
}

/// The scenario that the code has: vCPUs that may move, be created late or be kicked by others, and a zapper or
/// two, each with a page in an inode of its own; or ioctls before the TD is finalized.
pub(super) fn is_plain(run: &Run) -> bool {
    let zappers = run.scenario.zappers;
    let is_asked_smaller = run.scenario.late || zappers > 1;
    let plain = Scenario {
        threads: run.scenario.threads.clone(),
        finalized: run.scenario.finalized,
        populated: run.scenario.populated && !run.scenario.finalized,
        vcpus: run.scenario.vcpus,
        zappers,
        pages: zappers,
        inodes: zappers,
        memory: run.scenario.memory,
        exit_reason: run.scenario.exit_reason,
        migrate: run.scenario.migrate,
        late: run.scenario.late,
        foreign_kick: run.scenario.foreign_kick,
        // The model is asked with a smaller guest where vCPUs are created late, or zappers are two, to be
        // smaller itself; what guests do is no part of these questions.
        accept: run.scenario.accept || zappers == 1,
        attr: run.scenario.attr || !is_asked_smaller,
        zero_step: run.scenario.zero_step || !is_asked_smaller,
        ..Scenario::default()
    };
    let somebody = run.scenario.vcpus > 0 || !run.scenario.threads.is_empty();
    run.scenario == plain && somebody && not_beside(run).is_none()
}
