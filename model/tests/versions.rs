//! What the versions' data add to the model: the TD's life, inodes, KVM locks around single calls,
//! and the vCPUs that only some questions have.

mod common;

use common::{Ask, Found, Outcome, profile, search, table};
use seamcheck_model::property::Property;
use seamcheck_model::scenario::{Memory, Scenario};
use seamcheck_model::system::state::{EntryState, MirrorSpte, TdState};
use seamcheck_model::system::{Reductions, System};

/// Nobody runs, nobody removes pages, pages are there: what paths do to each other.
fn paths(kernel: &'static str, module: &str, threads: &[&str]) -> Outcome<Ask> {
    let mut ask = Ask::on(module)?.kernel(kernel).threads(threads);
    ask.scenario.vcpus = 0;
    ask.scenario.zap = Scenario::NOBODY.to_owned();
    (ask.scenario.finalized, ask.scenario.populated) = (false, true);
    Ok(ask)
}

fn bugs(found: &Found) -> bool {
    found.broken.contains(&Property::NoBugOn)
}

#[test]
fn the_module_is_runnable_before_kvm_knows() {
    let system = paths("next", "1.5.05", &["KVM_TDX_FINALIZE_VM"]).unwrap();
    let system = system.system().unwrap();
    let states = common::reachable(&system);
    let pairs = |op, kvm| {
        let mut states = states.iter().map(|state| state.shared);
        states.any(|shared| (shared.op_state, shared.kvm_state) == (op, kvm))
    };
    assert!(pairs(TdState::Initialized, TdState::Initialized));
    assert!(pairs(TdState::Runnable, TdState::Initialized));
    assert!(pairs(TdState::Runnable, TdState::Runnable));
    assert!(!pairs(TdState::Initialized, TdState::Runnable));
}

#[test]
fn kvm_lets_nobody_finalize_while_pages_wait_to_be_added() {
    // Up to 6.18 a page is mapped in the mirror page table before it is added.
    let threads = ["KVM_TDX_INIT_MEM_REGION", "KVM_TDX_FINALIZE_VM"];
    let mut ask = paths("6.16", "1.5.05", &threads).unwrap();
    ask.scenario.populated = false;
    let system = ask.system().unwrap();
    for state in common::reachable(&system) {
        let page = state.shared.pages[0];
        let waits = page.mirror == MirrorSpte::Present && page.entry == EntryState::Free;
        let runnable = state.shared.kvm_state == TdState::Runnable;
        assert!(!(runnable && waits), "{state:?}");
    }
}

#[test]
fn two_inodes_have_two_invalidate_locks() {
    let measure = ["KVM_TDX_INIT_MEM_REGION:measure"];
    let mut ask = paths("next", "1.5.05", &measure).unwrap();
    (ask.scenario.zap, ask.scenario.populated) = (String::new(), false);
    (ask.scenario.pages, ask.scenario.inodes) = (2, 1);
    assert!(!bugs(&ask.search().unwrap()));
    ask.scenario.inodes = 2;
    assert!(bugs(&ask.search().unwrap()));
}

#[test]
fn the_versions_that_had_a_race_have_it_and_no_others() {
    let (init, create) = ("KVM_TDX_INIT_VCPU", "KVM_TDX_INIT_VCPU:create");
    let measure = "KVM_TDX_INIT_MEM_REGION:measure";
    let races: [(&str, [&str; 2], &[&str]); 4] = [
        (
            "R1",
            [measure, create],
            &["1.5.01", "1.5.05", "2.0.08", "2.0.12"],
        ),
        (
            "R2",
            [measure, "vcpu_load"],
            &["1.5.01", "1.5.05", "2.0.08", "2.0.12"],
        ),
        ("R3", [init, init], &["1.5.05", "2.0.08", "2.0.12"]),
        (
            "R4",
            ["KVM_TDX_FINALIZE_VM", create],
            &["1.5.01", "1.5.05", "2.0.08", "2.0.12"],
        ),
    ];
    for (race, threads, modules) in races {
        for module in ["1.5.01", "1.5.05", "2.0.08", "2.0.12"] {
            for kernel in ["patch-v1", "6.16", "6.19", "next"] {
                let mut ask = paths(kernel, module, &threads).unwrap();
                ask.scenario.populated = !threads.contains(&measure);
                let has = bugs(&ask.search().unwrap());
                let old = kernel == "6.16" || kernel == "patch-v1";
                let expected = old && modules.contains(&module);
                assert_eq!(has, expected, "{race} on {kernel} and {module}");
            }
        }
    }
}

