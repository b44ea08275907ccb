//! One execution of a scenario on an engine.

use super::event;
use super::kvm::{Kvm, Met};
use super::module::Current;
use super::runtime::Runtime;
use super::scenario::Scenario;
use super::watch;
use crate::system::Agent;
use std::sync::Arc;

/// Runs a scenario once: the zapper on this thread, each vCPU and each ioctl on one of its own.
///
/// The decisions are taken as [`Scenario::check`]ed. The journal of the execution is left on this
/// OS thread.
#[must_use]
pub fn execute<R: Runtime>(scenario: &Scenario) -> Met {
    drop(event::take_journal());
    let kvm = Arc::new(Kvm::<R>::new(scenario));
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
    let met = kvm.zap(Current::new(Agent::Zapper));
    let met = vcpus.into_iter().fold(met, |met, vcpu| met.and(vcpu()));
    let mut met = ioctls.into_iter().fold(met, |met, ioctl| met.and(ioctl()));
    met.violated |= event::with_journal(watch::broken);
    met
}
