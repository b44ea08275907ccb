//! Which single KVM lock, held where, makes a violated property hold.
//!
//! Every lock is tried at every place, each with a search of its own. What would deadlock is refused
//! before the search: a lock taken twice, or in another order than KVM takes its locks. What holds
//! only because a SEAMCALL is never issued any more is no fix.

use crate::assumptions;
use crate::engine::exact::{self, Until};
use crate::engine::{Cut, Limits, Report, Watch};
use crate::question::{HOLD, Question, QuestionError};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::{Deed, Place};
use seamcheck_model::kvm::instr::{CallSite, Instr};
use seamcheck_model::property::Property;
use seamcheck_model::resource::{KvmLock, KvmMode};
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::labels::{Part, returned};
use seamcheck_model::system::{Reductions, System};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// A lock that makes the property hold.
#[derive(Clone, Debug)]
pub struct Fix {
    /// `mmu_lock:write@KVM_TDX_INIT_VCPU/TDH.VP.INIT@1`.
    pub hold: String,
    /// How many SEAMCALLs it is held around.
    pub covers: usize,
    /// States of the search that verified it.
    pub states: u64,
    /// KVM_BUG_ON still fires, for another reason.
    pub still_bugs: bool,
}

/// Why a lock is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Not {
    /// It would deadlock, or is held there already.
    Refused(String),
    /// The property is still violated.
    Violated(u64),
    /// These SEAMCALLs are never issued any more.
    Starves(Vec<String>),
    /// A limit was hit.
    Unknown(Cut),
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Fixes {
    /// The property.
    pub property: Property,
    /// Length of the shortest violation without any fix.
    pub length: u64,
    /// What helps, smallest first.
    pub fixes: Vec<Fix>,
    /// What does not.
    pub others: Vec<(String, Not)>,
    /// The numbers of the assumptions that the searches rest on.
    pub rests_on: Vec<u64>,
    /// How long it all took.
    pub elapsed: Duration,
}

/// The locks that can be tried; mmu_lock and invalidate_lock both ways.
const CANDIDATES: [(KvmLock, KvmMode); 7] = [
    (KvmLock::MmuLock, KvmMode::Read),
    (KvmLock::MmuLock, KvmMode::Write),
    (KvmLock::InvalidateLock, KvmMode::Read),
    (KvmLock::InvalidateLock, KvmMode::Write),
    (KvmLock::SlotsLock, KvmMode::Write),
    (KvmLock::EveryVcpuMutex, KvmMode::Write),
    (KvmLock::VmLock, KvmMode::Write),
];

/// Tries them all; `None` when the property is not violated, so that there is nothing to fix, and a cut
/// when a limit was hit before that was known.
///
/// # Errors
/// When the question makes no system.
pub fn search(
    question: &Question,
    property: Property,
    limits: Limits,
    watch: &Watch,
) -> Result<Result<Option<Fixes>, Cut>, QuestionError> {
    let start = Instant::now();
    let system = question.system(Reductions::ALL)?;
    let report = exact::search(&system, Until::Everything, limits, watch);
    let Some(violation) = report.violation(property) else {
        return Ok(report.cut.map_or(Ok(None), Err));
    };
    let called = calls(&system, &report);
    let mut found = Fixes {
        property,
        length: violation.length(),
        fixes: Vec::new(),
        others: Vec::new(),
        rests_on: assumptions::of_search(question, &system),
        elapsed: Duration::ZERO,
    };
    for (place, covers) in places(question) {
        for (lock, mode) in CANDIDATES {
            let hold = format!("{}:{}@{}", lock.key(), mode.key(), place.text());
            if let Some(why) = senseless(question, &place, lock) {
                found.others.push((hold, Not::Refused(why)));
                continue;
            }
            let changed = match with(question, &hold) {
                Ok(changed) => changed,
                Err(error) => {
                    found.others.push((hold, Not::Refused(error.to_string())));
                    continue;
                }
            };
            match judge(&changed, property, &called, limits, watch)? {
                Ok((states, still_bugs)) => found.fixes.push(Fix {
                    hold,
                    covers,
                    states,
                    still_bugs,
                }),
                Err(not) => found.others.push((hold, not)),
            }
        }
    }
    // Stable: of two that cover as much, readers first, and mmu_lock before locks that sleep.
    found
        .fixes
        .sort_by_key(|fix| (fix.covers, fix.hold.contains(":write@")));
    found.elapsed = start.elapsed();
    Ok(Ok(Some(found)))
}

