//! A program outside this workspace, whose only dependency is `spinney`: the README's first program
//! runs, examples compile as they are copied, and the compiler explains the usual mistakes.
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
        let output = cargo(&project, "build", name);
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

#[test]
fn examples_compile_as_they_are_copied() {
    let examples = examples();
    assert!(examples.len() > 150, "only {} examples", examples.len());
    let program: String = examples.iter().enumerate().map(as_module).collect();
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("pasted.rs");
    fs::write(&path, format!("#![allow(warnings)]\n{program}\nfn main() {{}}\n")).unwrap();
    let project = project("pasted", &[("pasted".to_owned(), path)]);
    let output = cargo(&project, "check", "pasted");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// An example, and where it stands.
struct Example {
    at: String,
    code: String,
}

/// What a reader can copy from the pages of the facade: the examples of its crates without their
/// hidden lines. Those that use other crates say so.
fn examples() -> Vec<Example> {
    const OTHERS: &[&str] = &["tokio::", "smol::", "spinney_sim::", "futures_lite::", "tracing::"];
    let mut files = vec![workspace().join("README.md")];
    for name in ["sync", "hub", "greenlet", "pool", "threadpool", "pile", "jobs", "spinney"] {
        collect(&workspace().join("crates").join(name), &mut files);
    }
    let all = files.iter().flat_map(|file| examples_of(file));
    all.filter(|example| !OTHERS.iter().any(|other| example.code.contains(other)))
        .filter(|example| example.code.contains("spinney::"))
        .collect()
}

/// The sources and pages in `folder`, but for its tests.
fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("tests") {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs" || extension == "md") {
            files.push(path);
        }
    }
}

fn examples_of(file: &Path) -> Vec<Example> {
    let text = fs::read_to_string(file).unwrap();
    let is_rust = file.extension().is_some_and(|extension| extension == "rs");
    let mut examples = Vec::new();
    let mut fence: Option<(bool, Example)> = None;
    for (index, line) in text.lines().enumerate() {
        let line = if is_rust {
            let comment = line.trim_start();
            let Some(line) = comment.strip_prefix("///").or(comment.strip_prefix("//!")) else {
                continue;
            };
            line.strip_prefix(' ').unwrap_or(line)
        } else {
            line
        };
        match (line.strip_prefix("```"), &mut fence) {
            (Some(language), None) => {
                let at = format!("{}:{}", file.display(), index + 1);
                let is_code = matches!(language, "" | "rust" | "no_run" | "should_panic");
                fence = Some((is_code, Example { at, code: String::new() }));
            }
            (Some(_), Some(_)) => {
                examples.extend(fence.take().filter(|(is_code, _)| *is_code).map(|(_, code)| code));
            }
            (None, Some((_, example))) if line != "#" && !line.starts_with("# ") => {
                example.code += line;
                example.code += "\n";
            }
            _ => {}
        }
    }
    examples
}

/// The example as the body of a function, unless it has a `main`.
fn as_module((index, Example { at, code }): (usize, &Example)) -> String {
    let body = if code.contains("fn main()") {
        code.clone()
    } else if code.trim_end().ends_with("(())") {
        format!("fn run() -> Result<(), impl std::fmt::Debug> {{\n{code}}}")
    } else {
        format!("fn run() {{\n{code}}}")
    };
    format!("// {at}\nmod example_{index} {{\n{body}}}\n")
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
    // All build into one folder, so that they build spinney once.
    cargo.args(["--target-dir", "../outside"]).output().unwrap()
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}
