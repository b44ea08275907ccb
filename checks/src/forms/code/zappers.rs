//! Under which KVM locks a request removes pages: those of the kernel profile's `[zap]`, in words.

use crate::question::{DROP, HOLD};
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::kernel::KernelProfile;
use seamcheck_model::resource::KvmMode;
use seamcheck_model::threads::Zappers;

/// The locks around a page removal, outermost first: `mmu_lock:write`.
pub(super) fn locks_of(profile: &KernelProfile) -> Vec<String> {
    let order = profile.zap.order.iter();
    order
        .map(|(lock, mode)| format!("{}:{}", lock.key(), mode.key()))
        .collect()
}

/// What has to change in a profile for its page removal to have these locks, as a question's changes.
pub(super) fn changes(profile: &KernelProfile, locks: &[String]) -> Vec<(String, String)> {
    let had = locks_of(profile);
    let gone = had.iter().filter(|lock| !locks.contains(lock));
    let drop = gone.map(|lock| {
        let lock = lock.split(':').next().unwrap_or(lock);
        format!("{DROP} {lock}@zap")
    });
    let new = locks.iter().filter(|lock| !had.contains(lock));
    let hold = new.map(|lock| format!("{HOLD} {lock}@zap"));
    drop.chain(hold)
        .map(|change| (change, String::new()))
        .collect()
}

/// Two zappers in words, for the bounds of a verdict; one needs none, under mmu_lock for write.
pub(super) fn text(zappers: Zappers) -> Option<String> {
    let lock = match zappers.mmu_lock() {
        Some(KvmMode::Write) => "mmu_lock for write",
        Some(KvmMode::Read) => "mmu_lock for read",
        None => "no mmu_lock",
    };
    match zappers.count() {
        1 if zappers.mmu_lock() == Some(KvmMode::Write) => None,
        1 => Some(format!("1 zapper under {lock}")),
        many => Some(format!("{many} zappers under {lock}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::question::{Question, QuestionError, Source};
    use seamcheck_model::scenario::Scenario;

    fn changed(locks: &[&str]) -> Result<KernelProfile, QuestionError> {
        let (module, kernel) = (Source::module("1.5.05")?, Source::kernel("6.16")?);
        let locks: Vec<String> = locks.iter().map(|lock| (*lock).to_owned()).collect();
        let set = changes(&kernel.profile()?, &locks);
        Ok(Question::new(module, kernel, set, Scenario::default())?.profile)
    }

    #[test]
    fn a_removal_is_given_the_locks_of_a_request() -> Result<(), QuestionError> {
        for locks in [
            &["invalidate_lock:write", "mmu_lock:write"][..],
            &["invalidate_lock:write", "mmu_lock:read"],
            &["invalidate_lock:write"],
            &["slots_lock:write", "mmu_lock:write"],
            &[],
        ] {
            assert_eq!(locks_of(&changed(locks)?), locks);
        }
        assert!(changed(&["no_lock:write"]).is_err());
        Ok(())
    }
}
