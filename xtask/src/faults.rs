//! How a check tells what it found.

use std::fmt::Display;

use crate::Result;

/// Prints each of `faults` on a line of its own, and fails if there is any.
pub(crate) fn report<F: Display>(faults: &[F]) -> Result {
    for fault in faults {
        eprintln!("{fault}");
    }
    if faults.is_empty() { Ok(()) } else { Err(format!("{} to fix", faults.len()).into()) }
}
