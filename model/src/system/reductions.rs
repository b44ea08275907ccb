//! The reductions, by name.

/// The named reductions. Each can be switched off, which a test uses to compare.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reductions {
    /// R1: acquisitions and releases that no configured agent can contend are merged into their neighbours.
    pub merge_uncontended: bool,
    /// R2: purely local steps are taken together with the step before them.
    pub fuse_local: bool,
    /// R3: fields nobody will read again are reset.
    pub forget_dead: bool,
    /// R4: TDCALLs of equal shape share their steps.
    pub share_equal: bool,
    /// R5: vCPUs are sorted.
    pub sort_vcpus: bool,
}

impl Reductions {
    /// All of them.
    pub const ALL: Self = Self {
        merge_uncontended: true,
        fuse_local: true,
        forget_dead: true,
        share_equal: true,
        sort_vcpus: true,
    };
    /// None of them.
    pub const NONE: Self = Self {
        merge_uncontended: false,
        fuse_local: false,
        forget_dead: false,
        share_equal: false,
        sort_vcpus: false,
    };
}
