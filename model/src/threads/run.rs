//! One execution of a scenario on an engine.

use super::event;
use super::happened;
use super::kvm::{Kvm, Met};
use super::module::Current;
use super::runtime::Runtime;
use super::scenario::Scenario;
use super::watch;
use super::zappers::SECOND;
use crate::system::Agent;
use std::sync::Arc;

/// Runs a scenario once: the zapper on this thread, each vCPU and each ioctl on one of its own, who else kicks, and
/// a second zapper on the last.
///
/// The decisions are taken as [`Scenario::check`]ed. The journal of the execution is left on this
/// OS thread.
#[must_use]
pub fn execute<R: Runtime>(scenario: &Scenario) -> Met {
    drop(event::take_journal());
    let kvm = Arc::new(Kvm::<R>::new(scenario));
    if scenario.in_guest {
        kvm.begin_in_guests();
    }
    let vcpus: Vec<_> = (0..scenario.running_vcpus())
        .map(|index| {
            let kvm = Arc::clone(&kvm);
            R::spawn(move || kvm.vcpu_run(Current::new(Agent::Vcpu(index as u8))))
        })
        .collect();
    let ioctls = scenario.beside.ioctls().map(|(index, thread)| {
        let kvm = Arc::clone(&kvm);
        R::spawn(move || kvm.ioctl(Current::new(Agent::Thread(index)), thread))
    });
    let ioctls: Vec<_> = ioctls.collect();
    let somebody = scenario.foreign_kick.then(|| {
        let kvm = Arc::clone(&kvm);
        R::spawn(move || kvm.foreign_kicks())
    });
    let second = (scenario.zappers.count() > 1).then(|| {
        let kvm = Arc::clone(&kvm);
        R::spawn(move || kvm.zap(Current::new(SECOND).about(1)))
    });
    let met = kvm.zap(Current::new(Agent::Zapper));
    let met = vcpus.into_iter().fold(met, |met, vcpu| met.and(vcpu()));
    let met = ioctls.into_iter().fold(met, |met, ioctl| met.and(ioctl()));
    if let Some(somebody) = somebody {
        somebody();
    }
    let mut met = second
        .into_iter()
        .fold(met, |met, zapper| met.and(zapper()));
    let inside = if scenario.in_guest { scenario.vcpus } else { 0 };
    met.violated |= event::with_journal(|journal| watch::broken(journal, inside));
    met.happened |= event::with_journal(happened::happened);
    met
}
