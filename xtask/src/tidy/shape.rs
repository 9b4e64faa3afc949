//! Rules about a file as a whole.

use super::source::{Fault, Source};

const MOST_LINES: usize = 400;

/// Every source says first what it is for.
pub(super) fn head(source: &Source) -> Vec<Fault> {
    if !source.is_rust() || source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![source.fault(1, "does not begin with `//!`", "say on the first line what the file is for")]
}

/// One public concept a file keeps files short.
pub(super) fn length(source: &Source) -> Vec<Fault> {
    let lines = source.text.lines().count();
    if !source.is_library() || lines <= MOST_LINES {
        return Vec::new();
    }
    let what = format!("has {lines} lines, more than {MOST_LINES}");
    vec![source.fault(MOST_LINES + 1, what, "split it by concept")]
}

#[cfg(test)]
mod tests {
    use super::super::source::assert_faults;
    use super::{MOST_LINES, head, length};

    #[test]
    fn a_source_begins_with_its_purpose() {
        assert_faults(head, "xtask/src/a.rs", "//! What it is for.\n", &[]);
        assert_faults(head, "xtask/src/a.rs", "use std::fmt;\n//! Late.\n", &[1]);
        assert_faults(head, "README.md", "# Title\n", &[]);
    }

    #[test]
    fn a_library_file_is_short() {
        let path = "crates/hub/src/a.rs";
        assert_faults(length, path, &"\n".repeat(MOST_LINES), &[]);
        assert_faults(length, path, &"\n".repeat(MOST_LINES + 1), &[MOST_LINES + 1]);
        assert_faults(length, "tests/tests/a.rs", &"\n".repeat(MOST_LINES + 1), &[]);
    }
}
