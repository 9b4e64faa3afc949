//! `cargo xtask stress`: the storm of `tests/tests/stress.rs`, optimised, for as long as wanted.

use xshell::cmd;

use crate::Result;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, seconds: u64) -> Result {
    let seconds = seconds.to_string();
    let storm = cmd!(workspace.sh, "cargo test --release --package spinney-tests --test stress");
    Ok(storm.env("SPINNEY_STRESS_SECONDS", seconds).run()?)
}
