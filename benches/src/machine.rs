//! [`Machine`]: the machine, compiler and commit of a measurement.

use std::process::Command;

use serde::{Deserialize, Serialize};

/// The conditions of the figures.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    cores: usize,
    arch: String,
    rust: String,
    commit: String,
}

impl Machine {
    /// This machine, as far as it is known.
    pub(crate) fn this() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            arch: std::env::consts::ARCH.into(),
            rust: first_line("rustc", &["--version"]),
            commit: first_line("git", &["describe", "--always", "--dirty", "--exclude=*"]),
        }
    }

    /// The part on which instruction counts depend.
    pub(crate) fn compiler(&self) -> String {
        format!("{}, {}", self.rust, self.arch)
    }

    /// As text.
    pub(crate) fn describe(&self) -> String {
        let Self { cores, arch, rust, commit } = self;
        format!("{cores} {arch} cores, {rust}, commit {commit}")
    }
}

/// The first line of `program`'s output, or that it is unknown.
pub(crate) fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().ok();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    said.as_deref().and_then(|said| said.lines().next()).unwrap_or("unknown").into()
}
