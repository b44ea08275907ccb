//! `check decode`.

use super::{Failure, output};
use crate::cli::DecodeArgs;
use crate::exit::Exit;
use crate::question::QuestionError;
use seamcheck_model::closed_enum::ClosedEnum;
use seamcheck_model::status::{OPERAND_BUSY, StatusWord};
use std::fmt::Write;

pub(super) fn decode(args: &DecodeArgs) -> Result<Exit, Failure> {
    let mut out = String::new();
    for word in &args.words {
        let status = parse(word)?;
        let _ = writeln!(out, "{status}  {}", status.pretty());
        let _ = writeln!(
            out,
            "    code      {}, class {:#04x}{}",
            status.code(),
            status.class(),
            class(status.class())
        );
        let bits = [(63, "error"), (62, "non-recoverable"), (61, "fatal")];
        let set: Vec<&str> = bits
            .iter()
            .filter(|(bit, _)| status.0 >> bit & 1 == 1)
            .map(|(_, name)| *name)
            .collect();
        let _ = writeln!(
            out,
            "    bits      {}",
            if set.is_empty() {
                "no error".to_owned()
            } else {
                set.join(", ")
            }
        );
        if let Some(operand) = status.operand() {
            let _ = writeln!(out, "    operand   {}", operand.about());
        }
        if let Some(meaning) = status.meaning() {
            let _ = writeln!(out, "    meaning   {meaning}");
        }
        let _ = writeln!(
            out,
            "    busy?     tdx_operand_busy(): {}; err & TDX_OPERAND_BUSY, as in patch v1: {}",
            yes(status.is_operand_busy()),
            yes(status.0 & OPERAND_BUSY.0 != 0)
        );
    }
    output::print(&out)?;
    Ok(Exit::AsExpected)
}

fn parse(word: &str) -> Result<StatusWord, Failure> {
    let digits = word.replace('_', "");
    let value = match digits
        .strip_prefix("0x")
        .or_else(|| digits.strip_prefix("0X"))
    {
        Some(hexadecimal) => u64::from_str_radix(hexadecimal, 16),
        // As a log without 0x has it; in decimal a number of 16 digits would be no status.
        None if digits.len() == 16 => u64::from_str_radix(&digits, 16),
        None => digits.parse(),
    };
    value.map(StatusWord).map_err(|_| {
        QuestionError::Usage(format!(
            "`{word}` is no 64-bit status word; write it as 0x8000020000000092"
        ))
        .into()
    })
}

const fn class(class: u8) -> &'static str {
    match class {
        0x00 => " (general)",
        0x01 => " (invalid operand)",
        0x02 => " (resource busy)",
        0x03 => " (page metadata)",
        0x06 => " (TD state)",
        0x07 => " (vCPU state)",
        0x08 => " (key management)",
        0x0B => " (secure EPT)",
        _ => "",
    }
}

const fn yes(value: bool) -> &'static str {
    if value { "yes" } else { "no" }
}
