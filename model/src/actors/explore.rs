//! The actors as stateright's Explorer shows them: states that read like a whiteboard, not like derived
//! `Debug` output.

use super::message::{Cpu, Mode};
use super::module::{Call, ModuleState};
use super::vcpu::{self, Place};
use super::zapper::{Deed, Stage};
use super::{LEAVES, Protocol, Snapshot, Step, ZapperState};
use crate::closed_enum::ClosedEnum;
use crate::property::Property;
use crate::resource::Resource;
use crate::status::SUCCESS;
use stateright::{Model, Path, Property as Asked};
use std::fmt::{Debug, Formatter, Result, Write};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// The actors, to be walked through.
pub struct Walk(Arc<Protocol>);

impl Walk {
    /// Through these.
    #[must_use]
    pub fn new(protocol: Protocol) -> Self {
        Self(Arc::new(protocol))
    }

    fn view(&self, snapshot: Snapshot) -> View {
        View {
            snapshot,
            protocol: Arc::clone(&self.0),
        }
    }
}

/// A state, with what it takes to write it out.
#[derive(Clone)]
pub struct View {
    snapshot: Snapshot,
    protocol: Arc<Protocol>,
}

impl PartialEq for View {
    fn eq(&self, other: &Self) -> bool {
        self.snapshot == other.snapshot
    }
}

impl Hash for View {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.snapshot.hash(state);
    }
}

impl Model for Walk {
    type State = View;
    type Action = Step;

    fn init_states(&self) -> Vec<View> {
        let states = self.0.init_states().into_iter();
        states.map(|snapshot| self.view(snapshot)).collect()
    }

    fn actions(&self, state: &View, steps: &mut Vec<Step>) {
        self.0.actions(&state.snapshot, steps);
    }

    fn next_state(&self, state: &View, step: Step) -> Option<View> {
        Some(self.view(self.0.next_state(&state.snapshot, step)?))
    }

    fn format_action(&self, step: &Step) -> String {
        self.0.format_action(step)
    }

    /// What has changed.
    fn format_step(&self, before: &View, step: Step) -> Option<String> {
        let after = format!("{:?}", self.next_state(before, step)?);
        let before = format!("{before:?}");
        let unchanged: Vec<&str> = before.lines().collect();
        let changed: Vec<&str> = after
            .lines()
            .filter(|line| !unchanged.contains(line))
            .collect();
        Some(changed.join("\n"))
    }

    fn as_svg(&self, path: Path<View, Step>) -> Option<String> {
        let start = self.0.init_states().into_iter().next()?;
        let steps = path.into_actions();
        self.0.as_svg(Path::from_actions(&*self.0, start, &steps)?)
    }

    fn properties(&self) -> Vec<Asked<Self>> {
        let mut all = Vec::new();
        for property in Property::ALL {
            if !property.is_liveness() {
                all.push(Asked::always(property.key(), kept(*property)));
            }
        }
        all.push(Asked::sometimes(
            "a second call",
            |_: &Self, view: &View| {
                let protocol = &view.protocol;
                protocol.zapper().is_in_last_call(view.snapshot.zapper())
            },
        ));
        all.push(Asked::sometimes(
            "a guest with a kick's IPI",
            |_: &Self, view: &View| {
                let mut vcpus = view.snapshot.vcpus();
                vcpus.any(|vcpu| vcpu.place == Place::Guest && vcpu.ipi_pending)
            },
        ));
        all
    }
}

type Kept = fn(&Walk, &View) -> bool;

/// stateright takes plain functions: one for each property.
fn kept(property: Property) -> Kept {
    macro_rules! each {
        ($( $name:ident )+) => {
            match property {
                $( Property::$name => |walk, view| {
                    walk.0.broken(&view.snapshot) & Property::$name.bit() == 0
                }, )+
                _ => |_, _| true,
            }
        };
    }
    each! { NoSecondBusy NoVcpuInside FlagUnderMmuLock FlagTested EpochEmpty TrackedRemove InterruptOnce NoMarkLeft KickOnlyWhenBusy NoBugOn }
}

impl Debug for View {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        self.zapper(f)?;
        self.memory(f)?;
        self.module(f)?;
        for index in 0..self.snapshot.vcpus().count() {
            self.vcpu(f, index)?;
        }
        Ok(())
    }
}

