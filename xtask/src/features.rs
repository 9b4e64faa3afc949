//! `cargo xtask features`: each crate builds alone, without features, with each of its features,
//! and with all; each package of examples builds alone as well.
//!
//! In a common build, a crate may depend on a feature that only another crate enables.

use std::collections::BTreeSet;

use xshell::cmd;

use crate::Result;
use crate::metadata::Package;
use crate::steps::Steps;
use crate::workspace::Workspace;

pub(crate) fn run(workspace: &Workspace, steps: &mut Steps) -> Result {
    let sh = &workspace.sh;
    for package in workspace.crates() {
        let name = &package.name;
        for features in combinations(package) {
            // Clippy, because its flags reach only our crates: the others need not be rebuilt.
            let check = cmd!(
                sh,
                "cargo clippy --package {name} --no-default-features --features={features} -- -D warnings"
            );
            steps.cmd(&format!("{name} alone, features {features:?}"), check)?;
        }
    }
    for package in workspace.examples() {
        let name = &package.name;
        let check = cmd!(sh, "cargo clippy --package {name} --bins --examples -- -D warnings");
        steps.cmd(&format!("{name} alone"), check)?;
    }
    Ok(())
}

/// The relevant lists of features, as arguments of cargo.
fn combinations(package: &Package) -> BTreeSet<String> {
    let names: Vec<&str> = package.features.iter().map(String::as_str).collect();
    let mut lists = BTreeSet::from([String::new(), names.join(",")]);
    lists.extend(names.into_iter().map(String::from));
    lists
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::combinations;
    use crate::workspace::Workspace;

    #[test]
    fn each_combination_that_matters_is_built() {
        let workspace = Workspace::open().unwrap();
        let lists = |name: &str| {
            let package = workspace.crates().find(|package| package.name == name).unwrap();
            Vec::from_iter(combinations(package))
        };
        assert_eq!(lists("spinney-hub"), ["", "smol", "smol,tokio", "tokio"]);
        assert_eq!(lists("spinney-pool"), [""], "a crate without features is not built");
    }

    #[test]
    fn readme_and_front_page_list_each_feature_of_the_facade() {
        let workspace = Workspace::open().unwrap();
        let facade = workspace.crates().find(|package| package.name == "spinney").unwrap();
        for path in ["README.md", "crates/spinney/src/lib.rs"] {
            let text = fs::read_to_string(workspace.root().join(path)).unwrap();
            for feature in &facade.features {
                assert!(text.contains(&format!("| `{feature}` |")), "{feature} in {path}");
            }
        }
    }
}
