//! `cargo xtask stress`: what goes wrong only among many, on real threads, optimised.

use xshell::cmd;

use crate::Result;
use crate::workspace::Workspace;

/// How many closures go through thread pools.
const CLOSURES: usize = 1_000_000;

/// The storm of `tests/tests/stress.rs` for so many seconds, then the closures of
/// `crates/threadpool/tests/stress.rs`.
pub(crate) fn run(workspace: &Workspace, seconds: u64) -> Result {
    let (sh, seconds) = (&workspace.sh, seconds.to_string());
    let storm = cmd!(sh, "cargo test --release --package spinney-tests --test stress");
    storm.env("SPINNEY_STRESS_SECONDS", seconds).run()?;
    let threads = cmd!(sh, "cargo test --release --package spinney-threadpool --test stress");
    Ok(threads.env("SPINNEY_STRESS_CLOSURES", CLOSURES.to_string()).run()?)
}
