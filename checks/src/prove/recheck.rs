//! Re-checks a set of views, sharing nothing with what collected it but the transition function.
//!
//! It builds whole states of a few vCPUs out of the views, lets the model take every step, and
//! looks whether each view of each successor is in the set again. Few are enough: a step is about
//! one vCPU, sees the others through questions only, and each yes needs one vCPU to be true.

use super::views::{self, SharedKey, View, Views};
use rustc_hash::FxHashSet;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::KvmHeld;
use seamcheck_model::module::Held;
use seamcheck_model::property::{Property, properties};
use seamcheck_model::scenario::MAX_VCPUS;
use seamcheck_model::system::others::{Asked, Predicate};
use seamcheck_model::system::state::{KickPhase, Shared, State, Vcpu, VcpuEpoch};
use seamcheck_model::system::{Agent, System, pack};
use std::cell::RefCell;

/// Why a set of views proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The initial state's view is missing.
    #[error("the initial view is not in the set")]
    NoStart,
    /// A step leads out of the set.
    #[error("the set is not closed: from {from:x?} a step leads to {to:x?}, which is not in it")]
    Open {
        /// A view of the state before.
        from: View,
        /// The view that is missing.
        to: View,
    },
    /// A view, or a step between views, breaks a property that is claimed.
    #[error("the set contains what breaks {}, at {at:x?}", .property.key())]
    Bad {
        /// The property.
        property: Property,
        /// Where.
        at: View,
    },
    /// Two vCPUs come to hold a lock against each other, so leaving such pairs out was wrong.
    #[error("two vCPUs hold a lock against each other after a step from {from:x?}")]
    Clash {
        /// A view of the state before.
        from: View,
    },
    /// A step asks more than this program has vCPUs to answer with.
    #[error("a step asks about more than {MAX_VCPUS} vCPUs")]
    TooManyQuestions,
    /// A store buffer overflows: a step is missing.
    #[error("a store buffer overflows, so steps are missing")]
    Overflow,
}

/// Checks that `views` contains the start, is closed under every step of any number of vCPUs from
/// one on, and breaks none of `claimed` (a set of [`Property::bit`]s).
///
/// Returns how many states it looked at.
///
/// # Errors
/// The first flaw.
pub fn recheck(system: &System, views: &Views, claimed: u16) -> Result<u64, Flaw> {
    let start = system.initial();
    if !views.contains(View::of(&start.shared, &start.vcpus[0])) {
        return Err(Flaw::NoStart);
    }
    let mut of_size = Vec::new();
    for vcpus in 1..=MAX_VCPUS {
        let mut system = system.clone();
        system.scenario.vcpus = vcpus;
        of_size.push(system);
    }
    let mut states = 0;
    for key in views.shareds() {
        let mut checker = Checker {
            of_size: &of_size,
            views,
            claimed,
            shared: views::shared(key),
            key,
            spokesmen: spokesmen(system, views.vcpus(key)),
            tried: FxHashSet::default(),
            asked: Vec::new(),
            loud: false,
        };
        checker.all()?;
        states += checker.tried.len() as u64;
    }
    Ok(states)
}

/// Everything that a question about a vCPU can depend on.
#[derive(PartialEq, Eq, Hash)]
struct Footing {
    held: Held,
    page: u8,
    kvm: KvmHeld,
    frozen: bool,
    kick: KickPhase,
    epoch: VcpuEpoch,
}

fn footing(system: &System, vcpu: &Vcpu) -> Footing {
    let line = system.vcpu_line(vcpu);
    Footing {
        held: system.held_by_vcpu(vcpu),
        page: vcpu.control.page,
        kvm: line.held,
        frozen: line.frozen,
        kick: vcpu.kick,
        epoch: vcpu.epoch,
    }
}

/// One vCPU for each footing: as witnesses, vCPUs of equal footing are as good as each other.
fn spokesmen(system: &System, vcpus: &[Vcpu]) -> Vec<Vcpu> {
    let mut seen = FxHashSet::default();
    let new = |vcpu: &&Vcpu| seen.insert(footing(system, vcpu));
    vcpus.iter().filter(new).copied().collect()
}

/// Whose steps are looked at.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Asker {
    /// The first vCPU's, those of the kick about it, and those of the zapper and the ioctl threads.
    AnySingleton,
    /// The first vCPU's, and those of the kick about it: for the rest it makes no difference which
    /// of the vCPUs is first.
    FirstVcpu,
}

impl Asker {
    /// Whether the agent of a block of the log is meant. Blocks come in this order: vCPUs, zapper,
    /// ioctl threads, the kick about each vCPU.
    fn asks(self, block: usize, vcpus: usize, threads: usize) -> bool {
        let singletons = vcpus..=vcpus + threads;
        block == 0
            || block == vcpus + threads + 1
            || self == Self::AnySingleton && singletons.contains(&block)
    }
}

struct Checker<'a> {
    of_size: &'a [System],
    views: &'a Views,
    claimed: u16,
    shared: Shared,
    key: SharedKey,
    spokesmen: Vec<Vcpu>,
    tried: FxHashSet<(Asker, Vec<u64>)>,
    /// What is asked by steps of the first vCPU, and of singletons when it is alone.
    asked: Vec<Predicate>,
    /// A step of the first vCPU, or one about it, changed what others can notice.
    loud: bool,
}

