//! The design decisions of the retry protocol, one closed enum each.
//!
//! A kernel version is a full assignment ([`Decisions`]); a mutant is one decision changed;
//! a what-if is any change a user types. Mutant numbers (M01 …) are those of `docs/mutants.md`.

use crate::closed_enum::{ClosedEnum, closed_enum};
use crate::data::suggest;

closed_enum! { "flag_raise",
    /// When `wait_for_sept_zap` is raised around a no-fail SEAMCALL.
    pub enum FlagRaise {
        BeforeKick = "before-kick": "after the first BUSY, before the kick (tdx_no_vcpus_enter_start)",
        AfterKick = "after-kick": "after the first BUSY, but only once the kick is over (M01)",
        AroundAllThree = "around-all-three": "once, with one kick, around BLOCK, TRACK and REMOVE; no first attempt without it (M37)",
        Never = "never": "the flag is never raised",
        RequestBit = "request-bit": "a request bit of each vCPU's own, set by the kick as it walks them and cleared by a loop (RFC, M30)",
    }
}

closed_enum! { "flag_clear",
    /// When `wait_for_sept_zap` is lowered again.
    pub enum FlagClear {
        AfterRetry = "after-retry": "after the retry, whatever it returned (tdx_no_vcpus_enter_stop)",
        BeforeRetry = "before-retry": "before the retry (M09)",
        OnlyOnSuccess = "only-on-success": "skipped when the retry returned an error (M10)",
    }
}

closed_enum! { "kick",
    /// What makes vCPUs leave guest mode before the retry.
    pub enum Kick {
        RequestWait = "request-wait": "kvm_make_all_cpus_request(KVM_REQ_OUTSIDE_GUEST_MODE): IPI unless OUTSIDE_GUEST_MODE, wait for every acknowledgement",
        RequestWaitInGuestOnly = "request-wait-in-guest-only": "the same request, waiting, but with an IPI only when IN_GUEST_MODE, as if kvm_request_needs_ipi() did not ask for KVM_REQUEST_WAIT (M40)",
        RequestNoWait = "request-no-wait": "the same request without KVM_REQUEST_WAIT: IPI only when IN_GUEST_MODE, no waiting (M03)",
        VcpuKick = "vcpu-kick": "kvm_vcpu_kick() on each vCPU: IPI only when IN_GUEST_MODE, coalesced, never waited for (M04)",
        None = "none": "no kick (M02)",
    }
}

impl Kick {
    /// Whether the kick waits for the IPIs that it has sent (KVM_REQUEST_WAIT).
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::RequestWait | Self::RequestWaitInGuestOnly)
    }
}

closed_enum! { "kick_mode_read",
    /// How the kick reads a vCPU's `mode`.
    pub enum KickModeRead {
        LockedCmpxchg = "locked-cmpxchg": "cmpxchg(mode, IN_GUEST_MODE, EXITING_GUEST_MODE): a full barrier on x86 even when it fails",
        CpuBeforeMode = "cpu-before-mode": "as locked-cmpxchg, but vcpu->cpu is read before mode (M18)",
        PlainLoad = "plain-load": "a plain load of mode, no barrier, mode left as it is (M07)",
    }
}

closed_enum! { "vcpu_flag_test",
    /// Where the vCPU tests `wait_for_sept_zap`.
    pub enum VcpuFlagTest {
        InTdxVcpuRun = "in-tdx-vcpu-run": "in tdx_vcpu_run(), after the mode store and its barrier, IRQs off, on every lap of the fastpath loop",
        FirstLapOnly = "first-lap-only": "as upstream, but not again when the fastpath loop re-enters (M11)",
        BeforeModeStore = "before-mode-store": "hoisted above the store of IN_GUEST_MODE, IRQs already off (M05)",
        BeforeIrqDisable = "before-irq-disable": "hoisted above local_irq_disable() (M05)",
        Absent = "absent": "never tested",
    }
}

closed_enum! { "vcpu_barrier",
    /// What orders the vCPU's store of IN_GUEST_MODE before its load of the flag.
    pub enum VcpuBarrier {
        SrcuUnlock = "srcu-unlock": "the smp_mb() inside srcu_read_unlock(), after the mode store",
        Absent = "absent": "no full barrier between the two (M06)",
        SrcuUnlockBeforeModeStore = "srcu-unlock-before-mode-store": "srcu_read_unlock() moved above the mode store (M08)",
        LightSrcu = "light-srcu": "an SRCU flavour whose lock and unlock contain no smp_mb() (M08)",
    }
}

