//! `check matrix`.

use super::{Failure, output};
use crate::cli::MatrixArgs;
use crate::exit::Exit;
use crate::matrix::{Matrix, MatrixError};
use crate::question::{QuestionError, Source};

pub(super) fn matrix(args: &MatrixArgs) -> Result<Exit, Failure> {
    let (module, kernel) = (Source::module(&args.module)?, Source::kernel(&args.kernel)?);
    let (table, profile) = (module.table()?, kernel.profile()?);
    let matrix = Matrix::new(&module.name, &table, &kernel.name, &profile);
    let matrix = matrix.map_err(|error| match error {
        MatrixError::Config(error) => QuestionError::Config(error),
        MatrixError::TooLarge(error) => QuestionError::Usage(format!("{}: {error}", module.name)),
    })?;
    let exit = Exit::AsExpected;
    if args.json {
        output::print_json(&matrix.json(exit))?;
    } else {
        output::print(&matrix.text())?;
    }
    Ok(exit)
}
