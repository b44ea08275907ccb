//! Traces written by hand, for the tests of every room.

mod generated;
mod script;

use crate::schema::Trace;
pub(crate) use generated::generated;
pub(crate) use script::Script;

const BUSY_TREE: (&str, &str) = ("0x8000020000000092", "TDX_OPERAND_BUSY | SEPT_TREE");
const BUSY_TDR: (&str, &str) = ("0x8000020000000002", "TDX_OPERAND_BUSY | RDX");

/// Every trace written by hand.
pub(crate) fn all() -> [Trace; 2] {
    [second_block_is_busy(), vp_init_takes_tdr()]
}

/// Two columns: without the test of the flag, a kicked vCPU enters again and its 0-step check
/// holds SEPT_TREE when BLOCK is called for the second time.
pub(crate) fn second_block_is_busy() -> Trace {
    let mut script = Script::new(&["zapper", "vcpu0"]);
    script
        .question
        .set
        .insert("vcpu_flag_test".into(), "absent".into());
    enter_with_the_tree(&mut script);
    try_block(&mut script, BUSY_TREE);
    raise_and_kick(&mut script);
    script
        .under("vcpu0", "TDH.VP.ENTER")
        .step("SEPT_TREE: release, enter the guest");
    script.release("vcpu0", "SEPT_TREE");
    script
        .step("TD exit: external interrupt")
        .release("vcpu0", "TDR");
    script
        .under("vcpu0", "vcpu_enter_guest")
        .step("mode = OUTSIDE_GUEST_MODE");
    script.change("vcpu0.mode", "IN_GUEST_MODE", "OUTSIDE_GUEST_MODE");
    script.step("local_irq_enable(): ack_kick()");
    script
        .under("zapper", "kvm_make_all_cpus_request")
        .step("csd_lock_wait() on each");
    script.guard("no vCPU has yet to acknowledge the kick", true);
    enter_with_the_tree(&mut script);
    try_block(&mut script, BUSY_TREE);
    script.conflict("SEPT_TREE", "exclusive", "TDH.MEM.RANGE.BLOCK");
    script.finish(
        "The second TDH.MEM.RANGE.BLOCK returned TDX_OPERAND_BUSY | SEPT_TREE: \
         vCPU 0 was inside TDH.VP.ENTER although wait_for_sept_zap was set.",
    )
}

/// An ioctl takes TDR exclusively during the retry; vCPU 0 is kicked, vCPU 1 never moves.
pub(crate) fn vp_init_takes_tdr() -> Trace {
    let mut script = Script::new(&["zapper", "ioctl0", "vcpu0", "vcpu1"]);
    enter_with_the_tree(&mut script);
    try_block(&mut script, BUSY_TREE);
    script
        .under("ioctl0", "tdx_td_vcpu_init")
        .step("take its KVM locks");
    raise_and_kick(&mut script);
    script
        .under("vcpu0", "TDH.VP.ENTER")
        .step("TD exit: external interrupt");
    script.release("vcpu0", "SEPT_TREE").release("vcpu0", "TDR");
    script
        .under("vcpu0", "vcpu_enter_guest")
        .step("mode = OUTSIDE_GUEST_MODE");
    script.change("vcpu0.mode", "IN_GUEST_MODE", "OUTSIDE_GUEST_MODE");
    script.fused("local_irq_enable(): ack_kick()");
    script
        .under("zapper", "kvm_make_all_cpus_request")
        .step("csd_lock_wait() on each");
    script
        .under("ioctl0", "TDH.VP.INIT")
        .step("TDR: try exclusive")
        .hold("TDR", "exclusive");
    script
        .under("zapper", "TDH.MEM.RANGE.BLOCK")
        .step("TDR: try shared")
        .fail(BUSY_TDR);
    script.conflict("TDR", "shared", "TDH.MEM.RANGE.BLOCK");
    script.finish(
        "The second TDH.MEM.RANGE.BLOCK returned TDX_OPERAND_BUSY | RDX: TDH.VP.INIT, called \
         from an ioctl, takes TDR exclusively, and no kick reaches it.",
    )
}

fn enter_with_the_tree(script: &mut Script) {
    script
        .under("vcpu0", "vcpu_enter_guest")
        .step("smp_store_release(&mode, IN_GUEST_MODE)");
    script.change("vcpu0.mode", "OUTSIDE_GUEST_MODE", "IN_GUEST_MODE");
    script.fused("srcu_read_unlock(): smp_mb()");
    script
        .under("vcpu0", "TDH.VP.ENTER")
        .step("TDR: try shared")
        .hold("TDR", "shared");
    script
        .step("SEPT_TREE: try exclusive (0-step)")
        .hold("SEPT_TREE", "exclusive");
}

fn try_block(script: &mut Script, status: (&str, &str)) {
    script
        .under("zapper", "TDH.MEM.RANGE.BLOCK")
        .step("TDR: try shared")
        .hold("TDR", "shared");
    script
        .step("SEPT_TREE: try exclusive")
        .fail(status)
        .release("zapper", "TDR");
}

fn raise_and_kick(script: &mut Script) {
    script.under("zapper", "tdx_no_vcpus_enter_start");
    script.step("WRITE_ONCE(wait_for_sept_zap, true)");
    script.change("wait_for_sept_zap", "false", "true");
    script
        .under("zapper", "kvm_make_all_cpus_request")
        .step("for each vCPU: read its mode");
    script.guard("vCPU 0 is in the guest", true);
    script.step("smp_call_function_many(ack_kick)");
}
