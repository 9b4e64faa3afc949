//! `cargo xtask tidy`: the rules of style that a program can check.

mod docs;
mod phrases;
mod shape;
mod source;
mod words;

use xshell::{Shell, cmd};

use crate::Result;
use crate::faults::report;
use crate::workspace::Workspace;
use source::{Fault, Source};

/// Each rule checks one file.
const RULES: &[fn(&Source) -> Vec<Fault>] =
    &[shape::head, shape::functions, shape::names, words::banned, phrases::phrases, docs::sections];

pub(crate) fn run(workspace: &Workspace) -> Result {
    let sources = sources(workspace)?;
    for source in sources.iter().filter(|source| shape::is_shard(source)) {
        println!(
            "{} is short and holds no public concept: is it part of another's file?",
            source.path
        );
    }
    report(&check(&sources))
}

/// All faults of `sources`.
fn check(sources: &[Source]) -> Vec<Fault> {
    sources.iter().flat_map(|source| RULES.iter().flat_map(|rule| rule(source))).collect()
}

/// The text files of the workspace.
fn sources(workspace: &Workspace) -> Result<Vec<Source>> {
    // A path of git's may be missing on the disk, and not every file is text.
    let read = |path: String| Some(Source { text: workspace.sh.read_file(&path).ok()?, path });
    Ok(paths(workspace)?.into_iter().filter_map(read).collect())
}

/// The files of the workspace, relative to its root, with forward slashes.
fn paths(workspace: &Workspace) -> Result<Vec<String>> {
    let sh = &workspace.sh;
    let git = cmd!(sh, "git ls-files -z --cached --others --exclude-standard");
    let listed = git.quiet().ignore_stderr().read().unwrap_or_default();
    let paths: Vec<_> =
        listed.split('\0').filter(|path| !path.is_empty()).map(String::from).collect();
    // Without git, or in a folder that another repository ignores, nothing is listed.
    if paths.is_empty() { walk(sh, "") } else { Ok(paths) }
}

/// All files under `folder`, except those of cargo and git.
fn walk(sh: &Shell, folder: &str) -> Result<Vec<String>> {
    let mut found = Vec::new();
    for path in sh.read_dir(if folder.is_empty() { "." } else { folder })? {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let inner = if folder.is_empty() { name.to_string() } else { format!("{folder}/{name}") };
        if [".git", "target"].contains(&inner.as_str()) {
            continue;
        }
        if path.is_dir() {
            found.extend(walk(sh, &inner)?);
        } else {
            found.push(inner);
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::{Fault, check, paths, sources, walk};
    use crate::workspace::Workspace;

    #[test]
    fn tree_is_tidy() {
        let faults = check(&sources(&Workspace::open().unwrap()).unwrap());
        let lines: Vec<String> = faults.iter().map(Fault::to_string).collect();
        assert!(lines.is_empty(), "{}", lines.join("\n"));
    }

    #[test]
    fn walk_and_git_find_the_same_sources() {
        let workspace = Workspace::open().unwrap();
        for found in [paths(&workspace).unwrap(), walk(&workspace.sh, "").unwrap()] {
            for path in ["Cargo.toml", "xtask/src/tidy.rs", "xtask/src/tidy/docs.rs"] {
                assert!(found.iter().any(|known| known == path), "{path} in {found:?}");
            }
            assert!(!found.iter().any(|path| path.starts_with("target/")), "{found:?}");
        }
    }
}
