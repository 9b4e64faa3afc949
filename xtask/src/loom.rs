//! `cargo xtask loom`: the models, small programs whose threads loom lets take turns in every
//! order.

use xshell::cmd;

use crate::Result;
use crate::workspace::Workspace;

/// What is set where models are built, and nowhere else.
pub(crate) const CFG: &str = "spinney_loom";

/// The packages that have models, and what `cargo test` is told to run them.
const MODELS: &[(&str, &[&str])] =
    &[("spinney-sync", &["--test", "loom"]), ("spinney-greenlet", &["--test", "loom"])];

pub(crate) fn run(workspace: &Workspace) -> Result {
    let sh = &workspace.sh;
    // Other flags would have everything built anew each time, were it not in a folder of its own.
    let target = workspace.target().join("loom");
    for (package, args) in MODELS.iter().copied() {
        cmd!(sh, "cargo test --quiet --release --package {package} {args...}")
            .env("RUSTFLAGS", format!("--cfg {CFG}"))
            .env("CARGO_TARGET_DIR", &target)
            .quiet()
            .run()?;
    }
    Ok(())
}
