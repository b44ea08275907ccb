//! Data files: reading TOML with errors that name file, line, column and a remedy.

pub mod reader;
pub mod suggest;

pub use reader::{DataError, Element, Reader};
