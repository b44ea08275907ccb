//! Which requests can not be held against the packed model, and why.

use super::request::{CodeRequest, Engine};
use seamcheck_model::scenario;
use seamcheck_model::threads::Window;

impl CodeRequest {
    /// Why its executions can not be held against the packed model; `None` when they can.
    #[must_use]
    pub fn why_not_held(&self) -> Option<&'static str> {
        if self.engine == Engine::Std {
            Some("real threads record nothing")
        } else if self.vcpus > scenario::MAX_VCPUS {
            Some("the model has room for fewer vCPUs")
        } else if (self.migrate || self.late) && self.zappers > 1 {
            Some("the model has vCPUs that move, or are created late, beside one zapper only")
        } else if self.looks_twice() {
            Some("a vCPU looks at its mode and then at its requests; the model at both at once")
        } else {
            let unreached = self.engine == Engine::Shuttle
                && self.window == Window::Whole
                && self.zero_step_armed;
            unreached.then_some("under shuttle no whole removal that begins with 0-step armed is")
        }
    }

    /// Whether a vCPU may find a change of its mode, or of its request, between
    /// the two looks of `kvm_vcpu_exit_request()`. It does not where the one kick
    /// carries the request, is waited for, and finds interrupts off.
    fn looks_twice(&self) -> bool {
        let is = |name: &str, value: &str| {
            let decided = self.decisions.get(name);
            decided.map(String::as_str) == Some(value)
        };
        let one_kick = matches!(self.window, Window::Block | Window::Remove)
            && self.zappers == 1
            && !self.foreign_kick
            && is("kick", "request-wait")
            && is("kick_mode_read", "locked-cmpxchg")
            && is("irq_disable", "before-mode-store");
        is("flag_raise", "request-bit") && self.vcpus > 0 && !one_kick
    }
}
