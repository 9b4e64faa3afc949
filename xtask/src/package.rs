//! `cargo xtask package`: each crate can be packed, builds from its package, lowest layer first,
//! and has in it what a user has to be given.

use xshell::cmd;

use crate::Result;
use crate::faults::report;
use crate::workspace::Workspace;

/// What each package holds beside its sources.
const FILES: &[&str] = &["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

pub(crate) fn run(workspace: &Workspace) -> Result {
    let sh = &workspace.sh;
    let names: Vec<&str> = workspace.crates().map(|package| package.name.as_str()).collect();
    let packages = names.iter().flat_map(|name| ["--package", name]);
    // Each is built from its package, against the packages of those below it.
    cmd!(sh, "cargo package --quiet --offline --allow-dirty {packages...}").quiet().run()?;
    let mut faults = Vec::new();
    for name in names {
        let listed = cmd!(sh, "cargo package --list --allow-dirty --package {name}");
        let listed = listed.quiet().ignore_stderr().read()?;
        let missing = FILES.iter().filter(|file| !listed.lines().any(|line| line == **file));
        faults.extend(missing.map(|file| format!("{name}: no {file} in the package")));
    }
    report(&faults)
}
