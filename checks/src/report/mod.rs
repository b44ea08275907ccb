//! Reports: pure functions of outcomes.

pub mod agreement;
pub mod github;
pub mod human;
pub mod json;
pub mod junit;
pub mod ledger;
pub mod necessity;
mod paragraph;
pub mod proof;
mod unguarded;

pub(crate) use paragraph::{beside, wrapped_at};

use crate::assumptions::{self, Kind};
use crate::packed::Packed;
use crate::question::Question;
use crate::runner::Outcome;
use crate::suite::{Form, Run};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::Decisions;
use seamcheck_model::property::Property;
use seamcheck_model::property::Witness;
use seamcheck_model::resource::{Evidence, Mode, Resource};
use seamcheck_model::scenario::Scenario;
use seamcheck_model::scenario::{MAX_VCPUS, Memory};
use seamcheck_model::system::labels::OUTCOMES;
use seamcheck_model::system::{Reductions, System};

/// Lines none of whose outcomes was ever taken, in words.
#[must_use]
pub fn never_fired(packed: &Packed) -> Vec<String> {
    let (system, fired) = (&packed.system, &packed.report.fired);
    let silent = |first: usize| {
        fired[first..first + usize::from(OUTCOMES)]
            .iter()
            .all(|count| *count == 0)
    };
    let steps = system
        .possible_steps()
        .filter(|step| silent(usize::from(step.0)));
    steps
        .map(|step| {
            let text = system.text(step);
            format!("{}: {}", text.anchor.function, text.name)
        })
        .collect()
}

/// The reductions in force, by name, with what they found.
#[must_use]
pub fn reductions(system: &System) -> Vec<String> {
    let on = system.reductions;
    let uncontended = system.code.ops.iter().filter(|op| op.uncontended).count();
    let shared: Vec<String> = system
        .shared_shapes
        .iter()
        .map(|(left, kept)| format!("{left} as {kept}"))
        .collect();
    let all = [
        (
            on.merge_uncontended,
            format!("R1 uncontended acquisitions merged ({uncontended} steps)"),
        ),
        (on.fuse_local, "R2 local steps fused".to_owned()),
        (on.forget_dead, "R3 dead fields reset".to_owned()),
        (
            on.share_equal && !shared.is_empty(),
            format!("R4 equal shapes shared ({})", shared.join(", ")),
        ),
        (
            on.sort_vcpus && system.scenario.vcpus > 1,
            "R5 vCPUs sorted".to_owned(),
        ),
    ];
    all.into_iter()
        .filter(|(on, _)| *on)
        .map(|(_, text)| text)
        .collect()
}

/// The locks on which configured agents can collide, with the number of pairs of leaves.
#[must_use]
pub fn conflicts(system: &System) -> (Vec<Resource>, usize) {
    let mut resources: Vec<Resource> = Vec::new();
    let mut pairs = 0;
    for witness in &system.observations.required {
        if let Witness::Busy(pair) = witness {
            pairs += 1;
            if !resources.contains(&pair.resource) {
                resources.push(pair.resource);
            }
        }
    }
    resources.sort_unstable();
    (resources, pairs)
}

/// What a verdict rests on that the scenario leaves out: locks of the zapper's that nobody else
/// takes against it, and rows and decisions that are only assumed.
#[must_use]
pub fn particulars(packed: &Packed) -> Vec<String> {
    assumed(&packed.question, &packed.system)
}

/// The numbers of the assumptions in the ledger that a run's verdicts rest on.
#[must_use]
pub fn rests_on(outcome: &Outcome) -> Vec<u64> {
    let run = &outcome.run;
    let Some(packed) = &outcome.packed else {
        let question = run.question().ok().filter(|_| !outcome.verdicts.is_empty());
        let memory = (!run.name.ends_with("/weak")).then_some(run.scenario.memory);
        return question.map_or_else(Vec::new, |asked| of_form(asked, run.form, memory));
    };
    let mut verdicts = outcome.verdicts.iter();
    let kind = Kind {
        every_number: matches!(packed.proof, Some(Ok(_))),
        liveness: verdicts.any(|(property, ..)| property.is_liveness()),
        ..Kind::packed(run.scenario.memory)
    };
    assumptions::of(&packed.question, &packed.system, kind)
}