impl View {
    fn zapper(&self, f: &mut Formatter<'_>) -> Result {
        let zapper = self.snapshot.zapper();
        let deed = self.protocol.zapper().program[usize::from(zapper.at)];
        writeln!(f, "zapper     {}", doing(deed, zapper))?;
        if zapper.status != SUCCESS {
            writeln!(f, "           err = {}", zapper.status.pretty())?;
        }
        for (index, _) in self.snapshot.vcpus().enumerate() {
            if zapper.mask & 1 << index != 0 {
                writeln!(f, "           vCPU {index} is in the cpumask")?;
            }
            if zapper.unacknowledged & 1 << index != 0 {
                writeln!(f, "           vCPU {index} has an IPI to acknowledge")?;
            }
        }
        Ok(())
    }

    fn memory(&self, f: &mut Formatter<'_>) -> Result {
        let memory = self.snapshot.memory();
        writeln!(
            f,
            "memory     wait_for_sept_zap = {}",
            memory.wait_for_sept_zap
        )?;
        for (index, mode) in memory.mode.iter().enumerate() {
            writeln!(f, "           vcpu{index}->mode = {}", mode.name())?;
        }
        let lock = match (memory.mmu_lock.writer, memory.mmu_lock.readers) {
            (true, _) => "held for write".to_owned(),
            (false, 0) => "free".to_owned(),
            (false, readers) => format!("held for read by {readers}"),
        };
        writeln!(
            f,
            "           mmu_lock {lock}, mirror SPTE {:?}",
            memory.mirror
        )?;
        for (cpu, queue) in memory.queues.iter().enumerate() {
            if !queue.is_empty() {
                let waiting = memory.latched[cpu]
                    .map_or_else(String::new, |access| format!(", and behind it: {access:?}"));
                let cpu = Cpu(cpu as u8);
                writeln!(f, "           {cpu:?}'s store queue: {queue:?}{waiting}")?;
            }
        }
        if memory.vm_bugged {
            writeln!(f, "           the VM is dead")?;
        }
        Ok(())
    }

    fn module(&self, f: &mut Formatter<'_>) -> Result {
        let module = self.snapshot.module();
        let entry = module.entry;
        let bit = |set: bool, name: &str| {
            if set {
                format!(", {name}")
            } else {
                String::new()
            }
        };
        writeln!(
            f,
            "module     S-EPT entry {}{}{}",
            upper(&format!("{:?}", entry.state)),
            bit(entry.tdel, "TDEL"),
            bit(entry.tdhp, "TDHP")
        )?;
        for (cpu, call) in module.under_way() {
            writeln!(f, "           {cpu:?}: {}", self.call(module, cpu, call))?;
        }
        for (index, tdvps) in module.tdvps.iter().enumerate() {
            if let Some(epoch) = tdvps.inside {
                writeln!(
                    f,
                    "           vCPU {index} counts in the {} epoch",
                    lower(epoch)
                )?;
            }
            if tdvps.armed {
                writeln!(f, "           vCPU {index}'s 0-step mitigation is armed")?;
            }
        }
        Ok(())
    }

    fn call(&self, module: &ModuleState, cpu: Cpu, call: &Call) -> String {
        let setup = &self.protocol.setup;
        let mut text = LEAVES[usize::from(call.leaf)].to_owned();
        let held = call.holds(setup);
        let held = held.filter(|(resource, _)| {
            // Locks that nobody can contend are no news.
            !matches!(
                resource,
                Resource::Tdr | Resource::OpState | Resource::Tdvpr
            )
        });
        for (resource, mode) in held {
            let _ = write!(text, ", holds {} {}", resource.key(), mode.key());
        }
        if call.status != SUCCESS {
            let _ = write!(text, ", {}", call.status.pretty());
        }
        if let Some(standing) = module.standing(setup, cpu)
            && standing.leaf == call.leaf
        {
            let _ = write!(text, "; next: {:?}", standing.next);
        }
        text
    }

    fn vcpu(&self, f: &mut Formatter<'_>, index: usize) -> Result {
        let Some(vcpu) = self.snapshot.vcpus().nth(index) else {
            return Ok(());
        };
        writeln!(f, "vCPU {index}     {}", stands(vcpu.place, vcpu.stage))?;
        let off = self.protocol.vcpu(index).irqs_off(vcpu.place);
        let interrupts = match (off, vcpu.stage) {
            (true, _) => "interrupts off",
            (_, vcpu::Stage::InSeamcall) => "in the TDX module",
            _ => "interrupts on",
        };
        let ipi = match (vcpu.ipi_pending, self.snapshot.ipi_on_its_way(index)) {
            (true, _) => ", an IPI is pending",
            (_, true) => ", an IPI is on its way",
            _ => "",
        };
        writeln!(f, "           {interrupts}{ipi}")?;
        if vcpu.exit != super::message::ExitReason::None {
            writeln!(f, "           cached exit reason: {}", lower(vcpu.exit))?;
        }
        Ok(())
    }
}

