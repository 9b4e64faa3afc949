//! `cargo xtask package`: each crate can be packaged, builds from its package, and contains the
//! files that users need.

use std::fmt::Write;
use std::path::Path;

use xshell::cmd;

use crate::Result;
use crate::faults::report;
use crate::workspace::Workspace;

/// The files of each package beside its sources.
const FILES: &[&str] = &["Cargo.toml", "LICENSE-APACHE", "LICENSE-MIT", "README.md"];

pub(crate) fn run(workspace: &Workspace) -> Result {
    let sh = &workspace.sh;
    let packed = workspace.target().join("package");
    let unpacked = packed.join("unpacked");
    pack(workspace, &packed, &unpacked)?;
    let mut faults = Vec::new();
    for package in workspace.crates() {
        let (name, folder) = (&package.name, unpacked.join(package.unpacked()));
        let missing = FILES.iter().filter(|file| !sh.path_exists(folder.join(file)));
        faults.extend(missing.map(|file| format!("{name}: no {file} in the package")));
        check(workspace, &unpacked, name)?;
    }
    report(&faults)
}

/// Packs the crates into `packed`, and unpacks them into a workspace in the folder `unpacked`, whose
/// members use each other's packages.
fn pack(workspace: &Workspace, packed: &Path, unpacked: &Path) -> Result {
    let sh = &workspace.sh;
    let packages = workspace.crates().flat_map(|package| ["--package", &package.name]);
    // Its own verification builds the outside crates once more, which takes minutes.
    cmd!(sh, "cargo package --quiet --offline --allow-dirty --no-verify {packages...}")
        .quiet()
        .run()?;
    sh.remove_path(unpacked)?;
    sh.create_dir(unpacked)?;
    let mut manifest =
        "[workspace]\nresolver = \"3\"\nmembers = [\"*\"]\n\n[patch.crates-io]\n".to_owned();
    for package in workspace.crates() {
        let (name, folder) = (&package.name, package.unpacked());
        let archive = packed.join(format!("{folder}.crate"));
        cmd!(sh, "tar --extract --gzip --file {archive} --directory {unpacked}").quiet().run()?;
        writeln!(manifest, "{name} = {{ path = {folder:?} }}")?;
    }
    sh.write_file(unpacked.join("Cargo.toml"), manifest)?;
    // The same versions of the outside crates.
    Ok(sh.copy_file(workspace.root().join("Cargo.lock"), unpacked)?)
}

/// Checks that the crate `name` of the workspace `unpacked` builds with its own features. What can
/// be wrong in a package alone is its manifest or a missing file, and the compiler has read both
/// before it generates code.
fn check(workspace: &Workspace, unpacked: &Path, name: &str) -> Result {
    let (manifest, target) = (unpacked.join("Cargo.toml"), workspace.target());
    let place = ["--manifest-path".as_ref(), manifest.as_path(), "--target-dir".as_ref(), target];
    let check = cmd!(workspace.sh, "cargo check --quiet --offline {place...} --package {name}");
    // As in the workspace's profile, so that the outside crates are checked once.
    Ok(check.env("CARGO_PROFILE_DEV_DEBUG", "0").quiet().run()?)
}
