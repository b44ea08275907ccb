//! The smallest set of views that contains the start and is closed under every move among any
//! number of vCPUs.

use super::guess;
use super::views::{self, SharedKey, View, Views};
use crate::engine::{Cut, Limits, Watch};
use rustc_hash::{FxHashMap, FxHashSet};
use seamcheck_model::property::{Property, PropertySet, properties};
use seamcheck_model::system::moves::{Move, Mover};
use seamcheck_model::system::others::Predicate;
use seamcheck_model::system::state::{Shared, Vcpu};
use seamcheck_model::system::{Agent, System, Trail};
use std::collections::VecDeque;
use std::sync::atomic::Ordering;
use std::time::Instant;

/// How a view came about.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The view before; `None` for the start.
    pub before: Option<View>,
    /// Who moved, seen from the view's vCPU.
    pub who: Who,
    /// The steps.
    pub trail: Trail,
}

/// Who moved, seen from the vCPU in view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The vCPU in view.
    Itself,
    /// Another vCPU.
    Another,
    /// The zapper.
    Zapper,
    /// An ioctl thread.
    Thread(u8),
}

/// A view, or a move from it, that breaks a property.
#[derive(Clone, Debug)]
pub struct Bad {
    /// Which property.
    pub property: Property,
    /// The moves that lead there, first to last; the last one breaks it.
    pub path: Vec<(Who, Trail)>,
}

/// What the collection found.
#[derive(Debug)]
pub struct Fixpoint {
    /// The views.
    pub views: Views,
    /// The first breach of each property.
    pub bad: Vec<Bad>,
    /// Why it was cut short.
    pub cut: Option<Cut>,
}

/// Collects the views of `system`, whose number of vCPUs is of no account as long as it is two or more.
#[must_use]
pub fn collect(system: &System, limits: Limits, watch: &Watch) -> Fixpoint {
    let mut work = Work {
        system,
        views: Views::default(),
        origins: FxHashMap::default(),
        queue: VecDeque::new(),
        queued: FxHashSet::default(),
        broken: 0,
        bad: Vec::new(),
        overflowed: false,
    };
    let started = Instant::now();
    let start = system.initial();
    work.add(
        &start.shared,
        &start.vcpus[0],
        None,
        Who::Itself,
        Trail::EMPTY,
    );
    let mut cut = None;
    while let Some(key) = work.queue.pop_front() {
        work.queued.remove(&key);
        work.close(key);
        watch.states.store(work.views.len(), Ordering::Relaxed);
        cut = if watch.is_stopped() {
            Some(Cut::Interrupted)
        } else if work.views.len() > limits.states {
            Some(Cut::States)
        } else if work.bytes() > limits.memory {
            Some(Cut::Memory)
        } else if started.elapsed() >= limits.time {
            Some(Cut::Time)
        } else {
            None
        };
        if cut.is_some() {
            break;
        }
    }
    if cut.is_none() && work.overflowed {
        cut = Some(Cut::StoreBuffer);
    }
    Fixpoint {
        views: work.views,
        bad: work.bad,
        cut,
    }
}

struct Work<'a> {
    system: &'a System,
    views: Views,
    origins: FxHashMap<View, Origin>,
    queue: VecDeque<SharedKey>,
    queued: FxHashSet<SharedKey>,
    broken: PropertySet,
    bad: Vec<Bad>,
    overflowed: bool,
}