/// `PendingBlocked` as `PENDING_BLOCKED`.
fn upper(name: &str) -> String {
    split(name, '_').to_uppercase()
}

/// `EptViolation` as `ept violation`.
fn lower(value: impl Debug) -> String {
    split(&format!("{value:?}"), ' ').to_lowercase()
}

fn split(name: &str, by: char) -> String {
    let mut out = String::new();
    for (index, letter) in name.chars().enumerate() {
        if index > 0 && letter.is_uppercase() {
            out.push(by);
        }
        out.push(letter);
    }
    out
}

fn doing(deed: Deed, zapper: &ZapperState) -> String {
    let leaf = |leaf: u8| LEAVES[usize::from(leaf)];
    let text = match deed {
        Deed::Lock => "before write_lock(mmu_lock)".to_owned(),
        Deed::WriteFlag(value) => format!("WRITE_ONCE(wait_for_sept_zap, {value})"),
        Deed::Attempt { leaf: tried, .. } => format!("{}, first call", leaf(tried)),
        Deed::LastCall(called) => format!("{}, must not be BUSY", leaf(called)),
        Deed::Kick => "kvm_make_all_cpus_request(KVM_REQ_OUTSIDE_GUEST_MODE)".to_owned(),
        Deed::UnlessError { .. } => "if (err) return".to_owned(),
        Deed::BugOn => "KVM_BUG_ON(err, kvm)".to_owned(),
        Deed::Goto(_) => "on its way".to_owned(),
        Deed::Unlock => "before write_unlock(mmu_lock)".to_owned(),
    };
    match zapper.stage {
        Stage::Ready | Stage::InSeamcall => text,
        Stage::Draining => format!("{text}: waits for its store queue"),
        Stage::Waiting => format!("{text}: csd_lock_wait()"),
    }
}

fn stands(place: Place, stage: vcpu::Stage) -> String {
    let text = match place {
        Place::VcpuRun => "vcpu_run()",
        Place::VpWr => "tdh_vp_wr()",
        Place::LocalIrqDisable => "before local_irq_disable()",
        Place::HoistedFlagTest | Place::FlagTest => "before READ_ONCE(wait_for_sept_zap)",
        Place::StoreInGuestMode => "before smp_store_release(mode, IN_GUEST_MODE)",
        Place::SrcuReadUnlock => "srcu_read_unlock(): smp_mb()",
        Place::ExitRequest | Place::ReenterRequest => "before kvm_vcpu_exit_request()",
        Place::StoreOutsideEarly
        | Place::StoreOutside
        | Place::StoreOutsideCancel
        | Place::StoreOutsideTurnedBack
        | Place::StoreOutsideSleep => "before mode = OUTSIDE_GUEST_MODE",
        Place::VpEnter => "tdh_vp_enter()",
        Place::Guest => "guest runs",
        Place::SrcuReadLock
        | Place::SrcuReadLockTurnedBack
        | Place::SrcuReadLockCancel
        | Place::SrcuReadLockSleep => "srcu_read_lock(): smp_mb()",
        Place::Asleep => "asleep on wait_for_sept_zap",
        Place::LockAndFreeze => "kvm_tdp_mmu_map(): before read_lock(mmu_lock)",
        Place::Aug => "tdh_mem_page_aug()",
        Place::AugStatus { .. } => "tdx_mem_page_aug(): err?",
    };
    match stage {
        vcpu::Stage::Interrupt => format!("{text}: takes an interrupt"),
        vcpu::Stage::Draining | vcpu::Stage::Asked { .. } => {
            format!("{text}: waits for its store queue")
        }
        _ => text.to_owned(),
    }
}

impl Debug for super::memory::Store {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Self::Flag(value) => write!(f, "wait_for_sept_zap = {value}"),
            Self::Mode(mode) => write!(f, "mode = {}", Mode::name(*mode)),
        }
    }
}
