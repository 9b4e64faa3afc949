//! [`Machine`]: where, with what and of which commit something was measured.

use std::process::Command;

use serde::{Deserialize, Serialize};

/// What the figures are true of.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Machine {
    cores: usize,
    arch: String,
    rust: String,
    commit: String,
}

impl Machine {
    /// This one, as far as it tells.
    pub(crate) fn this() -> Self {
        Self {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            arch: std::env::consts::ARCH.into(),
            rust: first_line("rustc", &["--version"]),
            commit: first_line("git", &["describe", "--always", "--dirty", "--exclude=*"]),
        }
    }

    /// What instructions depend on.
    pub(crate) fn compiler(&self) -> String {
        format!("{}, {}", self.rust, self.arch)
    }

    /// In words.
    pub(crate) fn describe(&self) -> String {
        let Self { cores, arch, rust, commit } = self;
        format!("{cores} {arch} cores, {rust}, commit {commit}")
    }
}

/// What `program` says first, or that it is unknown.
pub(crate) fn first_line(program: &str, args: &[&str]) -> String {
    let output = Command::new(program).args(args).output().ok();
    let said = output.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    said.as_deref().and_then(|said| said.lines().next()).unwrap_or("unknown").into()
}
