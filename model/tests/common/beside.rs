//! Kernels and code of an ioctl beside the zapper.

use super::{Outcome, profile};
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::scenario;
use seamcheck_model::system::Agent;
use seamcheck_model::threads::{Beside, Entry, Event, Scenario};

pub(crate) const INIT_VCPU: &[&str] = &["KVM_TDX_INIT_VCPU"];
pub(crate) const M10: &[&str] = &["KVM_TDX_INIT_MEM_REGION", "KVM_TDX_INIT_VCPU"];

/// 6.19 with mmu_lock taken from TDH.VP.INIT, by the words that the model is told.
pub(crate) fn m27() -> Outcome<KernelProfile> {
    let mut kernel = profile("6.19")?;
    kernel.release("mmu_lock@KVM_TDX_INIT_VCPU/TDH.VP.INIT@1")?;
    Ok(kernel)
}

/// Patch v1 whose flag is left up on an error.
pub(crate) fn m10() -> Outcome<KernelProfile> {
    let mut kernel = profile("patch-v1")?;
    kernel.decisions.set("flag_clear", "only-on-success")?;
    Ok(kernel)
}

pub(crate) fn asked(threads: &[&str]) -> scenario::Scenario {
    scenario::Scenario {
        vcpus: usize::from(threads == M10),
        threads: threads.iter().map(|name| (*name).to_owned()).collect(),
        finalized: false,
        populated: threads != M10,
        ..scenario::Scenario::default()
    }
}

pub(crate) fn code(kernel: &KernelProfile, threads: &[&str], laps: usize) -> Outcome<Scenario> {
    let asked = asked(threads);
    Ok(Scenario {
        laps,
        vcpus: asked.vcpus,
        ..Scenario::beside_ioctls(kernel.decisions, Beside::of(kernel, &asked)?)
    })
}

/// Whether a KVM_BUG_ON of an ioctl's has fired: what comes behind it happens in a dead VM.
pub(crate) fn is_dead(journal: &[Entry]) -> bool {
    let bug_on =
        |entry: &Entry| matches!(entry.agent, Agent::Thread(_)) && entry.event == Event::BugOn;
    journal.iter().any(bug_on)
}

/// Kernels whose models the code of a third must not fit.
pub(crate) fn others() -> Outcome<[(KernelProfile, KernelProfile); 3]> {
    let (broken, fixed) = (m27()?, profile("6.19")?);
    let mut other = broken.clone();
    other.decisions.set("flag_clear", "before-retry")?;
    Ok([
        (other, broken.clone()),
        (fixed.clone(), broken.clone()),
        (broken, fixed),
    ])
}
