//! Flags of questions.

use super::LimitArgs;
use clap::Args;
use std::path::PathBuf;

/// The lock table that is meant when none is named.
pub(crate) const MODULE: &str = "1.5.05";

#[derive(Clone, Debug, Args)]
pub(crate) struct QuestionArgs {
    /// Lock table: a version, or a .toml file.
    #[arg(long, value_name = "VERSION|FILE", default_value = MODULE)]
    pub(crate) module: String,
    /// Kernel profile: a version, or a .toml file.
    #[arg(long, value_name = "VERSION|FILE", default_value = "6.16")]
    pub(crate) kernel: String,
    /// Change a decision of the protocol (`check list --decisions`), or a setting of the scenario:
    /// accept, attr, zero_step, finalized, populated, exit_reason, foreign_kick (true or false),
    /// inodes (1, or as many as pages), zap (what removes pages, or nobody).
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Run this code path of the kernel profile as a thread beside the zapper, e.g. KVM_TDX_INIT_VCPU
    /// (with finalized=false) or any-tdr-exclusive; up to two.
    #[arg(long, value_name = "PATH")]
    pub(crate) with: Vec<String>,
    /// Hold one KVM lock more around a code path, or around one SEAMCALL of it, e.g.
    /// mmu_lock:write@KVM_TDX_FINALIZE_VM or mmu_lock:write@KVM_TDX_INIT_VCPU/TDH.VP.INIT@1.
    #[arg(long, value_name = "LOCK:MODE@PATH")]
    pub(crate) hold: Vec<String>,
    /// Drop a KVM lock from a code path, e.g. mmu_lock@KVM_TDX_INIT_VCPU/TDH.VP.INIT@1.
    #[arg(long, value_name = "LOCK@PATH")]
    pub(crate) drop: Vec<String>,
    /// Number of private pages.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) pages: usize,
    /// Memory model: sc or tso.
    #[arg(long, value_name = "MODEL", default_value = "tso")]
    pub(crate) memory: String,
    /// What must never happen: no-second-busy, no-vcpu-inside, flag-under-mmu-lock, flag-tested,
    /// epoch-empty, tracked-remove, interrupt-once, no-mark-left, kick-only-when-busy, no-bug-on or
    /// no-internal-error;
    /// or what must happen in the end: zap-finishes, flag-comes-down, vcpu-enters, guest-runs,
    /// no-starvation, nobody-waits or mark-goes-away.
    #[arg(long, value_name = "PROPERTY", default_value = "no-second-busy")]
    pub(crate) property: String,
}

#[derive(Debug, Args)]
pub(crate) struct WhatIfArgs {
    #[command(flatten)]
    pub(crate) question: QuestionArgs,
    /// Number of vCPUs.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) vcpus: usize,
    /// Print the answer as JSON (seamcheck.report.v1).
    #[arg(long)]
    pub(crate) json: bool,
    /// Write the trace of a violation to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct ProveArgs {
    #[command(flatten)]
    pub(crate) question: QuestionArgs,
    /// Write the certificate of a proof to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Write the trace of a violation to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) trace: Option<PathBuf>,
    /// Print the answer as JSON (seamcheck.proof.v1).
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) limits: LimitArgs,
}

#[derive(Debug, Args)]
pub(crate) struct RecheckArgs {
    /// The certificate.
    pub(crate) file: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ExploreArgs {
    /// Number of vCPUs, from 1 to 4.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) vcpus: usize,
    /// Lock table: a version, or a .toml file.
    #[arg(long, value_name = "VERSION|FILE", default_value = "1.5.05")]
    pub(crate) module: String,
    /// Kernel profile: a version, or a .toml file.
    #[arg(long, value_name = "VERSION|FILE", default_value = "6.16")]
    pub(crate) kernel: String,
    /// Change a decision of the protocol (`check list --decisions`), or a setting of the scenario:
    /// accept, attr, zero_step, exit_reason (true or false).
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Memory model: sc or tso.
    #[arg(long, value_name = "MODEL", default_value = "tso")]
    pub(crate) memory: String,
    /// Port on 127.0.0.1; 0 takes any that is free.
    #[arg(long, value_name = "PORT", default_value_t = 3000)]
    pub(crate) port: u16,
}
