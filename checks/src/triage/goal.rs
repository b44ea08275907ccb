//! What a search for a status looks for, in one scenario.

use super::causes::Wanted;
use crate::engine::exact::{self, Until};
use crate::engine::{Clock, Cut, Limits, Violation, Watch};
use crate::question::Question;
use seamcheck_model::kernel::decisions::OnBusy;
use seamcheck_model::kernel::{Deed, Group, OnFailure};
use seamcheck_model::kvm::instr::{CallSite, Instr};
use seamcheck_model::module::LeafId;
use seamcheck_model::property::Property;
use seamcheck_model::system::labels::{OUTCOMES, Part, StepId};
use seamcheck_model::system::state::Control;
use seamcheck_model::system::{Agent, Event, State, System};

/// What a search saw.
pub(super) struct Looked {
    /// The leaf comes to return the status.
    pub(super) is_returned: bool,
    /// KVM_BUG_ON fires for it.
    pub(super) fires: Option<Violation>,
    /// Distinct states.
    pub(super) states: u64,
    /// Why it is not complete, if it is not.
    pub(super) cut: Option<Cut>,
}

/// What a search looks for.
pub(super) struct Goal<'a> {
    pub(super) system: &'a System,
    question: &'a Question,
    wanted: &'a Wanted,
    /// Steps at which the leaf comes to return the status, by step number.
    pub(super) returns: Vec<StepId>,
    /// Steps at which KVM_BUG_ON fires for the leaf, whatever it returned.
    bugs: Vec<StepId>,
}

impl<'a> Goal<'a> {
    pub(super) fn new(wanted: &'a Wanted, question: &'a Question, system: &'a System) -> Self {
        let is_wanted = |leaf: LeafId| {
            let key = &system.code.leaves[usize::from(leaf.0)].key;
            let leaf = question.table.leaf(key);
            leaf.is_some_and(|leaf| wanted.is(leaf))
        };
        let mut goal = Self {
            system,
            question,
            wanted,
            returns: Vec::new(),
            bugs: Vec::new(),
        };
        for (address, op) in system.code.ops.iter().enumerate().skip(1) {
            if is_wanted(op.leaf) {
                let outcomes = wanted.outcomes(&system.code, op);
                let steps =
                    outcomes.map(|outcome| system.labels.id(Part::Module, address as u8, outcome));
                goal.returns.extend(steps);
            }
        }
        for part in parts(system) {
            let mut called = None;
            for (line, text) in system.program_of(part).iter().enumerate() {
                if let Instr::Call { leaf, .. } = text.instr {
                    called = Some(leaf);
                }
                let of_leaf = called.is_some_and(is_wanted);
                for outcome in (0..OUTCOMES as u8).filter(|_| of_leaf) {
                    let step = system.labels.id(part, line as u8, outcome);
                    let broken = system.observations.breaks[usize::from(step.0)];
                    // A call line breaks other properties; what the caller makes of it comes after.
                    if broken & Property::NoBugOn.bit() != 0 {
                        goal.bugs.push(step);
                    }
                }
            }
        }
        goal
    }

    /// False when KVM has nothing to log the leaf's failure with.
    pub(super) fn can_fire(&self) -> bool {
        !self.bugs.is_empty()
    }

    /// Searches to the end, or until a limit is hit.
    pub(super) fn look(&self, limits: Limits, watch: &Watch) -> Looked {
        let clock = Clock::start();
        let report = exact::search(self.system, Until::Everything, limits, watch);
        let fired = |step: &StepId| report.fired[usize::from(step.0)] > 0;
        let is_returned = self.returns.iter().any(fired);
        let mut looked = Looked {
            is_returned,
            fires: None,
            states: report.states,
            cut: report.cut,
        };
        // KVM_BUG_ON may have fired for another status; only a look at each event tells.
        if is_returned && self.bugs.iter().any(fired) {
            let time = limits.time.saturating_sub(clock.elapsed());
            let limits = Limits { time, ..limits };
            let fires = |before: &State, event: &Event| self.fires(before, event);
            let first = exact::first(self.system, limits, watch, fires);
            looked.cut = looked.cut.or(first.cut);
            looked.fires = first.found.map(|(path, last)| {
                let property = Property::NoBugOn;
                Violation {
                    property,
                    path,
                    last,
                }
            });
        }
        looked
    }

