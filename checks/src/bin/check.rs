use seamcheck_model::{builtin, kernel::KernelProfile, scenario::*, system::*, table::LockTable};
use seamcheck::engine::{Limits, Watch, exact::{self, Until}};
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let n: usize = args[1].parse().unwrap();
    let memory = if args[2] == "tso" { Memory::Tso } else { Memory::Sc };
    let kernel = builtin::KERNELS.iter().find(|k| k.0 == args[3]).unwrap();
    let module = builtin::MODULES.iter().find(|k| k.0 == args[4]).unwrap();
    let table = LockTable::parse(module.0, module.1).unwrap();
    let profile = KernelProfile::parse(kernel.0, kernel.1).unwrap();
    let mut decisions = profile.decisions;
    let mut scenario = Scenario { vcpus: n, memory, ..Default::default() };
    for set in &args[5..] {
        let (k, v) = set.split_once('=').unwrap();
        match k {
            "accept" => scenario.accept = v == "1",
            "attr" => scenario.attr = v == "1",
            "zero" => scenario.zero_step = v == "1",
            "finalized" => scenario.finalized = v == "1",
            "exit" => scenario.exit_reason = v == "1",
            "pages" => scenario.pages = v.parse().unwrap(),
            "thread" => scenario.threads.push(v.into()),
            _ => decisions.set(k, v).unwrap(),
        }
    }
    let red = if std::env::var("NORED").is_ok() { Reductions::NONE } else { Reductions::ALL };
    let system = System::new(&table, &profile, decisions, scenario, red).unwrap();
    eprintln!("ops {} statuses {} zap {} vcpu {} shapes {:?}", system.code.ops.len(), system.code.statuses.len(), system.zap.len(), system.vcpu.len(), system.shared_shapes);
    let r = exact::search(&system, Until::Everything, Limits::default(), &Watch::default());
    println!("states {} transitions {} depth {} complete {} cut {:?} time {:?} {:.2} Mstates/s bytes/state {}", r.states, r.transitions, r.depth, r.complete, r.cut, r.elapsed, r.states as f64 / r.elapsed.as_secs_f64() / 1e6, r.bytes / r.states);
    for v in &r.violations { println!("VIOLATED {:?} length {} last {:?}", v.property, v.length(), v.last.trail.iter().map(|s| system.describe(*s)).collect::<Vec<_>>()); }
    for w in &system.observations.required { if !r.witnesses.contains(w) { println!("MISSING witness {}", w.text(&system)); } }
    if std::env::var("NEVER").is_ok() { for s in system.possible_steps() {
        if (0..6).all(|o| r.fired[s.0 as usize + o] == 0) { println!("never: {}", system.describe(s)); } }
    }
}