/// The numbers that the verdicts of another form rest on. They are those of a search by the packed
/// model with as many vCPUs as it has room for: one more than that changes none.
pub(crate) fn of_form(mut question: Question, form: Form, memory: Option<Memory>) -> Vec<u64> {
    question.scenario.vcpus = question.scenario.vcpus.min(MAX_VCPUS);
    let kind = Kind {
        form,
        memory,
        ..Kind::packed(Memory::Sc)
    };
    of_kind(&question, kind)
}

/// The numbers that a counterexample of the packed model's rests on.
pub(crate) fn of_counterexample(question: &Question, property: Property) -> Vec<u64> {
    let kind = Kind {
        liveness: property.is_liveness(),
        ..Kind::packed(question.scenario.memory)
    };
    of_kind(question, kind)
}

fn of_kind(question: &Question, kind: Kind) -> Vec<u64> {
    let system = question.system(Reductions::ALL);
    system.map_or_else(
        |_| Vec::new(),
        |system| assumptions::of(question, &system, kind),
    )
}

/// `rests on` in a report for people.
pub(crate) fn rests_on_text(numbers: &[u64]) -> String {
    format!("{} (check assumptions)", assumptions::tags(numbers))
}

/// The same of a question and its system.
#[must_use]
pub fn assumed(question: &Question, system: &System) -> Vec<String> {
    let mut all = Vec::new();
    let alone: Vec<String> = unopposed(system)
        .iter()
        .map(|(lock, mode)| format!("{} {}", lock.key(), opponent(*mode)))
        .collect();
    if !alone.is_empty() {
        all.push(format!("nobody else takes {} meanwhile", alone.join(", ")));
    }
    let rows = rows_assumed(question, system);
    if !rows.is_empty() {
        all.push(format!(
            "rows of {} that nobody has read: {}",
            question.table.name,
            rows.join(", ")
        ));
    }
    let unguarded = unguarded_effects(question, system);
    if !unguarded.is_empty() {
        all.push(format!("one step each: {}", unguarded.join(", ")));
    }
    let decisions = decisions_assumed(question);
    if !decisions.is_empty() {
        all.push(format!(
            "decisions of {} that nobody has read: {}",
            question.profile.name,
            decisions.join(", ")
        ));
    }
    let profile = &question.profile;
    let paths = profile.paths.iter().filter(|path| {
        path.evidence == Evidence::Assumed && system.scenario.threads.contains(&path.name)
    });
    all.extend(paths.map(|path| format!("the code path {} as the profile guesses it", path.name)));
    all
}

/// Rows of the lock table that an agent uses and nobody has read.
#[must_use]
pub fn rows_assumed(question: &Question, system: &System) -> Vec<String> {
    let used = |key: &str| system.code.leaves.iter().any(|leaf| leaf.key == key);
    let leaves = question.table.leaves.iter();
    let assumed = leaves.filter(|leaf| leaf.evidence == Evidence::Assumed && used(&leaf.key()));
    assumed.map(seamcheck_model::table::Leaf::key).collect()
}

/// Effects of leaves in use that lack the lock which makes them a single step.
#[must_use]
pub fn unguarded_effects(question: &Question, system: &System) -> Vec<String> {
    let used = |key: &str| system.code.leaves.iter().any(|leaf| leaf.key == key);
    let leaves = question.table.leaves.iter();
    let leaves = leaves.filter(|leaf| used(&leaf.key()));
    leaves.flat_map(unguarded::of).collect()
}

/// Decisions of the profile that nobody has read and the question does not change.
fn decisions_assumed(question: &Question) -> Vec<&'static str> {
    let names = Decisions::NAMES.iter().zip(&question.profile.evidence);
    let changed = |name: &str| question.set.iter().any(|(changed, _)| changed == name);
    names
        .filter(|(name, evidence)| **evidence == Evidence::Assumed && !changed(name))
        .map(|(name, _)| *name)
        .collect()
}

/// Whether a code path runs that nobody has read.
#[must_use]
pub fn is_any_path_assumed(question: &Question, system: &System) -> bool {
    question.profile.paths.iter().any(|path| {
        path.evidence == Evidence::Assumed && system.scenario.threads.contains(&path.name)
    })
}

const fn opponent(mode: Mode) -> &'static str {
    match mode {
        Mode::Shared => "exclusively",
        Mode::Exclusive => "at all",
        Mode::Host | Mode::Guest => "from the host side",
    }
}