    /// Whose call comes to return the status in this event, if one does.
    pub(super) fn returned(&self, event: &Event) -> Option<Part> {
        let returns = event.trail.iter().any(|step| self.returns.contains(step));
        returns.then_some(match event.agent {
            Agent::Zapper => Part::Zapper,
            Agent::Vcpu(_) => Part::Vcpu,
            Agent::Thread(index) => Part::thread(usize::from(index)),
        })
    }

    /// Whether KVM_BUG_ON fires for the leaf and the status. That step is never taken together with
    /// one before it, so the status is the one before the event.
    fn fires(&self, before: &State, event: &Event) -> bool {
        let status = control(before, event.agent).status;
        event
            .trail
            .first()
            .is_some_and(|step| self.bugs.contains(step))
            && self.system.code.statuses[usize::from(status)] == self.wanted.status
    }

    /// What KVM makes of the status, where it does not fire.
    pub(super) fn reaction(&self, part: Part) -> &'static str {
        let decisions = self.system.decisions;
        let calls = self
            .system
            .program_of(part)
            .iter()
            .filter_map(|line| match line.instr {
                Instr::Call { leaf, site } => Some((leaf, site)),
                _ => None,
            });
        let mut own = calls.filter(|(leaf, _)| {
            let key = &self.system.code.leaves[usize::from(leaf.0)].key;
            let leaf = self.question.table.leaf(key);
            leaf.is_some_and(|leaf| self.wanted.is(leaf))
        });
        match part {
            Part::Zapper => {
                let attempt = own.find(|(_, site)| *site == CallSite::Attempt);
                let busy = attempt
                    .is_some_and(|(leaf, _)| self.system.is_called_busy(leaf, self.wanted.status));
                match decisions.on_busy {
                    _ if !busy => "KVM tolerates it, because the page was only premapped",
                    OnBusy::KickAndRetry => "the first call: KVM kicks every vCPU and calls again",
                    OnBusy::BlockEagainIgnored | OnBusy::Ignore => {
                        "KVM returns an error, its caller ignores that and goes on"
                    }
                    OnBusy::GiveUp => "the first call: KVM gives up and its caller ignores that",
                    OnBusy::RetryWithoutKick => "KVM calls again until it is not busy",
                }
            }
            Part::Vcpu if own.any(|(leaf, _)| leaf == self.system.enter_leaf()) => {
                "the vCPU goes round its run loop and tries again"
            }
            Part::Vcpu if own.next().is_none() => "the guest sees it, not KVM",
            Part::Vcpu if self.wanted.leaf == "TDH.MEM.PAGE.AUG" => "the page fault is retried",
            Part::Vcpu if self.wanted.leaf == "TDH.VP.WR" => {
                "KVM_BUG_ON would fire, and was not reached"
            }
            Part::Vcpu => "what KVM makes of it is not modelled",
            _ => {
                let index = usize::from(part == Part::Thread1);
                let name = self.system.scenario.threads.get(index);
                let path = name.and_then(|name| self.question.profile.path(name));
                let issues = |group: &&Group| {
                    group.deeds.iter().any(|deed| match deed {
                        Deed::Seamcall(key) => {
                            let leaf = self.question.table.leaf(key);
                            leaf.is_some_and(|leaf| self.wanted.is(leaf))
                        }
                        _ => false,
                    })
                };
                let group = path.and_then(|path| path.groups.iter().find(issues));
                match group.map(|group| group.on_failure) {
                    Some(OnFailure::BugOnUnlessBusy) => "the ioctl returns -EBUSY to userspace",
                    Some(OnFailure::Return) => "the ioctl returns an error to userspace",
                    _ => "KVM_BUG_ON would fire, and was not reached",
                }
            }
        }
    }
}

fn parts(system: &System) -> Vec<Part> {
    let threads = (0..system.threads.len()).map(Part::thread);
    [Part::Zapper, Part::Vcpu]
        .into_iter()
        .chain(threads)
        .collect()
}

fn control(state: &State, agent: Agent) -> Control {
    match agent {
        Agent::Zapper => state.shared.zapper,
        Agent::Vcpu(index) => state.vcpus[usize::from(index)].control,
        Agent::Thread(index) => state.shared.threads[usize::from(index)],
    }
}
