//! Re-checks a set of views, sharing nothing with what collected it but the transition function.
//!
//! It builds whole states of a few vCPUs out of the views, lets the model take every step, and
//! looks whether each view of each successor is in the set again. Few are enough: a step is about
//! one vCPU, sees the others through questions only, and each yes needs one vCPU to be true.

use super::views::{self, SharedKey, View, Views};
use rustc_hash::{FxHashMap, FxHashSet};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::KvmHeld;
use seamcheck_model::module::Held;
use seamcheck_model::property::{Property, PropertySet, properties};
use seamcheck_model::system::moves::{Move, Mover};
use seamcheck_model::system::others::{AllBut, Asked, Predicate, Recording};
use seamcheck_model::system::state::{KickPhase, Shared, Vcpu, VcpuEpoch};
use seamcheck_model::system::{System, pack};
use std::cell::RefCell;

/// Why a set of views proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// The initial state's view is missing.
    #[error("the initial view is not in the set")]
    NoStart,
    /// A view points at lines or steps that this question's programs do not have.
    #[error("{at} is no state of this question")]
    Stranger {
        /// The view.
        at: View,
    },
    /// A step leads out of the set.
    #[error("the set is not closed: from {from} a step leads to {to}, which is not in it")]
    Open {
        /// A view of the state before.
        from: View,
        /// The view that is missing.
        to: View,
    },
    /// A view, or a step between views, breaks a property that is claimed.
    #[error("the set contains what breaks {}, at {at}", .property.key())]
    Bad {
        /// The property.
        property: Property,
        /// Where.
        at: View,
    },
    /// Two vCPUs come to hold a lock against each other, so leaving such pairs out was wrong.
    #[error("two vCPUs hold a lock against each other after a step from {from}")]
    Clash {
        /// A view of the state before.
        from: View,
    },
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
pub fn recheck(system: &System, views: &Views, claimed: PropertySet) -> Result<u64, Flaw> {
    let start = system.initial();
    if !views.contains(View::of(&start.shared, &start.vcpus[0])) {
        return Err(Flaw::NoStart);
    }
    let mut states = 0;
    for key in views.shareds() {
        let shared = views::shared(key);
        let stranger = views.vcpus(key).iter().find(|vcpu| !system.has_vcpu(vcpu));
        if let Some(vcpu) = stranger.or(views
            .vcpus(key)
            .first()
            .filter(|_| !system.has_shared(&shared)))
        {
            let at = View::of(&shared, vcpu);
            return Err(Flaw::Stranger { at });
        }
        let mut checker = Checker {
            system,
            views,
            claimed,
            shared,
            key,
            classes: classes(system, views.vcpus(key)),
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
    kick: [KickPhase; 2],
    offline: bool,
    epoch: VcpuEpoch,
}

fn footing(system: &System, vcpu: &Vcpu) -> Footing {
    let line = system.vcpu_line(vcpu);
    Footing {
        held: system.held_by_vcpu(vcpu),
        page: vcpu.control.page,
        kvm: line.held,
        frozen: line.frozen,
        kick: [vcpu.kick, vcpu.second_kick],
        offline: vcpu.offline,
        epoch: vcpu.epoch,
    }
}

/// The vCPUs by footing. To others, vCPUs of equal footing are as good as each other.
fn classes(system: &System, vcpus: &[Vcpu]) -> Vec<Vec<Vcpu>> {
    let mut index: FxHashMap<Footing, usize> = FxHashMap::default();
    let mut classes: Vec<Vec<Vcpu>> = Vec::new();
    for vcpu in vcpus {
        let class = *index.entry(footing(system, vcpu)).or_insert(classes.len());
        if class == classes.len() {
            classes.push(Vec::new());
        }
        classes[class].push(*vcpu);
    }
    classes
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
    fn movers(self, first: Vcpu, system: &System) -> Vec<Mover> {
        let mut movers = vec![Mover::Vcpu(first)];
        movers.extend(system.zappers().map(|part| Mover::Kick(part, first)));
        if self == Self::AnySingleton {
            movers.push(Mover::Zapper);
            movers.extend((0..system.threads.len() as u8).map(Mover::Thread));
        }
        movers
    }
}

struct Checker<'a> {
    system: &'a System,
    views: &'a Views,
    claimed: PropertySet,
    shared: Shared,
    key: SharedKey,
    classes: Vec<Vec<Vcpu>>,
    tried: FxHashSet<(Asker, Vec<u64>)>,
    /// What is asked by steps of the first vCPU, and of singletons when it is alone.
    asked: Vec<Predicate>,
    /// A step of the first vCPU, or one about it, changed what others can notice.
    loud: bool,
}

impl Checker<'_> {
    /// Each vCPU alone; and beside every other if others can notice what it does.
    fn all(&mut self) -> Result<(), Flaw> {
        for one in self.views.vcpus(self.key) {
            let at = View::of(&self.shared, one);
            let broken = self
                .system
                .broken_by_view(&self.shared, std::slice::from_ref(one));
            if let Some(property) = properties(broken & self.claimed).next() {
                return Err(Flaw::Bad { property, at });
            }
            self.loud = false;
            self.asked.clear();
            self.members(&[*one], Asker::AnySingleton, &[])?;
            for class in if self.loud {
                self.classes.clone()
            } else {
                Vec::new()
            } {
                if !self.system.clash(one, &class[0]) {
                    self.members(&[*one, class[0]], Asker::FirstVcpu, &class)?;
                }
            }
        }
        Ok(())
    }

    /// Every step of a state of these vCPUs, and of it with witnesses for what was answered no. The
    /// second one speaks for its class.
    fn members(&mut self, members: &[Vcpu], asker: Asker, class: &[Vcpu]) -> Result<(), Flaw> {
        let mut name: Vec<u64> = members.iter().map(pack::pack_vcpu).collect();
        // The first keeps its place: whether it is loud depends on it.
        name[1..].sort_unstable();
        if !self.tried.insert((asker, name)) {
            return Ok(());
        }
        for question in self.steps(members, asker, class)? {
            for witness in self.witnesses(members, asker, question) {
                let more: Vec<Vcpu> = members.iter().copied().chain([witness]).collect();
                self.members(&more, asker, class)?;
            }
        }
        Ok(())
    }

    /// Who can stand beside `members` and make the answer yes. When all that the first vCPU asks is
    /// known, one is enough for each combination of answers.
    fn witnesses(&self, members: &[Vcpu], asker: Asker, question: Predicate) -> Vec<Vcpu> {
        let system = self.system;
        let fits = |witness: &&Vcpu| {
            question.holds(system, witness)
                && !members.iter().any(|member| system.clash(member, witness))
        };
        let spokesmen = self.classes.iter().map(|class| &class[0]);
        let fitting = spokesmen.filter(fits).copied();
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

    /// Takes every step that is looked at; returns the questions that were answered no.
    fn steps(
        &mut self,
        members: &[Vcpu],
        asker: Asker,
        class: &[Vcpu],
    ) -> Result<Vec<Predicate>, Flaw> {
        let (system, shared) = (self.system, self.shared);
        let log = RefCell::new(Vec::new());
        for mover in asker.movers(members[0], system) {
            let is_first = matches!(mover, Mover::Vcpu(_) | Mover::Kick(..));
            let others = Recording {
                others: AllBut {
                    vcpus: members,
                    except: if is_first { 0 } else { usize::MAX },
                },
                log: &log,
            };
            let mut found = Vec::new();
            if system
                .moves(&shared, mover, &others, |done| found.push(done))
                .0
            {
                return Err(Flaw::Overflow);
            }
            for done in &found {
                self.successor(members, done, class)?;
            }
        }
        Ok(self.unanswered(&log.borrow()))
    }

    /// Whether a successor's views are in the set, and break nothing.
    fn successor(&mut self, members: &[Vcpu], done: &Move, class: &[Vcpu]) -> Result<(), Flaw> {
        let system = self.system;
        let from = View::of(&self.shared, &members[0]);
        let mut after: Vec<Vcpu> = members
            .iter()
            .map(|vcpu| done.bystander(system, *vcpu))
            .collect();
        if let Some(own) = done.own {
            after[0] = own;
            self.loud |=
                self.shared != done.shared || footing(system, &members[0]) != footing(system, &own);
        }
        let broken = system.broken_by_steps(&self.shared, &done.trail, &done.shared);
        if let Some(property) = properties(broken & self.claimed).next() {
            return Err(Flaw::Bad { property, at: from });
        }
        let others = class.iter().map(|vcpu| done.bystander(system, *vcpu));
        let all = after.iter().copied().chain(others);
        let mut seen = all.map(|vcpu| View::of(&done.shared, &vcpu));
        if let Some(to) = seen.find(|view| !self.views.contains(*view)) {
            return Err(Flaw::Open { from, to });
        }
        let clash = after.iter().enumerate().any(|(index, one)| {
            let others = &after[index + 1..];
            others.iter().any(|other| system.clash(one, other))
        });
        if clash {
            return Err(Flaw::Clash { from });
        }
        Ok(())
    }

    /// Remembers what was asked, and returns what was answered no.
    fn unanswered(&mut self, log: &[Asked]) -> Vec<Predicate> {
        let mut questions = Vec::new();
        for entry in log {
            let Asked::Question(predicate, answer) = entry else {
                continue;
            };
            if !self.asked.contains(predicate) {
                self.asked.push(*predicate);
            }
            if !answer && !questions.contains(predicate) {
                questions.push(*predicate);
            }
        }
        questions
    }
}
