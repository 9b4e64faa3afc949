//! `cargo xtask ci`: the one command that decides whether a change may land.

use xshell::cmd;

use crate::steps::Steps;
use crate::workspace::Workspace;
use crate::{Result, brokers, deny, features, layers, loom, package, test, tidy};

pub(crate) fn run(workspace: &Workspace, steps: &mut Steps) -> Result {
    let sh = &workspace.sh;
    if std::env::var_os("CI").is_some() {
        // A clean clone has no earlier build, and its programs are not debugged: debug information
        // costs time and disk space.
        sh.set_var("CARGO_INCREMENTAL", "0");
        sh.set_var("CARGO_PROFILE_DEV_DEBUG", "0");
    }
    quick(workspace, steps)?;
    // A core would be idle while one large program is compiled or tests wait for each other. The
    // models are built in a folder of their own, and the worker that brokers test in that of
    // optimised programs; packages take turns with cargo's lock of the other. The brokers' scripts
    // wait more than they compute, and wait for states, so that a busy machine fails none.
    let (alone, others) = (workspace.clone(), workspace.clone());
    let with_brokers = move |steps: &mut Steps| brokers::run(&alone, steps, false);
    let aside = move |steps: &mut Steps| {
        let workspace = &others;
        steps.step("deny", "cargo xtask deny", || deny::run(workspace))?;
        steps.step("loom", "cargo xtask loom", || loom::run(workspace))?;
        steps.step("package", "cargo xtask package", || package::run(workspace))?;
        doc(workspace, steps)?;
        features::run(workspace, steps)
    };
    steps.beside(with_brokers, |steps| {
        steps.beside(aside, |steps| {
            clippy(workspace, steps)?;
            test::run(workspace, steps)
        })
    })
}

/// The part that a contributor runs after each change.
pub(crate) fn fast(workspace: &Workspace, steps: &mut Steps) -> Result {
    quick(workspace, steps)?;
    clippy(workspace, steps)?;
    test::fast(workspace, steps)
}

/// The checks that compile nothing.
fn quick(workspace: &Workspace, steps: &mut Steps) -> Result {
    need_component(workspace, "fmt", "rustfmt")?;
    need_component(workspace, "clippy", "clippy")?;
    steps.cmd("fmt", cmd!(workspace.sh, "cargo fmt --all --check"))?;
    steps.step("layers", "cargo xtask layers", || layers::run(workspace))?;
    steps.step("tidy", "cargo xtask tidy", || tidy::run(workspace))
}

fn clippy(workspace: &Workspace, steps: &mut Steps) -> Result {
    let clippy = cmd!(workspace.sh, "cargo clippy --workspace --all-targets -- -D warnings");
    steps.cmd("clippy", clippy)
}

fn doc(workspace: &Workspace, steps: &mut Steps) -> Result {
    let again = "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps";
    steps.step("doc", again, || {
        let doc = cmd!(workspace.sh, "cargo doc --workspace --no-deps");
        Ok(doc.env("RUSTDOCFLAGS", "-D warnings").quiet().run()?)
    })
}

/// Checks that `cargo SUBCOMMAND` works; adds its component once if it does not.
fn need_component(workspace: &Workspace, subcommand: &str, component: &str) -> Result {
    let sh = &workspace.sh;
    let works = || cmd!(sh, "cargo {subcommand} --version").quiet().ignore_stderr().read().is_ok();
    if works() {
        return Ok(());
    }
    let added = cmd!(sh, "rustup component add {component}").run();
    if works() {
        return Ok(());
    }
    let why = added.err().map_or_else(String::new, |error| format!(" ({error})"));
    Err(format!("cargo {subcommand} does not run, and adding {component} did not help{why}").into())
}
