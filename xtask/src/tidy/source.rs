//! [`Source`], a checked file, and [`Fault`], a broken rule in it.

use std::fmt;
use std::path::Path;

/// A text file of the workspace.
pub(super) struct Source {
    /// Relative to the root, with forward slashes.
    pub(super) path: String,
    pub(super) text: String,
}

impl Source {
    pub(super) fn is_rust(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "rs")
    }

    pub(super) fn is_markdown(&self) -> bool {
        Path::new(&self.path).extension().is_some_and(|extension| extension == "md")
    }

    /// Whether it is part of a published library.
    pub(super) fn is_library(&self) -> bool {
        let mut folders = self.path.split('/');
        self.is_rust() && folders.next() == Some("crates") && folders.nth(1) == Some("src")
    }

    /// Whether it is part of the facade.
    pub(super) fn is_facade(&self) -> bool {
        self.is_rust() && self.path.starts_with("crates/spinney/src/")
    }

    /// Whether it is in a folder of tests.
    pub(super) fn is_test(&self) -> bool {
        self.is_rust() && self.path.split('/').rev().skip(1).any(|folder| folder == "tests")
    }

    /// A fault at `line`, counted from 1.
    pub(super) fn fault(&self, line: usize, what: impl Into<String>, fix: &'static str) -> Fault {
        Fault { path: self.path.clone(), line, what: what.into(), fix }
    }
}

/// One place where a file breaks a rule.
#[derive(Debug)]
pub(super) struct Fault {
    path: String,
    line: usize,
    what: String,
    fix: &'static str,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}; fix: {}", self.path, self.line, self.what, self.fix)
    }
}

/// Asserts that `rule` finds faults in a file at `path` exactly at `lines`.
#[cfg(test)]
#[track_caller]
pub(super) fn assert_faults(
    rule: fn(&Source) -> Vec<Fault>,
    path: &str,
    text: &str,
    lines: &[usize],
) {
    let faults = rule(&Source { path: path.into(), text: text.into() });
    let found: Vec<usize> = faults.iter().map(|fault| fault.line).collect();
    assert_eq!(found, lines, "{faults:?}");
}
