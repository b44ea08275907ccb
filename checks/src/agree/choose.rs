//! Which of the code's runs answers a row, and how far.

use super::answer::{Answer, Counts, Larger, Scope, Smaller};
use super::reach::Reach;
use crate::suite::Run;
use crate::verdict::Verdict;
use seamcheck_model::threads::Window;

/// A run of the code that asks what a row does, in its own scope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Candidate<'a> {
    pub(super) name: &'a str,
    pub(super) verdict: Verdict,
    pub(super) reach: &'a Reach,
}

/// The answer of the runs together. A violation comes first; then a run that came to no end, unless
/// another covers all that it was about; then what holds, or is vacuous, nearest to the row.
pub(super) fn answer(candidates: &[Candidate<'_>], asked: &Run) -> Option<Answer> {
    let vcpus = asked.scenario.vcpus;
    let near = candidates.iter().filter(|found| found.reach.vcpus <= vcpus);
    let near: Vec<Candidate<'_>> = near.copied().collect();
    let among = if near.is_empty() { candidates } else { &near };
    violated(among, asked)
        .or_else(|| open(among, asked))
        .or_else(|| settled(among, asked, Verdict::Holds))
        .or_else(|| settled(among, asked, Verdict::Vacuous))
}

/// One window of the code that breaks it is enough.
fn violated(among: &[Candidate<'_>], asked: &Run) -> Option<Answer> {
    let violated = among.iter();
    let violated = violated.filter(|found| matches!(found.verdict, Verdict::Violated(_)));
    let answers = violated.map(|found| (found, alone(found, asked)));
    let nearest = answers.min_by_key(|(found, answer)| {
        let distance = found.reach.vcpus.abs_diff(asked.scenario.vcpus);
        (answer.counts() != Counts::Decides, distance)
    });
    nearest.map(|(_, answer)| answer)
}

/// What has come to no verdict, where no other run of the same start reaches as far and has.
fn open(among: &[Candidate<'_>], asked: &Run) -> Option<Answer> {
    let is_open = |found: &&Candidate<'_>| matches!(found.verdict, Verdict::Unknown(_));
    let is_covered = |open: &Candidate<'_>| {
        let settled = among.iter().filter(|found| !is_open(found));
        settled
            .into_iter()
            .any(|found| found.reach.covers(open.reach))
    };
    let left = among.iter().filter(is_open);
    left.filter(|found| !is_covered(found))
        .min_by_key(|found| found.reach.vcpus.abs_diff(asked.scenario.vcpus))
        .map(|found| alone(found, asked))
}

/// The runs with one verdict that differ in their start only, put together: of several such groups the
/// one with the most vCPUs, then with the most starts, then with the highest bound.
fn settled(among: &[Candidate<'_>], asked: &Run, verdict: Verdict) -> Option<Answer> {
    let same = among.iter().filter(|found| found.verdict == verdict);
    let same: Vec<&Candidate<'_>> = same.collect();
    let group = |of: &Candidate<'_>| -> Vec<&Candidate<'_>> {
        let alike = same.iter().filter(|found| {
            found.reach.vcpus == of.reach.vcpus && found.reach.preemptions == of.reach.preemptions
        });
        alike.copied().collect()
    };
    let groups = same.iter().map(|found| group(found));
    let nearest = groups.max_by_key(|group| {
        let reach = group[0].reach;
        (reach.vcpus, starts(group).len(), reach.bound())
    })?;
    Some(Answer {
        verdict,
        scope: scope(&nearest, asked),
        runs: nearest.iter().map(|found| found.name.to_owned()).collect(),
    })
}

fn alone(found: &Candidate<'_>, asked: &Run) -> Answer {
    Answer {
        verdict: found.verdict,
        scope: scope(&[found], asked),
        runs: vec![found.name.to_owned()],
    }
}

fn starts(group: &[&Candidate<'_>]) -> Vec<super::start::Start> {
    let mut starts: Vec<super::start::Start> = Vec::new();
    for found in group {
        if !starts.contains(&found.reach.start) {
            starts.push(found.reach.start);
        }
    }
    starts.sort_by_key(|start| start.order());
    starts
}

/// The scope of a group, beside the row's. The model goes round for ever, and so does a row's vCPU.
fn scope(group: &[&Candidate<'_>], asked: &Run) -> Scope {
    let (mut smaller, mut larger) = (Vec::new(), Vec::new());
    let (vcpus, wanted) = (group[0].reach.vcpus, asked.scenario.vcpus);
    let needs = group.iter().map(|found| found.reach.needs()).max();
    if vcpus < wanted {
        smaller.push(Smaller::Vcpus(vcpus));
    } else if vcpus > wanted {
        larger.push(Larger::Vcpus(vcpus));
    } else if needs > Some(wanted) {
        larger.push(Larger::OneMore(vcpus));
    }
    let starts = starts(group);
    if starts.iter().all(|start| start.window != Window::Whole) {
        smaller.push(Smaller::Starts(starts));
    }
    // A group has no run at all only where nobody calls this.
    let laps = group.iter().map(|found| laps(found, group)).min();
    smaller.extend(laps.map(Smaller::Laps));
    smaller.extend(group[0].reach.preemptions.map(Smaller::Preemptions));
    if group.iter().any(|found| found.reach.is_weak) {
        larger.push(Larger::Memory);
    }
    if !asked.scenario.attr {
        larger.push(Larger::Guest);
    }
    Scope { smaller, larger }
}

/// How often vCPUs go round from one start: the most of the runs that begin there.
fn laps(of: &Candidate<'_>, group: &[&Candidate<'_>]) -> usize {
    let alike = group
        .iter()
        .filter(|found| found.reach.start == of.reach.start);
    alike.map(|found| found.reach.laps).max().unwrap_or(0)
}
