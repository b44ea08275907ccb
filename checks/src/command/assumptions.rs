//! `check assumptions`.

use super::{Failure, output, suite};
use crate::assumptions::LEDGER;
use crate::cli::AssumptionsArgs;
use crate::exit::Exit;
use crate::report::ledger;

pub(super) fn assumptions(args: &AssumptionsArgs) -> Result<Exit, Failure> {
    let runs = suite()?;
    if args.json {
        output::print_json(&ledger::json(&LEDGER, &runs))?;
    } else if args.markdown {
        output::print(&ledger::markdown(&LEDGER, &runs))?;
    } else {
        output::print(&ledger::human(&LEDGER, &runs))?;
    }
    Ok(Exit::AsExpected)
}