/// Where a lock can be added, and how many SEAMCALLs it is then held around.
fn places(question: &Question) -> Vec<(Place, usize)> {
    let scenario = &question.scenario;
    let zap = match scenario.zap.as_str() {
        "" => question.profile.zap.name.as_str(),
        other => other,
    };
    let places = question.profile.places(zap, &scenario.threads);
    let nobody = |place: &Place| *place == Place::Whole(Scenario::NOBODY.to_owned());
    let covers = |place: &Place| match place {
        Place::Call { .. } => 1,
        Place::Whole(name) => question
            .profile
            .path(name)
            .map_or(3, |path| path.seamcalls().count()),
    };
    let there = places.into_iter().filter(|place| !nobody(place));
    there.map(|place| (place.clone(), covers(&place))).collect()
}

/// Why a lock can not be meant there, whatever a search would say.
fn senseless(question: &Question, place: &Place, lock: KvmLock) -> Option<String> {
    let name = match place {
        Place::Whole(name) | Place::Call { path: name, .. } => name,
    };
    let path = question.profile.path(name)?;
    let about_a_page = path
        .deeds()
        .any(|deed| matches!(deed, Deed::Premap | Deed::UnlessMapped));
    if lock == KvmLock::InvalidateLock && !about_a_page {
        return Some(format!("{name} is about no page, and so about no inode"));
    }
    if path.irqs_off && lock != KvmLock::MmuLock {
        return Some(format!("{name} can not sleep: interrupts are off"));
    }
    None
}

fn with(question: &Question, hold: &str) -> Result<Question, QuestionError> {
    let more = (format!("{HOLD} {hold}"), String::new());
    Question::new(
        question.module.clone(),
        question.kernel.clone(),
        [question.set.clone(), vec![more]].concat(),
        question.scenario.clone(),
    )
}

/// A fresh search: how many states it took and whether KVM_BUG_ON still fires, or why it is no fix.
fn judge(
    question: &Question,
    property: Property,
    called: &BTreeSet<String>,
    limits: Limits,
    watch: &Watch,
) -> Result<Result<(u64, bool), Not>, QuestionError> {
    let system = question.system(Reductions::ALL)?;
    let report = exact::search(&system, Until::Violates(property), limits, watch);
    if let Some(violation) = report.violation(property) {
        return Ok(Err(Not::Violated(violation.length())));
    }
    if let Some(cut) = report.cut {
        return Ok(Err(Not::Unknown(cut)));
    }
    let still = calls(&system, &report);
    let silent: Vec<String> = called.difference(&still).cloned().collect();
    if !silent.is_empty() {
        return Ok(Err(Not::Starves(silent)));
    }
    let bugs = report.violation(Property::NoBugOn).is_some();
    Ok(Ok((report.states, bugs)))
}

/// Every SEAMCALL that was issued, by whom; but second calls, which a fix may well make needless.
fn calls(system: &System, report: &Report) -> BTreeSet<String> {
    let parts = [Part::Zapper, Part::Vcpu, Part::Thread0, Part::Thread1];
    let mut all = BTreeSet::new();
    for part in parts.into_iter().take(2 + system.threads.len()) {
        for (line, text) in system.program_of(part).iter().enumerate() {
            let Instr::Call { leaf, site } = text.instr else {
                continue;
            };
            let step = system.labels.id(part, line as u8, returned::CALLED);
            if site != CallSite::NoFail && report.fired[usize::from(step.0)] > 0 {
                let leaf = &system.code.leaves[usize::from(leaf.0)].key;
                all.insert(format!("{leaf} of {}", whose(system, part)));
            }
        }
    }
    all
}

fn whose(system: &System, part: Part) -> &str {
    let thread = |index: usize| system.scenario.threads.get(index).map(String::as_str);
    match part {
        Part::Vcpu => "a vCPU",
        Part::Thread0 => thread(0).unwrap_or_default(),
        Part::Thread1 => thread(1).unwrap_or_default(),
        _ => "the page removal",
    }
}
