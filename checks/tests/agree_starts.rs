//! Where loom's windows begin: how many vCPUs the packed model needs to come there is a fact that the matrix
//! of agreement rests on (`checks/src/agree/start.rs`), and is searched for here.

use seamcheck::agree::{Reached, Start};
use seamcheck::forms::code::CodeRequest;
use seamcheck::suite::{Form, Run, built_in};
use seamcheck_model::kvm::instr::Instr;
use seamcheck_model::scenario::Scenario;
use seamcheck_model::system::state::{BlockEpoch, Control, EntryState, MirrorSpte, Page, Vcpu};
use seamcheck_model::system::{Reductions, State, System, pack};
use seamcheck_model::threads::{Version, Window};
use std::collections::{HashSet, VecDeque};

#[test]
fn each_start_in_the_suite_takes_as_many_vcpus_as_the_matrix_says() {
    let mut seen = Vec::new();
    let runs = built_in().expect("well-formed").into_iter();
    // Where zappers are two, `check code` searches for the start itself, and says when it is not reached.
    let searched_here = |run: &Run| !run.scenario.late && run.scenario.zappers == 1;
    for run in runs.filter(|run| run.form == Form::Loom && searched_here(run)) {
        let request = CodeRequest::of(&run).expect("a request");
        let start = start_of(&request);
        let what = (start.window, start.marked, start.armed, request.module);
        // The kick is behind the start, and no state of the reduced model rests between two calls without it.
        let mut set = run.set.clone();
        set.retain(|(decision, _)| decision != "kick");
        let run = Run { set, ..run };
        let question = (what, run.kernel.clone(), run.set.clone());
        if start.window == Window::Whole || seen.contains(&question) {
            continue;
        }
        let told = start.reached(request.module, false);
        assert_eq!(searched(&run, start), told, "{}", run.name);
        seen.push(question);
    }
    assert!(seen.len() > 20, "{}", seen.len());
    let ways = |way| {
        let of = |(what, ..): &&(_, _, _)| {
            let (window, marked, armed, module): (Window, bool, bool, Version) = *what;
            let start = Start {
                window,
                marked,
                armed,
            };
            start.reached(module, false) == way
        };
        seen.iter().filter(of).count()
    };
    // Both are met, so that a search that always, or never, comes there would be noticed.
    assert!(ways(Reached::ByItsOwn) > 0 && ways(Reached::ByAnother) > 0);
}

fn start_of(request: &CodeRequest) -> Start {
    Start {
        window: request.window,
        marked: request.marked,
        armed: request.zero_step_armed,
    }
}

fn searched(run: &Run, start: Start) -> Reached {
    let comes_there = |vcpus| {
        let run = Run {
            scenario: Scenario {
                vcpus,
                exit_reason: true,
                ..Scenario::default()
            },
            ..run.clone()
        };
        let question = run.question().expect("a question");
        let system = question.system(Reductions::ALL).expect("a model");
        comes_to(&system, start)
    };
    if comes_there(1) {
        Reached::ByItsOwn
    } else if comes_there(2) {
        Reached::ByAnother
    } else {
        Reached::Never
    }
}

/// Behind a first call that was busy, with every vCPU out of the way.
fn comes_to(system: &System, start: Start) -> bool {
    let vcpus = system.scenario.vcpus;
    let wanted = prepared(system, start);
    let key = |state: &State| {
        let mut words = vec![0; pack::words(vcpus, 0)];
        pack::pack(state, vcpus, 0, true, &mut words);
        words
    };
    let mut seen = HashSet::from([key(&system.initial())]);
    let mut queue = VecDeque::from([system.initial()]);
    while let Some(state) = queue.pop_front() {
        let there = state.shared == wanted.shared;
        if there && is_out_of_the_way(system, &state.vcpus[..vcpus], start) {
            return true;
        }
        system.successors(&state, |_, next| {
            if seen.insert(key(&next)) {
                queue.push_back(next);
            }
        });
    }
    false
}

fn prepared(system: &System, start: Start) -> State {
    let leaf = match start.window {
        Window::Block => "TDH.MEM.RANGE.BLOCK",
        Window::Track => "TDH.MEM.TRACK",
        _ => "TDH.MEM.PAGE.REMOVE",
    };
    let mut lines = system.zap.iter();
    let busy = lines.position(|line| match line.instr {
        Instr::UnlessBusy { leaf: of, .. } => system.code.leaves[usize::from(of.0)].key == leaf,
        _ => false,
    });
    let mut state = system.initial();
    state.shared.zapper = Control {
        line: busy.expect("such a window") as u8 + 1,
        ..Control::default()
    };
    let (entry, bepoch) = match start.window {
        Window::Block => (EntryState::Mapped, BlockEpoch::Older),
        Window::Track => (EntryState::Blocked, BlockEpoch::Current),
        _ => (EntryState::Blocked, BlockEpoch::Previous),
    };
    state.shared.pages[0] = Page {
        entry,
        bepoch,
        mirror: MirrorSpte::None,
        host_priority: start.marked,
    };
    state
}

/// Each rests, or waits for mmu_lock; and one is as the code's are when they begin.
fn is_out_of_the_way(system: &System, vcpus: &[Vcpu], start: Start) -> bool {
    let rests = |vcpu: &Vcpu| {
        let like = Vcpu {
            zero_step: vcpu.zero_step,
            ..Vcpu::default()
        };
        *vcpu == like
    };
    let waits = |vcpu: &Vcpu| {
        let like = Vcpu {
            control: vcpu.control,
            exit: vcpu.exit,
            zero_step: vcpu.zero_step,
            ..Vcpu::default()
        };
        matches!(system.vcpu_line(vcpu).instr, Instr::FaultLock { .. }) && *vcpu == like
    };
    let begins = |vcpu: &Vcpu| rests(vcpu) && (vcpu.zero_step != 0) == start.armed;
    vcpus.iter().any(begins) && vcpus.iter().all(|vcpu| rests(vcpu) || waits(vcpu))
}
