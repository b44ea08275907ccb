//! The same where somebody else kicks vCPUs, too.

use super::common::Outcome;
use super::{Question, altered, compare, question, refines, scenario};
use seamcheck_model::scenario::{Memory, Scenario};

const BOTH: [Memory; 2] = [Memory::Sc, Memory::Tso];

fn kicked(memory: Memory) -> Scenario {
    Scenario {
        foreign_kick: true,
        ..scenario(1, memory)
    }
}

#[test]
fn every_step_of_one_vcpu_is_one_of_the_packed_model_and_every_core_step_is_hit() -> Outcome<()> {
    for kernel in ["6.16", "patch-v1"] {
        for memory in BOTH {
            let (states, _) = refines(kernel, &kicked(memory))?;
            assert!(states > refines(kernel, &scenario(1, memory))?.0);
        }
    }
    Ok(())
}

#[test]
fn an_ipi_only_in_guest_mode_refines_the_packed_model() -> Outcome<()> {
    let set = [("kick", "request-wait-in-guest-only")];
    for memory in BOTH {
        compare(&altered("6.16", &kicked(memory), &set)?)?;
    }
    Ok(())
}

/// The comparison can fail.
#[test]
fn a_packed_model_that_nobody_else_kicks_is_not_refined() -> Outcome<()> {
    for memory in BOTH {
        let apart = Question {
            system: question("6.16", &scenario(1, memory))?.system,
            protocol: question("6.16", &kicked(memory))?.protocol,
        };
        let complaint = compare(&apart).err();
        let complaint = complaint.map(|text| text.to_string()).unwrap_or_default();
        assert!(complaint.contains("somebody else kicks"), "{complaint}");
    }
    Ok(())
}
