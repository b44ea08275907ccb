//! Which requests can not be held against the packed model, and why.

use super::request::{CodeRequest, Engine};
use seamcheck_model::scenario;
use seamcheck_model::threads::Window;

impl CodeRequest {
    /// Why its executions can not be held against the packed model; `None` when they can.
    #[must_use]
    pub fn why_not_held(&self) -> Option<&'static str> {
        let decided = |name: &str, value: &str| {
            let decision = self.decisions.get(name);
            decision.map(String::as_str) == Some(value)
        };
        let waits = ["reenter-guest", "sleep-woken"]
            .iter()
            .any(|value| decided("flag_return", value));
        if self.engine == Engine::Std {
            Some("real threads record nothing")
        } else if self.vcpus > scenario::MAX_VCPUS {
            Some("the model has room for fewer vCPUs")
        } else if self.late || decided("flag_raise", "request-bit") {
            // Nothing records them.
            Some(
                "a vCPU's creation, and the clearing of request bits, are one step there and several here",
            )
        } else if self.migrate && self.zappers > 1 {
            Some("the model has vCPUs that move beside one zapper only")
        } else if self.foreign_kick && self.engine == Engine::Loom {
            Some("under loom nobody's kick but the zapper's is")
        } else if self.engine == Engine::Shuttle {
            let whole = self.window == Window::Whole && !self.zero_step_armed;
            (!whole).then_some("only whole removals from the start are, under shuttle")
        } else if self.migrate {
            Some("under loom only vCPUs that stay on their CPU are")
        } else {
            waits.then_some(
                "a vCPU that waits for the flag records nothing of what it sees meanwhile",
            )
        }
    }
}