impl Work<'_> {
    /// What the views take, about, with the room that their tables would grow into.
    fn bytes(&self) -> u64 {
        let view = size_of::<View>() + size_of::<Origin>();
        let each = view + size_of::<seamcheck_model::system::state::Vcpu>() + size_of::<u64>();
        3 * self.views.len() * each as u64
    }

    /// Every move from states made of the views beside `key`.
    fn close(&mut self, key: SharedKey) {
        let shared = views::shared(key);
        let vcpus = self.views.vcpus(key).to_vec();
        let mut movers = vec![(Mover::Zapper, Who::Zapper)];
        for index in 0..self.system.threads.len() as u8 {
            movers.push((Mover::Thread(index), Who::Thread(index)));
        }
        for vcpu in &vcpus {
            movers.push((Mover::Vcpu(*vcpu), Who::Another));
            for part in self.system.kickers(&shared) {
                let who = match part.agent() {
                    Agent::Thread(index) => Who::Thread(index),
                    _ => Who::Zapper,
                };
                movers.push((Mover::Kick(part, *vcpu), who));
            }
        }
        for (mover, who) in movers {
            let among = Among {
                system: self.system,
                vcpus: &vcpus,
                mover,
            };
            let mut found = Vec::new();
            self.overflowed |= guess::moves(
                self.system,
                &shared,
                mover,
                |predicate| among.witness(predicate, None),
                |done, assumed| found.push((done.clone(), assumed.clone())),
            );
            for (done, assumed) in &found {
                self.apply(&shared, &among, who, done, assumed);
            }
        }
    }

    /// The views after one move: of the vCPU it is about, and of every bystander it allows.
    fn apply(
        &mut self,
        shared: &Shared,
        among: &Among<'_>,
        who: Who,
        done: &Move,
        assumed: &guess::Assumed,
    ) {
        let breaks = self
            .system
            .broken_by_steps(shared, &done.trail, &done.shared);
        let own = among.own();
        if let (Some(before), Some(after)) = (own, &done.own) {
            let who = if who == Who::Another {
                Who::Itself
            } else {
                who
            };
            let before = View::of(shared, before);
            self.blame(breaks, Some(before), who, done.trail);
            self.add(&done.shared, after, Some(before), who, done.trail);
        }
        // A bystander sees nothing of a move that leaves the singletons as they are.
        if done.shared == *shared && !done.reaches_bystanders() {
            return;
        }
        for bystander in among.vcpus {
            if !among.allows(bystander, assumed) {
                continue;
            }
            let after = done.bystander(self.system, *bystander);
            let before = View::of(shared, bystander);
            self.blame(breaks, Some(before), who, done.trail);
            self.add(&done.shared, &after, Some(before), who, done.trail);
        }
    }

    fn add(&mut self, shared: &Shared, vcpu: &Vcpu, before: Option<View>, who: Who, trail: Trail) {
        let view = View::of(shared, vcpu);
        if !self.views.insert(view) {
            return;
        }
        self.origins.insert(view, Origin { before, who, trail });
        if self.queued.insert(view.shared) {
            self.queue.push_back(view.shared);
        }
        let broken = self
            .system
            .broken_by_view(shared, std::slice::from_ref(vcpu));
        self.blame(broken, before, who, trail);
    }

    fn blame(&mut self, broken: PropertySet, before: Option<View>, who: Who, trail: Trail) {
        let new = broken & !self.broken;
        self.broken |= broken;
        for property in properties(new) {
            let mut path = self.path_to(before);
            path.push((who, trail));
            self.bad.push(Bad { property, path });
        }
    }

    fn path_to(&self, mut view: Option<View>) -> Vec<(Who, Trail)> {
        let mut path = Vec::new();
        while let Some(origin) = view.and_then(|view| self.origins.get(&view)) {
            if origin.before.is_some() {
                path.push((origin.who, origin.trail));
            }
            view = origin.before;
        }
        path.reverse();
        path
    }
}

/// A mover among the vCPUs seen beside the same singletons.
struct Among<'a> {
    system: &'a System,
    vcpus: &'a [Vcpu],
    mover: Mover,
}

impl Among<'_> {
    fn own(&self) -> Option<&Vcpu> {
        match &self.mover {
            Mover::Vcpu(vcpu) | Mover::Kick(_, vcpu) => Some(vcpu),
            Mover::Zapper | Mover::Thread(_) => None,
        }
    }

    fn clashes(&self, vcpu: &Vcpu) -> bool {
        self.own().is_some_and(|own| self.system.clash(own, vcpu))
    }

    /// Whether some vCPU that can stand beside the mover, and beside `also`, makes the answer yes.
    fn witness(&self, predicate: Predicate, also: Option<&Vcpu>) -> bool {
        self.vcpus.iter().any(|vcpu| {
            predicate.holds(self.system, vcpu)
                && !self.clashes(vcpu)
                && also.is_none_or(|also| !self.system.clash(also, vcpu))
        })
    }

    /// Whether `bystander` can be there under what was assumed: it makes no answer wrong, and every
    /// yes is made true by it or by somebody who can stand beside it.
    fn allows(&self, bystander: &Vcpu, assumed: &guess::Assumed) -> bool {
        !self.clashes(bystander)
            && assumed.iter().all(|(predicate, answer)| {
                let holds = predicate.holds(self.system, bystander);
                if *answer {
                    holds || self.witness(*predicate, Some(bystander))
                } else {
                    !holds
                }
            })
    }
}
