//! A program outside this workspace, whose only dependency is `spinney`: the README's first program
//! runs, and the compiler explains the usual mistakes.
//!
//! Each file of `compile_fail/` is a mistake, and lists the sentences that the compiler must print.
//! Whole messages are not compared: they change with the compiler, and only some of their sentences
//! are ours.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

#[test]
fn first_program_of_the_readme_runs() {
    let readme = fs::read_to_string(workspace().join("README.md")).unwrap();
    let (_, program) = readme.split_once("```rust\n").unwrap();
    let (program, _) = program.split_once("```").unwrap();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("first_program.rs");
    fs::write(&path, program).unwrap();
    let project = project("newcomer", &[("hello".to_owned(), path)]);
    let output = cargo(&project, "run", "hello");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stdout, b"20 pages, and the first: Content from http://example.com/page0\n");
}

#[test]
fn each_mistake_gets_a_message_with_a_fix() {
    let mistakes = mistakes();
    let project = project("mistakes", &mistakes);
    for (name, path) in &mistakes {
        let source = fs::read_to_string(path).unwrap();
        let wanted = source.lines().filter_map(|line| line.strip_prefix("//! - "));
        let output = cargo(&project, "check", name);
        assert!(!output.status.success(), "{name} compiles");
        let said = String::from_utf8(output.stderr).unwrap();
        let mut count = 0;
        for sentence in wanted {
            assert!(said.contains(sentence), "{name}: \"{sentence}\" is not in\n{said}");
            count += 1;
        }
        assert!(count > 0, "{name} lists no sentence");
    }
    assert!(mistakes.len() > 5, "{mistakes:?}");
}

/// The name and path of each file.
fn mistakes() -> Vec<(String, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("compile_fail");
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths.map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), path)).collect()
}

/// A package outside the workspace with these programs. It is compiled with the versions of the
/// workspace's lock file, without the network.
fn project(name: &str, programs: &[(String, PathBuf)]) -> PathBuf {
    let spinney = workspace().join("crates/spinney");
    // In single quotes, so that a path's backslashes are taken literally.
    let mut manifest = format!(
        "[package]\nname = '{name}'\nedition = '2024'\n[workspace]\n\
         [dependencies]\nspinney = {{ path = '{}' }}\n",
        spinney.display()
    );
    for (name, path) in programs {
        write!(manifest, "[[bin]]\nname = '{name}'\npath = '{}'\n", path.display()).unwrap();
    }
    let project = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&project).unwrap();
    fs::write(project.join("Cargo.toml"), manifest).unwrap();
    fs::copy(workspace().join("Cargo.lock"), project.join("Cargo.lock")).unwrap();
    project
}

/// The outcome of `cargo COMMAND` for one program.
fn cargo(project: &Path, command: &str, program: &str) -> Output {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(project).args([command, "--quiet", "--offline", "--bin", program]);
    cargo.args(["--target-dir", "target"]).output().unwrap()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