/// The zapper's acquisitions that no configured agent can make fail.
#[must_use]
pub fn unopposed(system: &System) -> Vec<(Resource, Mode)> {
    let mut all: Vec<(Resource, Mode)> = Vec::new();
    for user in system
        .users()
        .iter()
        .filter(|user| system.is_zapper(user.part))
    {
        for (resource, mode) in &user.acquisitions {
            let opposed = system
                .users()
                .iter()
                .any(|rival| system.can_fail(user, rival, *resource, *mode));
            if !opposed && !all.contains(&(*resource, *mode)) {
                all.push((*resource, *mode));
            }
        }
    }
    all.sort_unstable();
    all
}

/// A run in a table: the verdict on its subject, and the subject's name.
#[must_use]
pub fn subject(outcome: &Outcome) -> (String, &'static str) {
    outcome
        .verdicts
        .first()
        .map_or_else(Default::default, |(property, _, found)| {
            (found.to_string(), property.key())
        })
}

/// Everything about a run that is not as the suite expects.
#[must_use]
pub fn differences(outcome: &Outcome) -> Vec<String> {
    let all = outcome.differences.iter();
    all.map(ToString::to_string).collect()
}

/// `2 vCPUs, x86-TSO, kernel 6.16, TDX module 1.5.05, kick=none`.
#[must_use]
pub fn scope(outcome: &Outcome) -> String {
    let vcpus = match outcome.run.scenario.vcpus {
        1 => "1 vCPU".to_owned(),
        count => format!("{count} vCPUs"),
    };
    format!("{vcpus}, {}", scope_beside_vcpus(&outcome.run))
}

/// The same without the number of vCPUs.
#[must_use]
pub fn scope_beside_vcpus(run: &Run) -> String {
    let scenario = &run.scenario;
    let mut parts = Vec::new();
    if scenario.pages > 1 {
        parts.push(format!("{} pages", scenario.pages));
    }
    if run.name.ends_with("/weak") {
        parts.push("C11 weak memory".into());
    } else {
        parts.push(crate::trace::render::memory_name(scenario.memory).to_owned());
    }
    parts.push(format!("kernel {}", run.kernel));
    parts.push(format!("module {}", run.module));
    if !scenario.finalized {
        parts.push("before TDH.MR.FINALIZE".into());
    }
    if scenario.populated && !scenario.finalized {
        parts.push("pages added before".into());
    }
    if scenario.inodes > 1 {
        parts.push(format!("{} guest_memfd inodes", scenario.inodes));
    }
    match scenario.zap.as_str() {
        "" => {}
        Scenario::NOBODY => parts.push("nobody removes pages".into()),
        zap => parts.push(format!("removal by {zap}")),
    }
    if scenario.zappers > 1 {
        parts.push(format!("{} zappers", scenario.zappers));
    }
    let settings = [
        (scenario.accept, "no TDG.MEM.PAGE.ACCEPT"),
        (scenario.attr, "no TDG.MEM.PAGE.ATTR.RD and ATTR.WR"),
        (scenario.zero_step, "0-step mitigation never armed"),
    ];
    let off = settings.into_iter().filter(|(on, _)| !on);
    // Without a vCPU, or a form that has no such settings, they mean nothing.
    if scenario.vcpus > 0 && run.form == Form::Packed {
        parts.extend(off.map(|(_, text)| text.to_owned()));
    }
    if scenario.migrate {
        parts.push("vCPUs change CPUs".into());
    }
    if scenario.late {
        parts.push("vCPUs created at any time".into());
    }
    if scenario.host_priority_timeout {
        parts.push("HP_LOCK_TIMEOUT may run out".into());
    }
    if scenario.foreign_kick {
        parts.push("others kick vCPUs too".into());
    }
    if scenario.exit_reason {
        parts.push("cached exit reason tracked".into());
    }
    parts.extend(
        scenario
            .threads
            .iter()
            .map(|thread| format!("beside {thread}")),
    );
    parts.extend(run.set.iter().map(|(name, value)| change(name, value)));
    parts.join(", ")
}

/// A decision changed, or a KVM lock added or taken away.
#[must_use]
pub fn change(name: &str, value: &str) -> String {
    if value.is_empty() {
        name.to_owned()
    } else {
        format!("{name}={value}")
    }
}

/// 1234567 as `1 234 567`.
#[must_use]
pub fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}
