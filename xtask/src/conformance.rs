//! `cargo xtask conformance`: runs the scenarios of gevent and eventlet on our own code.

use std::path::absolute;

use xshell::cmd;

use crate::Result;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, args: &[&str]) -> Result {
    let mut args: Vec<String> = args.iter().map(ToString::to_string).collect();
    // The shell is at the root; the caller may be elsewhere.
    if let Some(corpus) = args.iter().position(|arg| arg == "--corpus") {
        if let Some(path) = args.get_mut(corpus + 1) {
            *path = absolute(&path)?.to_string_lossy().into_owned();
        }
    }
    let package = ["--package", "spinney-tests", "--bin", "conformance"];
    let run = cmd!(workspace.sh, "cargo run --quiet {package...} -- {args...}");
    Ok(run.quiet().run()?)
}
