//! `cargo xtask examples`: runs each example and compares what it prints with
//! `examples/expected/NAME.txt`.

mod expected;

use cargo_metadata::TargetKind;
use cargo_metadata::camino::Utf8PathBuf;
use xshell::cmd;

use crate::Result;
use crate::steps::Steps;
use crate::workspace::Workspace;

const PACKAGE: &str = "spinney-examples";

pub(crate) fn run(workspace: &Workspace, steps: &mut Steps) -> Result {
    let sh = &workspace.sh;
    for name in names(workspace) {
        let example = cmd!(sh, "cargo run --quiet --package {PACKAGE} --example {name}");
        steps.step(&format!("example {name}"), example.to_string(), || {
            let expected = sh.read_file(file(workspace, name))?;
            let printed = example.quiet().read()?;
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

/// The names of all examples, in order.
fn names(workspace: &Workspace) -> Vec<&str> {
    let package = workspace.packages().iter().find(|package| package.name == PACKAGE);
    let targets = package.into_iter().flat_map(|package| &package.targets);
    let examples = targets.filter(|target| target.kind.contains(&TargetKind::Example));
    let mut names: Vec<_> = examples.map(|target| target.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// Where it is written what the example `name` prints.
fn file(workspace: &Workspace, name: &str) -> Utf8PathBuf {
    workspace.root().join(format!("examples/expected/{name}.txt"))
}

#[cfg(test)]
mod tests {
    use super::{file, names};
    use crate::workspace::Workspace;

    #[test]
    fn each_example_has_its_expected_output_and_there_is_no_other() {
        let workspace = Workspace::open().unwrap();
        let names = names(&workspace);
        let files: Vec<_> = names.iter().map(|name| file(&workspace, name)).collect();
        let found = workspace.sh.read_dir("examples/expected").unwrap();
        assert_eq!(found, files);
    }

    #[test]
    fn each_example_is_in_the_table() {
        let workspace = Workspace::open().unwrap();
        let table = workspace.sh.read_file("examples/README.md").unwrap();
        for name in names(&workspace) {
            assert!(table.contains(&format!("\n| [`{name}`]")), "{name} is not in the table");
        }
    }
}
