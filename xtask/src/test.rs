//! `cargo xtask test`: the checks that a contributor runs before sending a change.

use xshell::cmd;

use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{Result, examples};

pub(crate) fn run(workspace: &Workspace, steps: &mut Steps) -> Result {
    // The doc tests of a crate are one program, which rustdoc compiles on one core while tests run.
    let others = workspace.clone();
    let docs = move |steps: &mut Steps| {
        steps.cmd("doc tests", cmd!(others.sh, "cargo test --workspace --doc"))
    };
    steps.beside(docs, |steps| {
        // `--tests` includes the examples that have tests; the others would be built twice.
        let tests = cmd!(workspace.sh, "cargo test --workspace --lib --bins --tests");
        steps.cmd("unit and integration tests", tests)?;
        examples::run(workspace, steps)
    })
}

/// The tests with the best coverage in the least time: those of single crates, and the promises on
/// the hubs that stay on one thread.
pub(crate) fn fast(workspace: &Workspace, steps: &mut Steps) -> Result {
    let sh = &workspace.sh;
    let skips = SLOW.iter().flat_map(|name| ["--skip", name]);
    let tools = ["spinney-benches", "spinney-examples"].map(|name| ["--exclude", name]).concat();
    let tests = cmd!(sh, "cargo test --workspace {tools...} --lib --tests -- --quiet {skips...}");
    steps.cmd("tests on one thread", tests)
}

/// Parts of the names of tests that [`fast`] leaves to [`run`]: tests on other hubs, and tests that
/// build programs or try many orders.
const SLOW: &[&str] = &[
    "::hub_of_four_threads",
    "::smol_hub",
    "::tokio_hub_of",
    "::own_executor",
    "::following_tokio",
    "::seeded_sim_hub",
    "outside::",
];
