//! `cargo xtask stress`: stress tests on real threads, optimised.

use xshell::cmd;

use crate::Result;
use crate::workspace::Workspace;

/// How many closures go through thread pools.
const CLOSURES: usize = 1_000_000;

/// How many times one thread wakes a future that another thread polls, on each hub.
const WAKES: usize = 1_000_000;

/// The storm of `tests/tests/stress.rs` for `seconds`, then the closures of
/// `crates/threadpool/tests/stress.rs`, then the tests of the hubs' crates against lost wake-ups.
pub(crate) fn run(workspace: &Workspace, seconds: u64) -> Result {
    let (sh, seconds) = (&workspace.sh, seconds.to_string());
    let storm = cmd!(sh, "cargo test --release --package spinney-tests --test stress");
    storm.env("SPINNEY_STRESS_SECONDS", seconds).run()?;
    let threads = cmd!(sh, "cargo test --release --package spinney-threadpool --test stress");
    threads.env("SPINNEY_STRESS_CLOSURES", CLOSURES.to_string()).run()?;
    for package in ["spinney-hub", "spinney-sim"] {
        let wakes = cmd!(sh, "cargo test --release --package {package} --test it loses_no_wake");
        wakes.env("SPINNEY_STRESS_WAKES", WAKES.to_string()).run()?;
    }
    Ok(())
}
