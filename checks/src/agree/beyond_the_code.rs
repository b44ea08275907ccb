//! Which questions are none for the code, and why: what the code has not.

use crate::forms::code::WATCHED;
use crate::suite::Run;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::Scenario;
use seamcheck_model::threads::Version;

/// Why a question is none for the code, if it is none.
pub(super) fn beyond_the_code(run: &Run, property: Property) -> Option<&'static str> {
    let (asked, plain) = (&run.scenario, Scenario::default());
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
        (
            !asked.finalized || asked.populated,
            "the TD of the code is finalized, and no ioctl adds pages to it",
        ),
        (
            !asked.threads.is_empty(),
            "no other thread runs beside the code's zapper and vCPUs: what the ioctl does is the model's alone",
        ),
        (
            asked.vcpus == 0,
            "without a vCPU there is nothing to interleave in the code",
        ),
        (
            asked.zappers > plain.zappers,
            "the code has one zapper: how two of them meet is the model's alone",
        ),
        (asked.pages > plain.pages, "the code has one page"),
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

/// The scenario that the code has: vCPUs that may move, be created late or be kicked by others, and nobody else.
pub(super) fn is_plain(run: &Run) -> bool {
    let plain = Scenario {
        vcpus: run.scenario.vcpus,
        memory: run.scenario.memory,
        exit_reason: run.scenario.exit_reason,
        migrate: run.scenario.migrate,
        late: run.scenario.late,
        foreign_kick: run.scenario.foreign_kick,
        // The model is asked with a smaller guest where vCPUs are created late, to be smaller itself; what
        // guests do is no part of that question.
        attr: run.scenario.attr || !run.scenario.late,
        zero_step: run.scenario.zero_step || !run.scenario.late,
        ..Scenario::default()
    };
    run.scenario == plain && run.scenario.vcpus > 0
}
