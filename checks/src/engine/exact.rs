//! The exact engine: breadth first, whole states as keys, the same counts every time.
//!
//! `moves` works out what an agent can do once for each situation it can be in, so that the
//! search mostly looks up and compares; `interned` numbers singletons and vCPUs, and a state is
//! kept as their numbers in `visited`; `layers` is the search, on one thread or several. It
//! keeps no way back: for what it finds broken, `traced` searches once more and does.

mod interned;
mod layers;
mod moves;
mod traced;
mod visited;

pub use traced::First;

use super::{Clock, Cut, Limits, Report, Violation, Watch};
use layers::Layers;
use seamcheck_model::property::Property;
use seamcheck_model::scenario::MAX_VCPUS;
use seamcheck_model::system::{Event, State, System};

/// What to stop at, once the states at that distance are all expanded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Until {
    /// Explore everything; remember the first violation of each property.
    Everything,
    /// Stop at the first violation of this one.
    Violates(Property),
    /// Stop as soon as this step number has fired.
    Fires(u16),
}

/// A state: the number of its singletons, then those of its vCPUs.
type Key<const W: usize> = [u32; W];

/// Searches `system` for the nearest event that `wanted` says yes to, given the state before it.
#[must_use]
pub fn first(
    system: &System,
    limits: Limits,
    watch: &Watch,
    wanted: impl FnMut(&State, &Event) -> bool,
) -> First {
    traced::first(system, limits, watch, wanted)
}

/// Searches `system` for every way in which KVM_BUG_ON can fire: for each line that fires it and each
/// status it fires for a shortest trace; how many states there are; and why the search was cut short.
#[must_use]
pub fn failures(
    system: &System,
    limits: Limits,
    watch: &Watch,
) -> (Vec<Violation>, u64, Option<Cut>) {
    traced::failures(system, limits, watch)
}

/// Searches `system`.
#[must_use]
pub fn search(system: &System, until: Until, limits: Limits, watch: &Watch) -> Report {
    let (threads, clock) = (limits.threads.max(1), Clock::start());
    let (mut report, broken) = match system.scenario.vcpus {
        0 => Layers::<1>::new(system, until, threads).run(limits, watch),
        1 => Layers::<2>::new(system, until, threads).run(limits, watch),
        2 => Layers::<3>::new(system, until, threads).run(limits, watch),
        3 => Layers::<4>::new(system, until, threads).run(limits, watch),
        4 => Layers::<5>::new(system, until, threads).run(limits, watch),
        _ => Layers::<{ 1 + MAX_VCPUS }>::new(system, until, threads).run(limits, watch),
    };
    if broken != 0 {
        let found = traced::violations(system, broken, limits, clock, watch);
        report.violations = found.violations;
        if found.cut.is_some() {
            report.cut = found.cut;
            report.complete = false;
        }
    }
    report
}
