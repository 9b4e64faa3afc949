//! `cargo xtask conformance`: the scenarios that gevent and eventlet ran, on our own.

use std::path::absolute;

use xshell::cmd;

use crate::Result;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, args: &[&str]) -> Result {
    let mut args: Vec<String> = args.iter().map(ToString::to_string).collect();
    // The shell stands at the root; the person may stand elsewhere.
    if let Some(corpus) = args.iter().position(|arg| arg == "--corpus") {
        if let Some(path) = args.get_mut(corpus + 1) {
            *path = absolute(&path)?.to_string_lossy().into_owned();
        }
    }
    let package = ["--package", "spinney-tests", "--bin", "conformance"];
    let run = cmd!(workspace.sh, "cargo run --quiet {package...} -- {args...}");
    Ok(run.quiet().run()?)
}