closed_enum! { "mode_outside",
    /// When the vCPU stores OUTSIDE_GUEST_MODE.
    pub enum ModeOutside {
        AfterVpEnter = "after-vp-enter": "after TDH.VP.ENTER has returned",
        BeforeVpEnter = "before-vp-enter": "before TDH.VP.ENTER has returned (M19)",
    }
}

closed_enum! { "irq_disable",
    /// Where the vCPU disables interrupts on its way into the guest.
    pub enum IrqDisable {
        BeforeModeStore = "before-mode-store": "local_irq_disable() before the store of IN_GUEST_MODE",
        AfterFlagTest = "after-flag-test": "only after the flag was tested, so that the IPI can be acknowledged in between (M20)",
    }
}

closed_enum! { "busy_predicate",
    /// Which statuses of BLOCK, TRACK and REMOVE count as "busy".
    pub enum BusyPredicate {
        Masked = "masked": "tdx_operand_busy(): (err & TDX_SEAMCALL_STATUS_MASK) == TDX_OPERAND_BUSY",
        BitTest = "bit-test": "err & TDX_OPERAND_BUSY for BLOCK and REMOVE, masked equality for TRACK, as in patch v1 (M21)",
        SeptBusy = "sept-busy": "err == (TDX_OPERAND_BUSY | TDX_OPERAND_ID_SEPT), the alias used before the patch (M22)",
        SeptBusyTrackMasked = "sept-busy-track-masked": "as sept-busy for BLOCK and REMOVE, masked equality for TRACK, as before the patch",
        Unmasked = "unmasked": "err == TDX_OPERAND_BUSY, operand not masked (M23)",
        MaskedOrEpochBusy = "masked-or-epoch-busy": "masked equality with TDX_OPERAND_BUSY or TDX_PREVIOUS_TLB_EPOCH_BUSY (M24)",
    }
}

closed_enum! { "on_busy",
    /// What the zapper does when a first attempt is busy.
    pub enum OnBusy {
        KickAndRetry = "kick-and-retry": "raise the flag, kick, call again",
        GiveUp = "give-up": "drop mmu_lock and return an error the caller ignores (M38)",
        BlockEagainIgnored = "block-eagain-ignored": "BLOCK: return -EAGAIN, which the caller ignores and goes on (G1); TRACK and REMOVE: call again until they are not busy",
        Ignore = "ignore": "return -EAGAIN from any of the three, which the caller ignores and goes on with the next (M15)",
        RetryWithoutKick = "retry-without-kick": "call again until it is not busy, with neither flag nor kick, as before the patch (M39)",
    }
}

closed_enum! { "track_kick",
    /// The kick that follows every TDH.MEM.TRACK.
    pub enum TrackKick {
        AfterTrack = "after-track": "kvm_make_all_cpus_request(KVM_REQ_OUTSIDE_GUEST_MODE) after TRACK",
        Absent = "absent": "no kick after TRACK (M25)",
    }
}

closed_enum! { "exit_request",
    /// What kvm_vcpu_exit_request() looks at, on the way in and where the fastpath loop re-enters.
    pub enum ExitRequest {
        ModeOrWork = "mode-or-work": "mode == EXITING_GUEST_MODE, requests, thread work",
        WorkOnly = "work-only": "requests and thread work, not the mode (M11b, M12b)",
    }
}

closed_enum! { "flag_return",
    /// What a vCPU does that tdx_vcpu_run() has turned back at the flag.
    pub enum FlagReturn {
        ExitHandled = "exit-handled": "EXIT_FASTPATH_EXIT_HANDLED: open IRQs, go round vcpu_run() and try again",
        ReenterGuest = "reenter-guest": "EXIT_FASTPATH_REENTER_GUEST: test again with IRQs off (M32)",
        Sleep = "sleep": "open IRQs and sleep; nobody wakes it when the flag goes down (M33)",
        SleepWoken = "sleep-woken": "open IRQs and sleep until the flag is down",
    }
}

closed_enum! { "vp_enter_busy",
    /// What tdx_vcpu_run() returns when TDH.VP.ENTER came back BUSY.
    pub enum VpEnterBusy {
        ExitHandled = "exit-handled": "EXIT_FASTPATH_EXIT_HANDLED: leave the fastpath loop, open IRQs",
        ReenterGuest = "reenter-guest": "EXIT_FASTPATH_REENTER_GUEST: loop with IRQs off, as in patch v1's tree (M12)",
    }
}

