//! `cargo xtask test`: the checks that a contributor runs before sending a change. It needs no broker:
//! the tests of `spinney-celery`, which has many crates beneath it, run with `cargo xtask brokers`.

use xshell::cmd;

use crate::brokers::CRATE;
use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{Result, examples};

pub(crate) fn run(workspace: &Workspace, steps: &mut Steps) -> Result {
    // The doc tests of a crate are one program, which rustdoc compiles on one core while tests run.
    let others = workspace.clone();
    let docs = move |steps: &mut Steps| {
        steps.cmd("doc tests", cmd!(others.sh, "cargo test --workspace --exclude {CRATE} --doc"))
    };
    steps.beside(docs, |steps| {
        // `--tests` includes the examples that have tests; the others would be built twice.
        let tests =
            cmd!(workspace.sh, "cargo test --workspace --exclude {CRATE} --lib --bins --tests");
        steps.cmd("unit and integration tests", tests)?;
        examples::run(workspace, steps)
    })
}

/// The tests with the best coverage in the least time: those of single crates, and the promises on
/// the hubs that stay on one thread.
pub(crate) fn fast(workspace: &Workspace, steps: &mut Steps) -> Result {
    let packages = workspace.packages().iter().filter(|p| !TOOLS.contains(&p.name.as_str()));
    let programs = packages.flat_map(|package| &package.targets).filter(|t| t.is("test"));
    let programs = programs.filter(|program| !LONG.contains(&program.name.as_str()));
    let programs = programs.flat_map(|program| ["--test", &program.name]);
    let tools = TOOLS.iter().flat_map(|name| ["--exclude", name]);
    let skips = SLOW.iter().flat_map(|name| ["--skip", name]);
    let tests = ["test", "--workspace", "--lib", "--bins"].into_iter().chain(tools).chain(programs);
    let tests = cmd!(workspace.sh, "cargo {tests...} -- --quiet {skips...}");
    steps.cmd("tests on one thread", tests)
}

/// The packages whose tests [`fast`] leaves to [`run`].
const TOOLS: &[&str] = &["spinney-benches", "spinney-examples", CRATE];

/// The programs of tests that it leaves out as well: they try many orders.
const LONG: &[&str] = &["explore", "loom", "stress"];

/// Parts of the names of tests that it leaves out: tests on other hubs, and tests that build
/// programs or try many orders.
const SLOW: &[&str] = &[
    "::hub_of_four_threads",
    "::smol_hub",
    "::tokio_hub_of",
    "::own_executor",
    "::following_tokio",
    "::seeded_sim_hub",
    "_on_smol",
    "_on_threads",
    "_on_tokio",
    "_its_model",
    "_storms_",
    "chaos::",
    "outside::",
];
