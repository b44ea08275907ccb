//! The lock tables and kernel profiles that come with the crate.

/// Lock tables: version name and TOML text.
pub const MODULES: &[(&str, &str)] = &[
    (
        "patch-table",
        include_str!("../data/modules/patch-table.toml"),
    ),
    ("1.5.01", include_str!("../data/modules/1.5.01.toml")),
    ("1.5.05", include_str!("../data/modules/1.5.05.toml")),
    ("2.0.08", include_str!("../data/modules/2.0.08.toml")),
    ("2.0.12", include_str!("../data/modules/2.0.12.toml")),
];

/// Kernel profiles: version name and TOML text.
pub const KERNELS: &[(&str, &str)] = &[
    ("pre-patch", include_str!("../data/kernels/pre-patch.toml")),
    (
        "pre-patch-eagain",
        include_str!("../data/kernels/pre-patch-eagain.toml"),
    ),
    (
        "rfc-request-bit",
        include_str!("../data/kernels/rfc-request-bit.toml"),
    ),
    ("patch-v1", include_str!("../data/kernels/patch-v1.toml")),
    ("6.16", include_str!("../data/kernels/6.16.toml")),
    ("6.19", include_str!("../data/kernels/6.19.toml")),
    ("next", include_str!("../data/kernels/next.toml")),
];
