//! The same code on real threads: a smoke test, which shows that it runs, and no more.

use super::backends::Std;
use super::kvm::Met;
use super::run::execute;
use super::scenario::Scenario;
use crate::kernel::Unsupported;

/// Runs a scenario a number of times on the machine's own threads and memory.
///
/// # Errors
/// When a decision has a value that the code does not implement.
pub fn run_on_threads(scenario: &Scenario, times: usize) -> Result<Met, Unsupported> {
    scenario.check()?;
    let met = (0..times).map(|_| execute::<Std>(scenario));
    Ok(met.fold(Met::default(), Met::and))
}
