//! Flags of `check code`.

use crate::forms::code::Engine;
use crate::forms::code::request::{EXECUTIONS, SCHEDULES};
use clap::Args;
use std::path::PathBuf;

#[derive(Debug, Args)]
#[command(after_help = CODE_STATUS)]
pub(crate) struct CodeArgs {
    /// What runs the code: loom (weak memory, all interleavings up to the bounds), shuttle (many
    /// schedules, sequentially consistent) or std (real threads, a smoke test).
    #[arg(long, value_enum, default_value = "loom", hide_possible_values = true)]
    pub(crate) engine: Engine,
    /// Number of vCPUs: loom runs up to 4. Default: 1 under loom, 4 elsewhere, 0 beside an ioctl.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(0..=64))]
    pub(crate) vcpus: Option<u16>,
    /// How often each vCPU goes round, and each ioctl is made. Default: 2 under loom, 3 elsewhere.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1000))]
    pub(crate) laps: Option<u16>,
    /// What the zapper does: block, track, remove (the window of that SEAMCALL alone, entered as if its
    /// first call had been busy), or whole. Default: whole under shuttle and beside an ioctl, block elsewhere.
    #[arg(long, value_name = "WINDOW")]
    pub(crate) window: Option<String>,
    /// loom: the memory, weak (C11's) or rmw (sequentially consistent).
    #[arg(long, value_name = "MEMORY", default_value = "weak")]
    pub(crate) memory: String,
    /// loom: the most preemptions of an execution. Default: no bound.
    #[arg(long, value_name = "K")]
    pub(crate) preemptions: Option<u8>,
    /// loom: look for the violating execution with the fewest preemptions: none, then one, then two, …
    #[arg(long)]
    pub(crate) fewest: bool,
    /// loom: give up after this many executions; the verdict is then `unknown`.
    #[arg(long, value_name = "N", default_value_t = EXECUTIONS as u32,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) executions: u32,
    /// shuttle: how many schedules; std: how many rounds.
    #[arg(long, value_name = "N", default_value_t = SCHEDULES as u32,
        value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) schedules: u32,
    /// shuttle: probabilistic concurrency testing of this depth, instead of random schedules.
    #[arg(long, value_name = "DEPTH", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub(crate) pct: Option<u16>,
    /// shuttle: where the choice of schedules begins; the same seed makes the same schedules.
    #[arg(long, value_name = "S", default_value_t = 1)]
    pub(crate) seed: u64,
    /// Give up after this many seconds; the verdict is then `unknown`.
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    pub(crate) timeout: u64,
    /// Do not hold loom's executions, or shuttle's schedules, against the packed model.
    #[arg(long)]
    pub(crate) no_conformance: bool,
    /// Hold them against a model with another decision than the code's: to see what is found then.
    #[arg(long, value_name = "NAME=VALUE", conflicts_with = "no_conformance")]
    pub(crate) against: Vec<String>,
    /// loom: enter the window with TDHP set, from a first call that was busy on the S-EPT entry.
    #[arg(long)]
    pub(crate) marked: bool,
    /// loom: what guests do each time before TDG.VP.VMCALL: vmcall (nothing), accept, attr-rd, attr-wr (these
    /// TDG.MEM.PAGE leaves), access, arming-access (its fault arms 0-step), interrupt. Default: vmcall in the
    /// window of TDH.MEM.TRACK, attr-rd elsewhere.
    #[arg(long, value_name = "GUEST")]
    pub(crate) guest: Option<String>,
    /// loom: guests do it on their vCPU's first lap only.
    #[arg(long)]
    pub(crate) guest_once: bool,
    /// loom: begin a whole removal with vCPUs in their guests: their first lap is what is left of one.
    #[arg(long)]
    pub(crate) in_guest: bool,
    /// loom: lock words of the module that are full barriers, as on x86. Without it they order nothing.
    #[arg(long)]
    pub(crate) barriers_in_locks: bool,
    /// shuttle: write the violating schedule to this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) save: Option<PathBuf>,
    /// shuttle: make the schedule in this file again, with all it was run with.
    #[arg(long, value_name = "FILE", conflicts_with_all = ASKED)]
    pub(crate) replay: Option<PathBuf>,
    /// Number of zappers, 1 or 2: each removes a page of its own, in a guest_memfd inode of its own (M13,
    /// M14).
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=2))]
    pub(crate) zappers: u8,
    /// Hold one KVM lock more around a page removal, e.g. mmu_lock:read@zap; beside an ioctl, around that or one
    /// SEAMCALL of it, as for `check what-if`.
    #[arg(long, value_name = "LOCK:MODE@PATH")]
    pub(crate) hold: Vec<String>,
    /// Drop a KVM lock, e.g. mmu_lock@zap, or mmu_lock@KVM_TDX_INIT_VCPU/TDH.VP.INIT@1.
    #[arg(long, value_name = "LOCK@PATH")]
    pub(crate) drop: Vec<String>,
    /// 0-step is armed on every vCPU at the start.
    #[arg(long)]
    pub(crate) zero_step_armed: bool,
    /// vCPUs come back on another CPU now and then (M18).
    #[arg(long)]
    pub(crate) migrate: bool,
    /// vCPUs are created after the start, at any time (M30, M31).
    #[arg(long)]
    pub(crate) late: bool,
    /// Somebody else kicks vCPUs, too (M40).
    #[arg(long)]
    pub(crate) foreign_kick: bool,
    /// TDX module as code: 1.5.05 or 2.0.12.
    #[arg(long, value_name = "VERSION", default_value = "1.5.05")]
    pub(crate) module: String,
    /// Kernel profile: a version, or a .toml file.
    #[arg(long, value_name = "VERSION|FILE", default_value = "6.16")]
    pub(crate) kernel: String,
    /// Change a decision of the protocol (`check list --decisions`), or what the TD is at the start:
    /// finalized, populated (true or false).
    #[arg(long, value_name = "NAME=VALUE")]
    pub(crate) set: Vec<String>,
    /// Run this ioctl as a thread beside the zapper, with finalized=false: KVM_TDX_INIT_VCPU,
    /// KVM_TDX_INIT_VCPU:create, KVM_TDX_INIT_VCPU:write, or up to 6.18 KVM_TDX_INIT_MEM_REGION; up to two.
    #[arg(long, value_name = "PATH")]
    pub(crate) with: Vec<String>,
    /// What must never happen: any property that is not about the end (`check list` names them); real
    /// threads do not see no-vcpu-inside and flag-under-mmu-lock.
    #[arg(long, value_name = "PROPERTY", default_value = "no-second-busy")]
    pub(crate) property: String,
    /// Print the answer as JSON (seamcheck.code.v1).
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a schedule's file says already.
const ASKED: [&str; 30] = [
    "engine",
    "vcpus",
    "laps",
    "window",
    "memory",
    "preemptions",
    "fewest",
    "executions",
    "schedules",
    "pct",
    "seed",
    "against",
    "marked",
    "guest",
    "guest_once",
    "in_guest",
    "barriers_in_locks",
    "zappers",
    "hold",
    "drop",
    "zero_step_armed",
    "migrate",
    "late",
    "foreign_kick",
    "module",
    "kernel",
    "set",
    "with",
    "property",
    "no_conformance",
];

const CODE_STATUS: &str = "\
Exit status: 0 holds (loom), 10 violated, 11 vacuous, 14 the code did what the model can not,
20 unknown: a bound was hit, or a sample was made and none of it violates.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_is_asked_nothing_that_its_file_says() {
        // What is done with the answer is no part of the question.
        let beside = ["replay", "save", "timeout", "json"];
        let command = CodeArgs::augment_args(clap::Command::new("code"));
        let ids = command.get_arguments().map(|flag| flag.get_id().as_str());
        let asked: Vec<&str> = ids.filter(|id| !beside.contains(id)).collect();
        let missing = asked.iter().find(|id| !ASKED.contains(id));
        assert_eq!((missing, asked.len()), (None, ASKED.len()));
    }
}
