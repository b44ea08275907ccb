//! Liveness: what must happen in the end, if everybody who can go on does go on.
//!
//! [`graph`] explores the states with vCPUs told apart; [`watch`] says which states break a property
//! if nothing but them ever follows; [`fair`] looks for a way to stay in them in which nobody is held
//! back unfairly; [`lasso`] makes an execution of it and checks one. docs/liveness.md says what is
//! fair, and why.

pub mod fair;
pub mod fairness;
pub mod graph;
pub mod lasso;
pub mod watch;

use crate::engine::{Clock, Cut, Limits, Watch};
use graph::Graph;
use lasso::Lasso;
use seamcheck_model::property::Property;
use seamcheck_model::system::{Reductions, System};
use std::time::Duration;

/// What the search says about a property.
#[derive(Clone, Debug)]
pub enum Found {
    /// There is no fair way to break it, and what it promises does happen.
    Holds,
    /// This is one.
    Violated(Lasso),
    /// There is none, but what it promises never happens either.
    Vacuous,
}

/// A search for several properties.
#[derive(Debug)]
pub struct Report {
    /// The system that was searched: vCPUs told apart.
    pub system: System,
    /// How many states it has.
    pub states: u64,
    /// What was found, or why nothing can be said.
    pub found: Result<Vec<(Property, Found)>, Cut>,
    /// Wall-clock time.
    pub elapsed: Duration,
}

impl Report {
    /// What was found about a property that was asked for.
    ///
    /// # Errors
    /// The reason when the search was cut short.
    pub fn of(&self, property: Property) -> Result<&Found, Cut> {
        let found = self.found.as_ref().map_err(|cut| *cut)?;
        let found = found.iter().find(|(other, _)| *other == property);
        Ok(found.map_or(&Found::Vacuous, |(_, found)| found))
    }
}

/// Explores a system and judges liveness properties.
#[must_use]
pub fn search(system: &System, wanted: &[Property], limits: Limits, watch: &Watch) -> Report {
    let clock = Clock::start();
    let mut system = system.clone();
    system.reductions = Reductions {
        sort_vcpus: false,
        ..system.reductions
    };
    let (states, found) = match Graph::explore(&system, limits, watch) {
        Err(cut) => (0, Err(cut)),
        Ok(graph) => {
            let judged = |property| (property, judge(&system, &graph, property));
            let found = wanted.iter().copied().map(judged).collect();
            (graph.len() as u64, Ok(found))
        }
    };
    Report {
        system,
        states,
        found,
        elapsed: clock.elapsed(),
    }
}

fn judge(system: &System, graph: &Graph, property: Property) -> Found {
    let mut happens = false;
    let mut shortest: Option<Lasso> = None;
    for watch in watch::watches(system, property) {
        let stays = watch.states(system, graph);
        happens |= graph.leaves(&stays);
        if let Some(region) = nearest(graph, stays, watch.terms) {
            let lasso = lasso::through(system, graph, &region, watch.terms);
            if shortest.as_ref().is_none_or(|old| lasso.len() < old.len()) {
                shortest = Some(lasso);
            }
        }
    }
    match shortest {
        Some(lasso) => Found::Violated(lasso),
        None if happens => Found::Holds,
        None => Found::Vacuous,
    }
}

/// A region made of the states nearest to the start, so that its lasso is short: of all prefixes of
/// the states, in the order of their distance, the shortest that has one.
fn nearest(graph: &Graph, mut stays: Vec<bool>, terms: fair::Terms) -> Option<Vec<u32>> {
    let mut best = fair::region(graph, &stays, terms)?;
    let (mut without, mut with) = (0, stays.len());
    while without + 1 < with {
        let middle = without.midpoint(with);
        let mut prefix = stays.clone();
        prefix[middle..].fill(false);
        match fair::region(graph, &prefix, terms) {
            Some(region) => (best, with, stays) = (region, middle, prefix),
            None => without = middle,
        }
    }
    Some(best)
}
