//! How it is verified.
pub mod engine;
