//! What loom's guests do where a request does not say it.

use seamcheck_model::threads::{Scripted, Window};

/// What loom's guests do where nobody says. A fault waits for mmu_lock, as a second zapper may: two that wait can
/// take turns without end, and loom makes an execution of each number of turns.
pub(crate) const fn guest_of(window: Window, zappers: usize) -> Scripted {
    if zappers > 1 {
        Scripted::Vmcall
    } else {
        Scripted::of_window(window)
    }
}

/// What a saved schedule says that is older than the field: schedules have a free guest.
pub(super) const fn unsaid() -> Scripted {
    Scripted::AttrRead
}
