//! `cargo xtask ci`: the one command that decides whether a change may land.

use xshell::cmd;

use crate::brokers::CRATE;
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
    // models and the worker that brokers test are built in folders of their own; the others take
    // turns with cargo's lock of the common one. The brokers' scripts wait more than they compute,
    // and wait for states, so that a busy machine fails none.
    let (alone, others) = (workspace.clone(), workspace.clone());
    let with_brokers = move |steps: &mut Steps| brokers::run(&alone, steps, false);
    let aside = move |steps: &mut Steps| {
        let workspace = &others;
        steps.step("deny", "cargo xtask deny", || deny::run(workspace))?;
        steps.step("loom", "cargo xtask loom", || loom::run(workspace))?;
        clippy_of_celery(workspace, steps)?;
        features::run(workspace, steps)?;
        steps.step("package", "cargo xtask package", || package::run(workspace))?;
        doc(workspace, steps)
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
    clippy_of_celery(workspace, steps)?;
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
    let packages = ["--workspace", "--exclude", CRATE];
    let clippy = cmd!(workspace.sh, "cargo clippy {packages...} --all-targets -- -D warnings");
    steps.cmd("clippy", clippy)
}

/// With all of its features, as in [`features`]: together with the others it would have those of
/// its 90 crates that another package asks for, which would be checked once more.
fn clippy_of_celery(workspace: &Workspace, steps: &mut Steps) -> Result {
    let package = ["--package", CRATE, "--all-features"];
    let clippy = cmd!(workspace.sh, "cargo clippy {package...} --all-targets -- -D warnings");
    steps.cmd("clippy of spinney-celery", clippy)
}

fn doc(workspace: &Workspace, steps: &mut Steps) -> Result {
    let most = ["--workspace", "--exclude", CRATE].as_slice();
    let celery = ["--package", CRATE, "--all-features"].as_slice();
    for (name, packages) in [("doc", most), ("doc of spinney-celery", celery)] {
        let doc = cmd!(workspace.sh, "cargo doc --no-deps {packages...}");
        let again = format!("RUSTDOCFLAGS='-D warnings' {doc}");
        let doc = doc.env("RUSTDOCFLAGS", "-D warnings").quiet();
        steps.step(name, again, || Ok(doc.run()?))?;
    }
    Ok(())
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