closed_enum! { "exit_reason_on_flag",
    /// What becomes of the cached exit reason when the flag turns a vCPU back.
    pub enum ExitReasonOnFlag {
        Kept = "kept": "the exit reason of the previous TD exit stays cached (M29)",
        Undefined = "undefined": "stuffed with an undefined reason, so that nothing is dispatched again",
    }
}

/// A value that is not one of a decision's, or a decision that does not exist.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecisionError {
    /// No decision has this name.
    #[error("unknown decision `{name}`{}", suggest::did_you_mean(.name, Decisions::NAMES))]
    UnknownName {
        /// What was given.
        name: String,
    },
    /// The decision exists, the value does not.
    #[error("unknown value `{value}` for decision `{name}`; it is one of {}", .known.join(", "))]
    UnknownValue {
        /// The decision.
        name: String,
        /// What was given.
        value: String,
        /// The spellings it accepts.
        known: Vec<&'static str>,
    },
}

macro_rules! decisions {
    ($( $field:ident : $Type:ty, )+) => {
        /// A full assignment of the protocol's design decisions.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct Decisions { $( #[allow(missing_docs)] pub $field: $Type, )+ }

        impl Decisions {
            /// The decisions' names, in the order they are printed.
            pub const NAMES: &'static [&'static str] = &[ $( stringify!($field) ),+ ];

            /// Changes one decision, named and spelled as in the data files.
            ///
            /// # Errors
            /// When the name or the value is unknown; the message names the alternatives.
            pub fn set(&mut self, name: &str, value: &str) -> Result<(), DecisionError> {
                match name {
                    $( stringify!($field) => {
                        self.$field = <$Type>::from_key(value).ok_or_else(|| DecisionError::UnknownValue {
                            name: name.to_owned(),
                            value: value.to_owned(),
                            known: Self::values(name).iter().map(|(key, _)| *key).collect(),
                        })?;
                        Ok(())
                    } )+
                    _ => Err(DecisionError::UnknownName { name: name.to_owned() }),
                }
            }

            /// The spelling of the decision called `name`, or `None` when there is none.
            #[must_use]
            pub fn get(&self, name: &str) -> Option<&'static str> {
                match name {
                    $( stringify!($field) => Some(self.$field.key()), )+
                    _ => None,
                }
            }

            /// Every spelling a decision accepts, with one sentence each; empty for an unknown name.
            #[must_use]
            pub fn values(name: &str) -> Vec<(&'static str, &'static str)> {
                match name {
                    $( stringify!($field) =>
                        <$Type>::ALL.iter().map(|value| (value.key(), value.about())).collect(), )+
                    _ => Vec::new(),
                }
            }

            /// The assignment that gives every decision its first value: upstream's choice in
            /// every case but `exit_reason_on_flag`. A starting point for the parser, not a profile.
            pub(crate) fn first_of_each() -> Self {
                Self { $( $field: <$Type>::ALL[0], )+ }
            }
        }
    };
}

decisions! {
    flag_raise: FlagRaise,
    flag_clear: FlagClear,
    kick: Kick,
    kick_mode_read: KickModeRead,
    vcpu_flag_test: VcpuFlagTest,
    vcpu_barrier: VcpuBarrier,
    mode_outside: ModeOutside,
    irq_disable: IrqDisable,
    busy_predicate: BusyPredicate,
    on_busy: OnBusy,
    track_kick: TrackKick,
    exit_request: ExitRequest,
    flag_return: FlagReturn,
    vp_enter_busy: VpEnterBusy,
    exit_reason_on_flag: ExitReasonOnFlag,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_set_by_its_spelling() {
        let mut decisions = Decisions::first_of_each();
        decisions.set("kick", "none").unwrap();
        assert_eq!(decisions.kick, Kick::None);
        assert_eq!(decisions.get("kick"), Some("none"));
    }

    #[test]
    fn a_misspelt_decision_is_refused_with_a_suggestion() {
        let mut decisions = Decisions::first_of_each();
        let error = decisions.set("flag_rise", "never").unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown decision `flag_rise`; did you mean `flag_raise`?"
        );
        let error = decisions.set("kick", "maybe").unwrap_err().to_string();
        assert!(
            error.ends_with("it is one of request-wait, request-wait-in-guest-only, request-no-wait, vcpu-kick, none"),
            "{error}"
        );
    }
}
