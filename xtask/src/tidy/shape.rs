//! Rules about the shape of a file: its head, the length of its functions and of their names.
//!
//! They read lines, not Rust: in a file that rustfmt has formatted, a function ends at the first
//! brace as far to the left as its first line.

use super::source::{Fault, Source};

/// The largest number of lines of a function.
const FUNCTION: usize = 60;

/// The largest number of letters of a function's name. A test's name is a promise, and must fit on
/// a line.
const NAME: usize = 60;

/// The smallest number of lines of a file without a public concept.
const FILE: usize = 40;

/// Every source begins with its purpose.
pub(super) fn head(source: &Source) -> Vec<Fault> {
    if !source.is_rust() || source.text.starts_with("//!") {
        return Vec::new();
    }
    vec![source.fault(1, "does not begin with `//!`", "say on the first line what the file is for")]
}

/// No function is longer than a screen.
pub(super) fn functions(source: &Source) -> Vec<Fault> {
    let long = functions_of(source).filter(|function| function.lines > FUNCTION);
    long.map(|function| {
        let what =
            format!("`{}` has {} lines, more than {FUNCTION}", function.name, function.lines);
        source.fault(function.line, what, "give its parts names of their own")
    })
    .collect()
}

/// No name is longer than a line.
pub(super) fn names(source: &Source) -> Vec<Fault> {
    let long = functions_of(source).filter(|function| function.name.len() > NAME);
    long.map(|function| {
        let length = function.name.len();
        let what = format!("`{}` has {length} letters, more than {NAME}", function.name);
        source.fault(function.line, what, "name it `<subject>_<does>_<when>`")
    })
    .collect()
}

/// Whether it is a short file of a library without a public item: its content may belong in the
/// file of the concept that it serves.
pub(super) fn is_shard(source: &Source) -> bool {
    const PUBLIC: &[&str] = &[
        "pub struct ",
        "pub enum ",
        "pub trait ",
        "pub fn ",
        "pub async fn ",
        "pub const ",
        "pub static ",
        "pub type ",
        "pub use ",
        "#[macro_export]",
    ];
    let holds_a_concept = |line: &str| PUBLIC.iter().any(|start| line.trim().starts_with(start));
    let lines = || source.text.lines();
    source.is_library() && lines().count() < FILE && !lines().any(holds_a_concept)
}

struct Function<'a> {
    name: &'a str,
    /// Its first line, counted from 1.
    line: usize,
    lines: usize,
}

/// The functions of a Rust source that have a body.
fn functions_of(source: &Source) -> impl Iterator<Item = Function<'_>> {
    let lines: Vec<&str> = if source.is_rust() { source.text.lines().collect() } else { vec![] };
    let function = move |index: usize| {
        let first = lines[index];
        let name = function_name(first)?;
        let indent = &first[..first.len() - first.trim_start().len()];
        let mut has_body = first.ends_with('{');
        let is_last = |line: &&str| {
            let line = line.strip_prefix(indent).unwrap_or(" ");
            has_body |= !line.starts_with(' ') && line.ends_with('{');
            line == "}" || line.ends_with(';') && !(has_body && line.starts_with(' '))
        };
        let one_line = first.ends_with('}') || first.ends_with(';');
        let more = lines[index + 1..].iter().position(is_last).map_or(0, |at| at + 1);
        Some(Function { name, line: index + 1, lines: if one_line { 1 } else { more + 1 } })
    };
    (0..source.text.lines().count() * usize::from(source.is_rust())).filter_map(function)
}

/// The name of the function that starts on `line`, if there is one.
fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_qualifier = |word: &str| {
        matches!(word, "pub" | "async" | "const" | "unsafe" | "extern") || word.starts_with("pub(")
    };
    let starts_here = before.split_whitespace().all(is_qualifier);
    let end = after.find(|letter: char| !letter.is_alphanumeric() && letter != '_')?;
    (starts_here && end > 0).then_some(&after[..end])
}

#[cfg(test)]
mod tests {
    use super::super::source::{Source, assert_faults};
    use super::{FILE, FUNCTION, NAME, functions, head, is_shard, names};

    #[test]
    fn source_without_purpose_is_a_fault() {
        assert_faults(head, "xtask/src/a.rs", "//! What it is for.\n", &[]);
        assert_faults(head, "xtask/src/a.rs", "use std::fmt;\n//! Late.\n", &[1]);
        assert_faults(head, "README.md", "# Title\n", &[]);
    }

    #[test]
    fn function_longer_than_a_screen_is_a_fault() {
        let function = |lines: usize, indent: &str| {
            let body = format!("{indent}    {{ step(); }}\n").repeat(lines - 2);
            format!("{indent}pub(crate) async fn work(&self) {{\n{body}{indent}}}\n")
        };
        let path = "tests/tests/it/pool.rs";
        assert_faults(functions, path, &function(FUNCTION, ""), &[]);
        assert_faults(functions, path, &function(FUNCTION + 1, ""), &[1]);
        let second = function(2, "    ") + &function(FUNCTION + 1, "    ");
        assert_faults(functions, path, &second, &[3]);
        assert_faults(functions, "README.md", &function(FUNCTION + 1, ""), &[]);
    }

    #[test]
    fn declaration_has_no_length() {
        let text =
            format!("    fn poll(&self) -> bool;\n{}", "    other();\n".repeat(2 * FUNCTION));
        assert_faults(functions, "crates/hub/src/a.rs", &text, &[]);
        let bounded = text.replace(" -> bool;", "\n    where\n        Self: Sized;");
        assert_faults(functions, "crates/hub/src/a.rs", &bounded, &[]);
    }

    #[test]
    fn name_longer_than_a_line_is_a_fault() {
        let test = |length| format!("#[test]\nfn {}() {{}}\n", "a".repeat(length));
        assert_faults(names, "tests/tests/it/pool.rs", &test(NAME), &[]);
        assert_faults(names, "tests/tests/it/pool.rs", &test(NAME + 1), &[2]);
        assert_faults(names, "README.md", &test(NAME + 1), &[]);
    }

    #[test]
    fn short_file_without_a_public_concept_is_listed() {
        let is_listed =
            |path: &str, text: &str| is_shard(&Source { path: path.into(), text: text.into() });
        let file = "crates/hub/src/a.rs";
        assert!(is_listed(file, "pub(crate) struct Inside;\n"));
        assert!(!is_listed(file, "    pub fn outside() {}\n"));
        assert!(!is_listed(file, &"\n".repeat(FILE)));
        assert!(!is_listed("tests/tests/it/pool.rs", "fn inside() {}\n"));
    }
}
