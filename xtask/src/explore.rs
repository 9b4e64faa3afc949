//! `cargo xtask explore`: explores the scenarios of `tests/tests/explore` beyond their bounds,
//! optimised.

use std::thread::available_parallelism;
use std::time::{Duration, Instant};

use xshell::{Cmd, cmd};

use crate::Result;
use crate::workspace::Workspace;

/// How long each scenario is explored in the first pass.
const FIRST: f64 = 1.0;

/// Explores for `minutes`: all scenarios in each pass, for longer each time. A scenario whose
/// orders were all tried takes no more time, so the others get it.
pub(crate) fn run(workspace: &Workspace, minutes: f64) -> Result {
    let threads = available_parallelism()?.to_string();
    let test = |args: &[&str]| -> Cmd<'_> {
        cmd!(workspace.sh, "cargo test --release --package spinney-tests --test explore {args...}")
    };
    test(&["--no-run"]).run()?;
    let end = Instant::now() + Duration::try_from_secs_f64(minutes * 60.0)?;
    let mut seconds = FIRST;
    loop {
        let began = Instant::now();
        let pass = test(&["--", "--show-output", "--test-threads", &threads]);
        pass.env("SPINNEY_EXPLORE_SECONDS", seconds.to_string()).run()?;
        let left = end.saturating_duration_since(Instant::now());
        // The next pass takes twice as long, or the remaining time.
        let factor = (left.as_secs_f64() / began.elapsed().as_secs_f64()).min(2.0);
        if factor <= 1.0 {
            return Ok(());
        }
        seconds *= factor;
    }
}
