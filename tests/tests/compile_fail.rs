//! What the compiler says of the usual mistakes. Each file of `compile_fail/` is one, and lists
//! what has to be said. Whole messages are not compared: they change with the compiler, and only
//! some of their sentences are ours.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

#[test]
fn each_mistake_is_told_with_what_to_do() {
    let mistakes = mistakes();
    let project = project(&mistakes);
    for (name, path) in &mistakes {
        let source = fs::read_to_string(path).unwrap();
        let wanted = source.lines().filter_map(|line| line.strip_prefix("//! - "));
        let said = compile(&project, name);
        let mut count = 0;
        for sentence in wanted {
            assert!(said.contains(sentence), "{name}: \"{sentence}\" is not in\n{said}");
            count += 1;
        }
        assert!(count > 0, "{name} lists nothing that has to be said");
    }
    assert!(mistakes.len() > 5, "{mistakes:?}");
}

/// The name and path of each file.
fn mistakes() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("compile_fail");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

/// A package, outside of the workspace, in which each mistake is a program. It is compiled with
/// what the workspace's lock file says, without the network.
fn project(mistakes: &[(String, PathBuf)]) -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let spinney = workspace.join("crates/spinney");
    // In single quotes, so that a path's backslashes stay what they are.
    let mut manifest = format!(
        "[package]\nname = \"mistakes\"\nedition = \"2024\"\n[workspace]\n\
         [dependencies]\nspinney = {{ path = '{}' }}\n",
        spinney.display()
    );
    for (name, path) in mistakes {
        write!(manifest, "[[bin]]\nname = '{name}'\npath = '{}'\n", path.display()).unwrap();
    }
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join("mistakes");
    fs::create_dir_all(&project).unwrap();
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    fs::copy(workspace.join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    project
}

/// What the compiler says of one of them.
fn compile(project: &Path, name: &str) -> String {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(project).args(["check", "--quiet", "--offline", "--bin", name]);
    let output = cargo.args(["--target-dir", "target"]).output().unwrap();
    assert!(!output.status.success(), "{name} compiles");
    String::from_utf8(output.stderr).unwrap()
}
