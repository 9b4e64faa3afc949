//! `cargo xtask build-cost`: what a program pays for a dependency before it runs.

use std::fmt::Write;
use std::time::Instant;

use xshell::cmd;

use crate::Result;
use crate::workspace::Workspace;

/// The features of tokio that its users name for the same work.
const TOKIO: &str = "tokio = { version = \"1\", features = \
                     [\"macros\", \"net\", \"rt-multi-thread\", \"sync\", \"time\"] }";

/// Builds a program with each dependency alone, from nothing built, in the dev profile on one core;
/// prints the seconds and the crates beneath it.
pub(crate) fn run(workspace: &Workspace) -> Result {
    let facade = workspace.root().join("crates/spinney");
    let facade = facade.to_str().ok_or("the path of the workspace is no text")?;
    let dependencies = [
        ("spinney", format!("spinney = {{ path = {facade:?} }}")),
        ("smol", "smol = \"2\"".to_owned()),
        ("tokio", TOKIO.to_owned()),
    ];
    let mut table = "|   | crates | seconds |\n|---|--:|--:|\n".to_owned();
    for (name, dependency) in dependencies {
        let (crates, seconds) = cost(workspace, name, &dependency)?;
        writeln!(table, "| {name} | {crates} | {seconds:.1} |")?;
    }
    print!("{table}");
    Ok(())
}

/// The crates and the seconds of a program that depends on `dependency` alone.
fn cost(workspace: &Workspace, name: &str, dependency: &str) -> Result<(usize, f64)> {
    let sh = &workspace.sh;
    let folder = workspace.target().join("build-cost").join(name);
    sh.remove_path(&folder)?;
    let manifest = format!(
        "[package]\nname = \"program\"\nedition = \"2024\"\n\n[workspace]\n\n[dependencies]\n{dependency}\n"
    );
    sh.write_file(folder.join("Cargo.toml"), manifest)?;
    sh.write_file(folder.join("src/main.rs"), "fn main() {}\n")?;
    // The same versions as in the workspace.
    sh.copy_file(workspace.root().join("Cargo.lock"), folder.join("Cargo.lock"))?;
    let _inside = sh.push_dir(&folder);
    cmd!(sh, "cargo fetch --quiet").run()?;
    let package = "{p}";
    let tree = cmd!(sh, "cargo tree --edges normal --prefix none --format {package}").read()?;
    let mut crates: Vec<_> = tree.lines().map(|line| line.trim_end_matches(" (*)")).collect();
    crates.sort_unstable();
    crates.dedup();
    let start = Instant::now();
    let build = cmd!(sh, "cargo build --quiet --offline --jobs 1 --target-dir target");
    build.env("CARGO_INCREMENTAL", "0").run()?;
    // The program itself is none of them.
    Ok((crates.len() - 1, start.elapsed().as_secs_f64()))
}
