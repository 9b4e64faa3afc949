//! `cargo xtask test`: what a contributor runs before sending a change.

use xshell::cmd;

use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{Result, examples};

pub(crate) fn run(workspace: &Workspace, steps: &mut Steps) -> Result {
    let sh = &workspace.sh;
    let tests = cmd!(sh, "cargo test --workspace --lib --bins --tests --examples");
    steps.cmd("unit and integration tests", tests)?;
    steps.cmd("doc tests", cmd!(sh, "cargo test --workspace --doc"))?;
    examples::run(workspace, steps)
}
