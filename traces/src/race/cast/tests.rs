use super::*;
use crate::fixtures::Script;

/// The ids of the drawn agents, and the remarks on the others.
fn cast(trace: &Trace) -> (Vec<&str>, Vec<String>) {
    let cast = Cast::of(trace);
    (
        cast.columns.iter().map(|agent| agent.id.as_str()).collect(),
        cast.folded,
    )
}

/// Five agents, each with a step that gets a status word.
fn crowd() -> Script {
    let ids = ["zapper", "vcpu0", "vcpu1", "vcpu2", "vcpu3"];
    let mut script = Script::new(&ids);
    for id in ids {
        script
            .under(id, "f")
            .step("step")
            .fail(("0x0000000000000000", "TDX_SUCCESS"));
    }
    script
}

#[test]
fn of_five_agents_the_holder_the_one_who_wants_and_the_zapper_are_drawn() {
    let mut script = crowd();
    script
        .under("vcpu2", "f")
        .step("take")
        .hold("TDR", "exclusive");
    script
        .under("vcpu1", "f")
        .step("try")
        .conflict("TDR", "shared", "TDH.VP.ENTER");
    let trace = script.finish("");
    let (drawn, folded) = cast(&trace);
    assert_eq!(drawn, ["zapper", "vcpu1", "vcpu2"]);
    assert_eq!(
        folded,
        ["(vCPU 0: 1 step, not drawn)", "(vCPU 3: 1 step, not drawn)"]
    );
}

#[test]
fn of_many_holders_the_first_ones_are_drawn() {
    let mut script = crowd();
    for id in ["vcpu3", "vcpu0", "vcpu1"] {
        script.under(id, "f").step("take").hold("TDR", "shared");
    }
    script
        .under("zapper", "f")
        .step("try")
        .conflict("TDR", "exclusive", "TDH.MR.FINALIZE");
    let trace = script.finish("");
    assert_eq!(cast(&trace).0, ["zapper", "vcpu1", "vcpu3"]);
}

#[test]
fn without_a_conflict_the_zapper_and_the_last_to_move_are_drawn() {
    let trace = crowd().finish("");
    assert_eq!(cast(&trace).0, ["zapper", "vcpu2", "vcpu3"]);
}

#[test]
fn a_vcpu_that_no_one_else_sees_is_folded() {
    let mut script = Script::new(&["zapper", "vcpu0"]);
    script
        .under("vcpu0", "vcpu_run")
        .step("loop")
        .change("vcpu0.mode", "OUT", "IN");
    script.under("zapper", "f").step("go");
    let (trace, seen) = (script.clone().finish(""), {
        script.guard("vCPU 0 is in the guest", true);
        script.finish("")
    });
    let remark = "(vCPU 0: 1 step, none that another agent sees)";
    assert_eq!(cast(&trace), (vec!["zapper"], vec![remark.to_owned()]));
    assert_eq!(cast(&seen), (vec!["zapper", "vcpu0"], Vec::new()));
}
