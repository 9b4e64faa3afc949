//! `cargo xtask test`: what a contributor runs before sending a change.

use xshell::cmd;

use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{Result, examples};

pub(crate) fn run(workspace: &Workspace) -> Result {
    let mut steps = Steps::new();
    run_steps(workspace, &mut steps)?;
    steps.finish();
    Ok(())
}

pub(crate) fn run_steps(workspace: &Workspace, steps: &mut Steps) -> Result {
    let sh = &workspace.sh;
    let tests = cmd!(sh, "cargo test --workspace --lib --bins --tests --examples");
    steps.cmd("unit and integration tests", tests)?;
    steps.cmd("doc tests", cmd!(sh, "cargo test --workspace --doc"))?;
    examples::run_steps(workspace, steps)
}
