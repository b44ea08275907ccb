//! One execution of a scenario on an engine.

use super::event;
use super::kvm::{Kvm, Met};
use super::module::Current;
use super::runtime::Runtime;
use super::scenario::Scenario;
use super::watch;
use crate::system::Agent;
use std::sync::Arc;

/// Runs a scenario once: the zapper on this thread, each vCPU on one of its own, and so who else kicks.
///
/// The decisions are taken as [`Scenario::check`]ed. The journal of the execution is left on this
/// OS thread.
#[must_use]
pub fn execute<R: Runtime>(scenario: &Scenario) -> Met {
    drop(event::take_journal());
    let kvm = Arc::new(Kvm::<R>::new(scenario));
    let vcpus: Vec<_> = (0..scenario.vcpus)
        .map(|index| {
            let kvm = Arc::clone(&kvm);
            R::spawn(move || kvm.vcpu_run(Current::new(Agent::Vcpu(index as u8))))
        })
        .collect();
    let somebody = scenario.foreign_kick.then(|| {
        let kvm = Arc::clone(&kvm);
        R::spawn(move || kvm.foreign_kicks())
    });
    let met = kvm.zap(Current::new(Agent::Zapper));
    let mut met = vcpus.into_iter().fold(met, |met, vcpu| met.and(vcpu()));
    if let Some(somebody) = somebody {
        somebody();
    }
    met.violated |= event::with_journal(watch::broken);
    met
}
