//! `cargo xtask loom`: runs the models, small programs whose threads loom interleaves in every
//! order.

use std::panic::resume_unwind;
use std::thread;

use xshell::{Shell, cmd};

use crate::Result;
use crate::workspace::Workspace;

/// The flag with which models, and nothing else, are built.
pub(crate) const CFG: &str = "spinney_loom";

/// The packages that have models.
const PACKAGES: [&str; 2] = ["spinney-greenlet", "spinney-sync"];

pub(crate) fn run(workspace: &Workspace) -> Result {
    // A folder of its own: otherwise the other flags would rebuild everything each time.
    let target = workspace.target().join("loom");
    let models = |sh: &Shell, package: &str, args: &[&str]| -> Result {
        let test =
            cmd!(sh, "cargo test --quiet --profile loom --package {package} --test loom {args...}");
        let test = test.env("RUSTFLAGS", format!("--cfg {CFG}")).env("CARGO_TARGET_DIR", &target);
        Ok(test.quiet().run()?)
    };
    for package in PACKAGES {
        models(&workspace.sh, package, &["--no-run"])?;
    }
    // One thread per program: loom maps a stack for each thread of each order, and threads that do
    // so in one process contend. Separate programs do not.
    thread::scope(|scope| {
        let run = |package: &'static str| {
            let (sh, models) = (workspace.sh.clone(), &models);
            scope.spawn(move || {
                let args = ["--", "--test-threads", "1"];
                models(&sh, package, &args).map_err(|error| error.to_string())
            })
        };
        PACKAGES.map(run).into_iter().try_for_each(|run| match run.join() {
            Ok(done) => Ok(done?),
            Err(panic) => resume_unwind(panic),
        })
    })
}