#[test]
fn a_lock_around_one_call_is_a_lock_around_no_other() {
    let holding = |hold: Option<&str>| {
        let mut kernel = profile("next").unwrap();
        if let Some(hold) = hold {
            kernel.hold(hold).unwrap();
        }
        let mut ask = paths("next", "1.5.05", &["KVM_TDX_FINALIZE_VM"]).unwrap();
        ask.scenario.zap = String::new();
        let (table, decisions) = (table("1.5.05").unwrap(), kernel.decisions);
        let scenario = ask.scenario;
        let system = System::new(&table, &kernel, decisions, scenario, Reductions::ALL);
        search(&system.unwrap()).broken
    };
    assert!(holding(None).contains(&Property::NoSecondBusy));
    let around_the_call = holding(Some("mmu_lock:write@KVM_TDX_FINALIZE_VM/TDH.MR.FINALIZE"));
    assert!(!around_the_call.contains(&Property::NoSecondBusy));
    assert!(around_the_call.contains(&Property::TrackedRemove));
    let around_both = holding(Some("mmu_lock:write@KVM_TDX_FINALIZE_VM"));
    assert_eq!(around_both.into_iter().collect::<Vec<_>>(), []);
}

#[test]
fn reductions_leave_the_verdicts_of_a_td_of_two_lives_as_they_are() {
    for hold in [None, Some("mmu_lock:write@KVM_TDX_FINALIZE_VM")] {
        let verdicts = [Reductions::ALL, Reductions::NONE].map(|reductions| {
            let mut kernel = profile("next").unwrap();
            if let Some(hold) = hold {
                kernel.hold(hold).unwrap();
            }
            let mut ask = paths("next", "1.5.05", &["KVM_TDX_FINALIZE_VM"]).unwrap();
            (ask.scenario.zap, ask.scenario.vcpus) = (String::new(), 1);
            (ask.scenario.attr, ask.scenario.zero_step) = (false, false);
            let (table, decisions) = (table("1.5.05").unwrap(), kernel.decisions);
            let system = System::new(&table, &kernel, decisions, ask.scenario, reductions);
            search(&system.unwrap()).broken
        });
        assert_eq!(verdicts[0], verdicts[1]);
    }
}

#[test]
fn an_ignored_eagain_leads_to_both_status_words_of_the_field_report() {
    let system = Ask::claim().unwrap().with("on_busy", "ignore").system();
    let system = system.unwrap();
    let found = search(&system);
    let texts: Vec<String> = found
        .fired
        .iter()
        .map(|id| system.text(*id).outcome)
        .collect();
    assert!(texts.iter().any(|text| text == "GPA_RANGE_NOT_BLOCKED"));
    assert!(texts.iter().any(|text| text == "TLB_TRACKING_NOT_DONE"));
}

#[test]
fn a_kick_that_reads_the_cpu_first_needs_a_store_buffer_to_fail() {
    let broken = |memory, read: &'static str| {
        let mut ask = Ask::claim().unwrap().memory(memory);
        ask.scenario.migrate = true;
        let ask = ask.with("kick_mode_read", read);
        let broken = ask.search().unwrap().broken;
        broken.contains(&Property::NoSecondBusy)
    };
    assert!(!broken(Memory::Sc, "locked-cmpxchg") && !broken(Memory::Tso, "locked-cmpxchg"));
    assert!(!broken(Memory::Sc, "cpu-before-mode") && broken(Memory::Tso, "cpu-before-mode"));
}

#[test]
fn a_vcpu_created_late_is_missed_by_a_bit_of_its_own_and_by_a_flag_only_for_want_of_a_barrier() {
    let broken = |memory, kernel| {
        // One to be BUSY against, and one to be missed.
        let mut ask = Ask::claim()
            .unwrap()
            .two_trimmed()
            .memory(memory)
            .kernel(kernel);
        ask.scenario.late = true;
        let broken = ask.search().unwrap().broken;
        broken.contains(&Property::NoSecondBusy)
    };
    assert!(!broken(Memory::Sc, "6.16") && broken(Memory::Tso, "6.16"));
    assert!(broken(Memory::Sc, "rfc-request-bit"));
}

