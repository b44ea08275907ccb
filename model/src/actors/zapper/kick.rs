//! `kvm_make_all_cpus_request(KVM_REQ_OUTSIDE_GUEST_MODE)` (virt/kvm/kvm_main.c) and
//! `smp_call_function_many()` (kernel/smp.c), or what a decision puts in their place.

use super::{Stage, Zapper, ZapperState, access};
use crate::actors::message::{Access, Mode, Msg, vcpu};
use crate::actors::{Agent, Out};
use crate::kernel::decisions::{Kick, KickModeRead};

impl Zapper {
    /// Reads the mode of the vCPU the walk has come to.
    pub(super) fn visit(&self, state: &ZapperState) -> Access {
        match self.mode_read {
            // What only the packed model has is refused before (setup.rs).
            KickModeRead::LockedCmpxchg | KickModeRead::CpuBeforeMode => {
                Access::KickMode(state.visiting)
            }
            KickModeRead::PlainLoad => Access::ReadMode(state.visiting),
        }
    }

    /// `kvm_request_needs_ipi()`: with KVM_REQUEST_WAIT any mode but OUTSIDE needs one.
    pub(super) fn visited(&self, state: &mut ZapperState, old: Mode, o: &mut Out<Agent>) {
        let needs_ipi = match old {
            Mode::OutsideGuestMode => false,
            Mode::InGuestMode => true,
            Mode::ExitingGuestMode => self.kick == Kick::RequestWait,
        };
        if needs_ipi {
            state.mask |= 1 << state.visiting;
        }
        state.visiting += 1;
        // kvm_vcpu_kick() sends at once; a request sends when every vCPU was looked at.
        let sends = self.kick == Kick::VcpuKick && needs_ipi;
        if !sends && usize::from(state.visiting) < self.vcpus {
            return;
        }
        if state.mask == 0 {
            return self.end_kick(state, o);
        }
        // llist_add() and the write to the APIC are LOCKed, or serialise.
        state.stage = Stage::Draining;
        access(state, o, Access::FullBarrier);
    }

    /// Sends, once the slots are free; waits, if the kick does; goes on.
    pub(super) fn send_and_wait(&self, state: &mut ZapperState, o: &mut Out<Agent>) {
        let coalesces = self.kick == Kick::VcpuKick;
        if !coalesces && state.mask & state.unacknowledged != 0 {
            // csd_lock(): the slot's last use is not over.
            state.stage = Stage::Waiting;
            return;
        }
        for index in (0..self.vcpus).filter(|index| state.mask & 1 << index != 0) {
            // A reschedule interrupt that is requested already is not requested twice.
            if state.unacknowledged & 1 << index == 0 {
                o.send(vcpu(index), Msg::Ipi);
            }
        }
        state.unacknowledged |= state.mask;
        state.mask = 0;
        if self.kick.waits() && state.unacknowledged != 0 {
            state.stage = Stage::Waiting;
            return;
        }
        state.stage = Stage::Ready;
        if usize::from(state.visiting) == self.vcpus {
            self.end_kick(state, o);
        }
    }

    /// `put_cpu()`.
    fn end_kick(&self, state: &mut ZapperState, o: &mut Out<Agent>) {
        (state.visiting, state.stage) = (0, Stage::Ready);
        self.go(state, state.at + 1, o);
    }
}
