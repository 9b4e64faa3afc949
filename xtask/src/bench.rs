//! `cargo xtask bench`: the benchmarks, each beside its rivals.

use xshell::cmd;

use crate::Result;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, args: &[&str]) -> Result {
    Ok(cmd!(workspace.sh, "cargo run --profile bench --package spinney-benches -- {args...}")
        .run()?)
}