/// The functions that the zapper's and the vCPUs' steps stand for.
fn functions(system: &System) -> std::collections::BTreeSet<String> {
    let lines = system.zap.iter().chain(&system.vcpu);
    lines.map(|line| line.anchor.function.clone()).collect()
}

#[test]
fn every_function_that_can_be_renamed_is_one_that_a_step_stands_for() {
    use seamcheck_model::kernel::Decisions;
    let (table, profile) = (table("1.5.05").unwrap(), profile("6.16").unwrap());
    let mut met = std::collections::BTreeSet::new();
    for name in Decisions::NAMES {
        for (value, _) in Decisions::values(name) {
            let mut decisions = profile.decisions;
            decisions.set(name, value).unwrap();
            let (scenario, reductions) = (Scenario::default(), Reductions::ALL);
            if let Ok(system) = System::new(&table, &profile, decisions, scenario, reductions) {
                met.extend(functions(&system));
            }
        }
    }
    let known = seamcheck_model::kvm::FUNCTIONS
        .iter()
        .map(|name| (*name).to_owned());
    assert_eq!(met, known.collect());
}

#[test]
fn steps_have_the_names_that_their_kernel_has_for_them() {
    for (kernel, removal) in [
        ("6.19", "tdx_sept_remove_private_spte"),
        ("next", "tdx_sept_remove_leaf_spte"),
    ] {
        let functions = functions(&Ask::on("1.5.05").unwrap().kernel(kernel).system().unwrap());
        for name in [removal, "tdh_do_no_vcpus", "tdx_track", "tdx_vcpu_run"] {
            assert!(functions.contains(name), "{kernel}: {name}");
        }
        for gone in [
            "tdx_sept_zap_private_spte",
            "tdx_sept_drop_private_spte",
            "tdx_no_vcpus_enter_start",
            "tdx_no_vcpus_enter_stop",
        ] {
            assert!(!functions.contains(gone), "{kernel}: {gone}");
        }
    }
    let before = functions(&Ask::on("1.5.05").unwrap().system().unwrap());
    assert!(before.contains("tdx_no_vcpus_enter_start"), "{before:?}");
}

#[test]
fn a_page_is_added_by_a_function_of_its_own_from_6_19_on() {
    let mut ask = paths("next", "1.5.05", &["KVM_TDX_INIT_MEM_REGION:measure"]).unwrap();
    ask.scenario.populated = false;
    let system = ask.system().unwrap();
    let program = &system.threads[0];
    let functions: Vec<&str> = program
        .iter()
        .filter(|line| matches!(line.instr, seamcheck_model::kvm::Instr::Call { .. }))
        .map(|line| line.anchor.function.as_str())
        .collect();
    assert_eq!(functions, ["tdx_mem_page_add", "tdx_gmem_post_populate"]);
}

#[test]
fn a_td_is_not_finalized_while_a_premapped_page_is_being_removed() {
    use seamcheck_model::status::{EPT_ENTRY_STATE_INCORRECT, Operand};
    // The count goes down after TDH.MEM.RANGE.BLOCK, not with the mirror SPTE: with three at a time it
    // would otherwise look as if KVM_BUG_ON fired for a page that was never added.
    let threads = ["KVM_TDX_INIT_MEM_REGION", "KVM_TDX_FINALIZE_VM"];
    let mut ask = paths("6.16", "1.5.05", &threads).unwrap();
    (ask.scenario.zap, ask.scenario.populated) = (String::new(), false);
    // A removal in another inode makes TDH.MEM.PAGE.ADD BUSY, so that a page stays premapped.
    (ask.scenario.pages, ask.scenario.inodes) = (2, 2);
    let system = ask.system().unwrap();
    let states = common::reachable(&system);
    let status = |state: &seamcheck_model::system::State| {
        system.code.statuses[usize::from(state.shared.zapper.status)]
    };
    let wanted = EPT_ENTRY_STATE_INCORRECT.with(Operand::Rcx);
    let mut met = states.iter().filter(|state| status(state) == wanted);
    assert!(met.clone().next().is_some(), "a premapped page is blocked");
    assert!(met.all(|state| !state.shared.bugged));
}
