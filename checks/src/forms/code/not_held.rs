//! Which requests can not be held against the packed model, and why.

use super::request::{CodeRequest, Engine};
use seamcheck_model::scenario;
use seamcheck_model::threads::{Memory, Window};

impl CodeRequest {
    /// Why its executions can not be held against the packed model; `None` when they can.
    #[must_use]
    pub fn why_not_held(&self) -> Option<&'static str> {
        if self.engine == Engine::Std {
            Some("real threads record nothing")
        } else if self.vcpus > scenario::MAX_VCPUS {
            Some("the model has room for fewer vCPUs")
        } else if self.migrate && self.zappers > 1 {
            Some("the model has vCPUs that move beside one zapper only")
        } else if self.looks_twice() {
            Some("a vCPU looks at its mode and then at its requests; the model at both at once")
        } else {
            let unreached = self.engine == Engine::Shuttle
                && self.window == Window::Whole
                && self.zero_step_armed;
            unreached.then_some("under shuttle no whole removal that begins with 0-step armed is")
        }
    }

    /// Whether a kick without a request may come between the two looks of
    /// `kvm_vcpu_exit_request()`. On a weak memory the modes show whatever
    /// the code saw.
    fn looks_twice(&self) -> bool {
        let raised = self.decisions.get("flag_raise").map(String::as_str);
        let strict = self.engine == Engine::Shuttle || self.memory != Memory::Weak;
        let tracks = matches!(self.window, Window::Track | Window::Whole);
        raised == Some("request-bit") && strict && tracks
    }
}
