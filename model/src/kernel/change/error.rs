//! Where a lock is added or taken away, and why it can not be.

/// The part of a profile that a lock is added to or taken from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Everything that a code path does, or a page removal, by name.
    Whole(String),
    /// One SEAMCALL of a code path.
    Call {
        /// The code path.
        path: String,
        /// The SEAMCALL's key.
        leaf: String,
    },
}

impl Place {
    /// As it is written: `KVM_TDX_INIT_VCPU`, `KVM_TDX_INIT_VCPU/TDH.VP.INIT@1`.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Whole(name) => name.clone(),
            Self::Call { path, leaf } => format!("{path}/{leaf}"),
        }
    }

    pub(super) fn parse(text: &str) -> Self {
        match text.split_once("/TDH.") {
            Some((path, leaf)) => Self::Call {
                path: path.to_owned(),
                leaf: format!("TDH.{leaf}"),
            },
            None => Self::Whole(text.to_owned()),
        }
    }
}

/// Why a lock can not be added or taken away.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    /// Not `LOCK:MODE@PATH`.
    #[error(
        "`{given}`: write LOCK:MODE@PATH or LOCK:MODE@PATH/LEAF, as in mmu_lock:write@KVM_TDX_FINALIZE_VM"
    )]
    Shape {
        /// What was given.
        given: String,
    },
    /// No such lock.
    #[error("unknown KVM lock `{given}`; it is one of {}", .known.join(", "))]
    UnknownLock {
        /// What was given.
        given: String,
        /// What there is.
        known: Vec<&'static str>,
    },
    /// Neither read nor write.
    #[error("a KVM lock is held `read` or `write`, not `{given}`")]
    UnknownMode {
        /// What was given.
        given: String,
    },
    /// No such path, or the path does not issue the SEAMCALL.
    #[error("kernel {kernel} has no `{given}`{hint}")]
    UnknownPlace {
        /// The profile.
        kernel: String,
        /// What was given.
        given: String,
        /// The closest there is.
        hint: String,
    },
    /// The lock is held there already: a thread would wait for itself.
    #[error("{place} would take {lock} twice: it waits for itself")]
    Twice {
        /// Where.
        place: String,
        /// Which.
        lock: &'static str,
    },
    /// The lock is taken inside one that KVM takes inside it.
    #[error(
        "{place} would take {inner} inside {outer}; everywhere else KVM takes {outer} inside {inner}"
    )]
    Order {
        /// Where.
        place: String,
        /// The lock taken later.
        inner: &'static str,
        /// The lock held.
        outer: &'static str,
    },
    /// The lock is not held there.
    #[error("{place} does not hold {lock}")]
    NotHeld {
        /// Where.
        place: String,
        /// Which.
        lock: &'static str,
    },
}
