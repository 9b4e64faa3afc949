//! `cargo xtask test`: what a contributor runs before sending a change.

use cargo_metadata::TargetKind;
use xshell::cmd;

use crate::Result;
use crate::steps::Steps;
use crate::workspace::Workspace;

const EXAMPLES: &str = "spinney-examples";

/// What an example is given so that it ends soon; the others run without arguments.
const ARGS: &[(&str, &[&str])] = &[("crawl", &["--max-pages", "60"])];

pub(crate) fn run(workspace: &Workspace) -> Result {
    let mut steps = Steps::new();
    run_steps(workspace, &mut steps)?;
    steps.finish();
    Ok(())
}

pub(crate) fn run_steps(workspace: &Workspace, steps: &mut Steps) -> Result {
    let sh = &workspace.sh;
    let tests = cmd!(sh, "cargo test --workspace --lib --bins --tests --examples");
    steps.cmd("unit and integration tests", tests)?;
    steps.cmd("doc tests", cmd!(sh, "cargo test --workspace --doc"))?;
    for example in examples(workspace) {
        let args = ARGS.iter().find(|(name, _)| *name == example).map_or(&[][..], |(_, args)| args);
        let separator = (!args.is_empty()).then_some("--");
        let run = cmd!(
            sh,
            "cargo run --quiet --package {EXAMPLES} --example {example} {separator...} {args...}"
        );
        steps.cmd(&format!("example {example}"), run)?;
    }
    Ok(())
}

/// The names of all examples, in order.
fn examples(workspace: &Workspace) -> Vec<&str> {
    let package = workspace.packages().iter().find(|package| package.name == EXAMPLES);
    let targets = package.into_iter().flat_map(|package| &package.targets);
    let examples = targets.filter(|target| target.kind.contains(&TargetKind::Example));
    let mut names: Vec<_> = examples.map(|target| target.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[cfg(test)]
mod tests {
    use super::{ARGS, examples};
    use crate::workspace::Workspace;

    #[test]
    fn each_example_with_arguments_exists() {
        let workspace = Workspace::open().unwrap();
        let found = examples(&workspace);
        assert!(ARGS.iter().all(|(name, _)| found.contains(name)), "{found:?}");
    }
}