impl Checker<'_> {
    /// Each vCPU alone; and beside every other if others can notice what it does.
    fn all(&mut self) -> Result<(), Flaw> {
        let vcpus = self.views.vcpus(self.key);
        for one in vcpus {
            self.loud = false;
            self.asked.clear();
            self.members(&[*one], Asker::AnySingleton)?;
            if self.loud {
                for other in vcpus {
                    if !self.of_size[0].clash(one, other) {
                        self.members(&[*one, *other], Asker::FirstVcpu)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Every step of a state of these vCPUs, and of it with witnesses for what was answered no.
    fn members(&mut self, members: &[Vcpu], asker: Asker) -> Result<(), Flaw> {
        let mut name: Vec<u64> = members.iter().map(pack::pack_vcpu).collect();
        // The first keeps its place: whether it is loud depends on it.
        name[1..].sort_unstable();
        if !self.tried.insert((asker, name)) {
            return Ok(());
        }
        for question in self.steps(members, asker)? {
            for witness in self.witnesses(members, asker, question) {
                let more: Vec<Vcpu> = members.iter().copied().chain([witness]).collect();
                if more.len() > MAX_VCPUS {
                    return Err(Flaw::TooManyQuestions);
                }
                self.members(&more, asker)?;
            }
        }
        Ok(())
    }

    /// Who can stand beside `members` and make the answer yes. When all that the first vCPU asks is
    /// known, one is enough for each combination of answers.
    fn witnesses(&self, members: &[Vcpu], asker: Asker, question: Predicate) -> Vec<Vcpu> {
        let system = &self.of_size[0];
        let fits = |witness: &&Vcpu| {
            question.holds(system, witness)
                && !members.iter().any(|member| system.clash(member, witness))
        };
        let fitting = self.spokesmen.iter().filter(fits).copied();
        if asker == Asker::AnySingleton {
            return fitting.collect();
        }
        let mut seen = FxHashSet::default();
        let answers = |vcpu: &Vcpu| -> Vec<bool> {
            let asked = self.asked.iter();
            asked
                .map(|predicate| predicate.holds(system, vcpu))
                .collect()
        };
        fitting.filter(|vcpu| seen.insert(answers(vcpu))).collect()
    }

    /// Takes every step; returns the questions that were answered no.
    fn steps(&mut self, members: &[Vcpu], asker: Asker) -> Result<Vec<Predicate>, Flaw> {
        let system = &self.of_size[members.len() - 1];
        let mut state = State {
            shared: self.shared,
            vcpus: system.initial().vcpus,
        };
        state.vcpus[..members.len()].copy_from_slice(members);
        let log = RefCell::new(Vec::new());
        let (mut flaw, mut loud) = (None, false);
        let overflow = system.successors_asking(&state, &log, |event, after| {
            let about_first = event.agent == Agent::Vcpu(0) || event.target == Some(0);
            let by_singleton = !matches!(event.agent, Agent::Vcpu(_)) && event.target.is_none();
            if !(about_first || by_singleton && asker == Asker::AnySingleton) {
                return;
            }
            loud |= about_first && is_noticed(system, &state, &after);
            let broken = system.broken(&state, &event, &after) & self.claimed;
            flaw = flaw
                .take()
                .or_else(|| self.flaw(&state, &after, broken, members.len()));
        });
        self.loud |= loud;
        if overflow.0 {
            return Err(Flaw::Overflow);
        }
        match flaw {
            Some(flaw) => Err(flaw),
            None => Ok(self.unanswered(&log.borrow(), asker, members.len())),
        }
    }

    /// Remembers what was asked, and returns what was answered no.
    fn unanswered(&mut self, log: &[Asked], asker: Asker, vcpus: usize) -> Vec<Predicate> {
        let threads = self.of_size[0].threads.len();
        let (mut questions, mut blocks) = (Vec::new(), 0);
        for entry in log {
            let Asked::Question(predicate, answer) = entry else {
                blocks += 1;
                continue;
            };
            if !asker.asks(blocks - 1, vcpus, threads) {
                continue;
            }
            if !self.asked.contains(predicate) {
                self.asked.push(*predicate);
            }
            if !answer && !questions.contains(predicate) {
                questions.push(*predicate);
            }
        }
        questions
    }

    fn flaw(&self, before: &State, after: &State, broken: u16, vcpus: usize) -> Option<Flaw> {
        let from = View::of(&before.shared, &before.vcpus[0]);
        if let Some(property) = properties(broken).next() {
            return Some(Flaw::Bad { property, at: from });
        }
        let vcpus = &after.vcpus[..vcpus];
        let seen = vcpus.iter().map(|vcpu| View::of(&after.shared, vcpu));
        if let Some(to) = seen.into_iter().find(|view| !self.views.contains(*view)) {
            return Some(Flaw::Open { from, to });
        }
        let clash = vcpus.iter().enumerate().any(|(index, one)| {
            let others = &vcpus[index + 1..];
            others.iter().any(|other| self.of_size[0].clash(one, other))
        });
        clash.then_some(Flaw::Clash { from })
    }
}

/// Whether other vCPUs, or pairs with them, depend on what changed: the singletons, or what the
/// first vCPU stands on.
fn is_noticed(system: &System, before: &State, after: &State) -> bool {
    before.shared != after.shared
        || footing(system, &before.vcpus[0]) != footing(system, &after.vcpus[0])
}
