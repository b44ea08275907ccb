//! A thread of userspace's that makes an ioctl, a number of times.

use super::{Kvm, Met};
use crate::kernel::{KvmHeld, OnFailure};
use crate::property::Property;
use crate::status::{SUCCESS, StatusWord};
use crate::threads::beside::{Ioctl, IoctlThread};
use crate::threads::event::{Event, Leaf};
use crate::threads::module::{Current, Td};
use crate::threads::runtime::{Bits, Order, Runtime};

/// How an ioctl ends early.
pub(super) enum Failed {
    /// With an error for userspace.
    Returned,
    /// KVM_BUG_ON.
    Bugged,
}

/// An ioctl in flight.
pub(super) struct Caller<'a, R: Runtime> {
    pub(super) kvm: &'a Kvm<R>,
    pub(super) current: Current<R>,
    path: IoctlThread,
    /// The KVM locks it holds.
    held: KvmHeld,
}

impl<R: Runtime> Kvm<R> {
    /// The ioctl, once for each lap; not again once KVM_BUG_ON has fired.
    pub(in crate::threads) fn ioctl(&self, current: Current<R>, path: IoctlThread) -> Met {
        let mut met = Met::default();
        for _ in 0..self.scenario.laps {
            let mut caller = Caller {
                kvm: self,
                current,
                path,
                held: KvmHeld::NONE,
            };
            if matches!(caller.run(), Err(Failed::Bugged)) {
                met.violate(Property::NoBugOn, true);
                break;
            }
        }
        self.running.fetch_add(u64::MAX, Order::AcqRel);
        met
    }
}

impl<R: Runtime> Caller<'_, R> {
    fn run(&mut self) -> Result<(), Failed> {
        self.lock(self.path.locks);
        let result = match self.path.ioctl {
            Ioctl::InitVcpuCreate => self.tdx_td_vcpu_init_create(),
            Ioctl::InitVcpu => self.tdx_td_vcpu_init(),
            Ioctl::InitVcpuWrite => self.tdx_vcpu_init_write(),
            Ioctl::InitMemRegion => self.tdx_gmem_post_populate(),
        };
        // A dead VM is not looked at any more.
        let is_dead = matches!(result, Err(Failed::Bugged));
        self.unlock(self.held, (!is_dead).then_some(Event::DropLocks));
        result
    }

    fn lock(&mut self, locks: KvmHeld) {
        self.kvm.take(locks);
        self.held = self.held.and(locks);
        let event = Event::TakeLocks(locks);
        if locks.is_empty() {
            self.current.record_local(event);
        } else {
            self.current.record(event);
        }
    }

    fn unlock(&mut self, locks: KvmHeld, note: Option<Event>) {
        self.kvm.give_back(locks, self.current, note);
        for (lock, _) in locks.iter() {
            self.held = self.held.without(lock);
        }
    }

    /// The ioctl's `nth` deed, a SEAMCALL, under the locks that the kernel profile puts around it.
    pub(super) fn seamcall(
        &mut self,
        nth: usize,
        leaf: Leaf,
        call: impl FnOnce(&Td<R>, Current<R>) -> StatusWord,
    ) -> Result<(), Failed> {
        let around = self.path.around[nth];
        if !around.under.is_empty() {
            self.lock(around.under);
        }
        self.current.record_local(Event::Call {
            leaf,
            no_fail: false,
        });
        let status = call(&self.kvm.td, self.current);
        self.current.record_local(Event::Returned(status));
        self.judge(status, around.on_failure)?;
        if !around.under.is_empty() {
            self.unlock(around.under, Some(Event::DropLocks));
        }
        Ok(())
    }

    /// What the ioctl makes of a status. An error leaves it with the locks it has.
    fn judge(&self, status: StatusWord, on_failure: OnFailure) -> Result<(), Failed> {
        let tolerated = match on_failure {
            OnFailure::Return => true,
            OnFailure::BugOn => false,
            OnFailure::BugOnUnlessBusy => status.is_operand_busy(),
        };
        match status {
            SUCCESS => Ok(()),
            _ if tolerated => Err(Failed::Returned),
            _ => {
                self.current.record_local(Event::BugOn);
                Err(Failed::Bugged)
            }
        }
    }
}
