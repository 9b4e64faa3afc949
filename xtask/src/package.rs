//! `cargo xtask package`: each crate can be packaged, builds from its package, lowest layer first,
//! and contains the files that users need.

use std::env;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::Result;
use crate::faults::report;
use crate::workspace::Workspace;

/// The files of each package beside its sources.
const FILES: &[&str] = &["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

pub(crate) fn run(workspace: &Workspace) -> Result {
    let sh = &workspace.sh;
    let names: Vec<&str> = workspace.crates().map(|package| package.name.as_str()).collect();
    let packages = names.iter().flat_map(|name| ["--package", name]);
    forget_unpacked(sh)?;
    // Each is built from its package, against the packages of lower layers.
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

/// Removes the unpacked packages of earlier runs: cargo identifies them by version, and would build
/// against old contents.
fn forget_unpacked(sh: &Shell) -> Result {
    let home = env::var_os("HOME").map(|home| Path::new(&home).join(".cargo"));
    let Some(home) = env::var_os("CARGO_HOME").map(PathBuf::from).or(home) else { return Ok(()) };
    let unpacked = home.join("registry/src");
    if !sh.path_exists(&unpacked) {
        return Ok(());
    }
    // The sources of a registry on a network have its name as a prefix.
    let is_local = |path: &PathBuf| {
        path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('-'))
    };
    for registry in sh.read_dir(&unpacked)?.into_iter().filter(is_local) {
        for package in sh.read_dir(&registry)? {
            if package.file_name().is_some_and(|name| name.to_string_lossy().starts_with("spinney"))
            {
                sh.remove_path(&package)?;
            }
        }
    }
    Ok(())
}
