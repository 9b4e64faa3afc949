//! `cargo xtask examples`: runs each example and compares its output with
//! `examples/expected/NAME.txt`.

mod expected;

use std::env::consts::EXE_SUFFIX;
use std::path::PathBuf;

use xshell::cmd;

use crate::Result;
use crate::brokers::CRATE;
use crate::steps::Steps;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, steps: &mut Steps) -> Result {
    let sh = &workspace.sh;
    // With the profile and the features of the tests of the workspace, so that it reuses their build.
    // That each package builds with its own features is checked by `features`.
    steps.cmd(
        "examples",
        cmd!(
            sh,
            "cargo build --quiet --profile test --workspace --exclude {CRATE} --bins --examples"
        ),
    )?;
    for example in examples(workspace) {
        let (package, [kind, name]) = (example.package, example.target());
        let again = format!("cargo run --package {package} {kind} {name}");
        steps.step(&format!("example {name}"), again, || {
            let expected = sh.read_file(file(workspace, name))?;
            let program = example.program(workspace);
            let printed = cmd!(sh, "{program}").quiet().read()?;
            expected::difference(&expected, &printed).map_or(Ok(()), |difference| {
                let file = format!("examples/expected/{name}.txt");
                Err(format!(
                    "its output is not that of {file}; {difference}\n\nall of it:\n{printed}"
                )
                .into())
            })
        })?;
    }
    Ok(())
}

/// A program under `examples/`: an example of its package, or a package of its own.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Example<'a> {
    name: &'a str,
    package: &'a str,
    is_bin: bool,
}

impl Example<'_> {
    /// The arguments that name it to cargo.
    fn target(&self) -> [&str; 2] {
        [if self.is_bin { "--bin" } else { "--example" }, self.name]
    }

    /// The path of the program once it is built.
    fn program(&self, workspace: &Workspace) -> PathBuf {
        let folder = if self.is_bin { "debug" } else { "debug/examples" };
        workspace.target().join(folder).join(format!("{}{EXE_SUFFIX}", self.name))
    }
}

/// All examples, ordered by name.
fn examples(workspace: &Workspace) -> Vec<Example<'_>> {
    let packages = workspace.examples();
    let targets = packages.flat_map(|package| package.targets.iter().map(move |t| (package, t)));
    let mut examples: Vec<_> = targets
        .filter_map(|(package, target)| {
            let is_bin = target.is("bin");
            let is_example = is_bin || target.is("example");
            is_example.then_some(Example { name: &target.name, package: &package.name, is_bin })
        })
        .collect();
    examples.sort_unstable();
    examples
}

/// The file with the expected output of the example `name`.
fn file(workspace: &Workspace, name: &str) -> PathBuf {
    workspace.root().join(format!("examples/expected/{name}.txt"))
}

#[cfg(test)]
mod tests {
    use super::{examples, file};
    use crate::workspace::Workspace;

    #[test]
    fn each_example_has_exactly_one_expected_output() {
        let workspace = Workspace::open().unwrap();
        let examples = examples(&workspace);
        let files: Vec<_> = examples.iter().map(|example| file(&workspace, example.name)).collect();
        let found = workspace.sh.read_dir("examples/expected").unwrap();
        assert_eq!(found, files);
    }

    #[test]
    fn each_example_is_in_the_table() {
        let workspace = Workspace::open().unwrap();
        let table = workspace.sh.read_file("examples/README.md").unwrap();
        for name in examples(&workspace).iter().map(|example| example.name) {
            assert!(table.contains(&format!("\n| [`{name}`]")), "{name} is not in the table");
        }
    }
}
