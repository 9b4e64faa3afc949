//! Reporting the faults that a check found.

use std::fmt::Display;

use crate::Result;

/// Prints each of `faults` on its own line, and fails if there are any.
pub(crate) fn report<F: Display>(faults: &[F]) -> Result {
    for fault in faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("{} to fix", faults.len()).into()) }
}
