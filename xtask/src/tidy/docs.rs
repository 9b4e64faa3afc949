//! Required sections in the doc comment of a public function.
//!
//! The rule reads lines, not Rust: a signature starts a line and ends where its body opens.

use super::source::{Fault, Source};

/// An async function documents its cancel safety; a function that returns a `Result` its errors.
pub(super) fn sections(source: &Source) -> Vec<Fault> {
    if !source.is_library() {
        return Vec::new();
    }
    let lines: Vec<&str> = source.text.lines().map(str::trim).collect();
    let mut faults = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let Some(qualifiers) = public_fn(line) else { continue };
        let docs = docs_above(&lines[..index]);
        let mut need = |section: &str, fix| {
            if !docs.iter().any(|doc| *doc == format!("/// # {section}")) {
                faults.push(source.fault(index + 1, format!("no `# {section}` section"), fix));
            }
        };
        let returned = returned(&lines[index..]);
        if qualifiers.contains("async") || returned.starts_with(FUTURE) {
            need("Cancel safety", "say what is lost when the future is dropped");
        }
        if is_a_result(&returned) {
            need("Errors", "say when it fails");
        }
    }
    faults
}

/// The qualifiers between `pub` and `fn`, if `line` starts a public function.
fn public_fn(line: &str) -> Option<&str> {
    let (qualifiers, _) = line.strip_prefix("pub ")?.split_once("fn ")?;
    let known = |word| matches!(word, "async" | "const");
    qualifiers.split_whitespace().all(known).then_some(qualifiers)
}

/// The lines of the doc comment just above; attributes may come between.
fn docs_above<'a>(above: &[&'a str]) -> Vec<&'a str> {
    let is_doc = |line: &str| line.starts_with("///");
    let ends_an_item = |line: &str| line.is_empty() || line.ends_with(['{', '}', ';']);
    let near = above.iter().rev().take_while(|line| is_doc(line) || !ends_an_item(line));
    near.copied().filter(|line| is_doc(line)).collect()
}

/// The beginning of a returned future's type.
const FUTURE: &str = "impl Future<Output = ";

/// The return type of the function that starts `lines`.
fn returned(lines: &[&str]) -> String {
    let signature = lines.join(" ").replace("->", "→");
    let signature = signature.split(['{', ';']).next().unwrap_or_default();
    let signature = signature.split(" where ").next().unwrap_or_default();
    let mut depth = 0;
    let arrow = signature.find(|letter| {
        match letter {
            '(' | '<' | '[' => depth += 1,
            ')' | '>' | ']' => depth -= 1,
            _ => {}
        }
        // Deeper arrows belong to closures in the arguments.
        letter == '→' && depth == 0
    });
    arrow.map_or("", |at| signature[at..].trim_start_matches(['→', ' '])).to_owned()
}

/// Whether it is a `Result`, now or in a future.
fn is_a_result(returned: &str) -> bool {
    let value = returned.trim_start_matches(FUTURE);
    value.split_once('<').is_some_and(|(path, _)| path.rsplit("::").next() == Some("Result"))
}

#[cfg(test)]
mod tests {
    use super::super::source::assert_faults;
    use super::sections;

    #[track_caller]
    fn assert_at(text: &str, lines: &[usize]) {
        assert_faults(sections, "crates/pool/src/pool.rs", text, lines);
    }

    #[test]
    fn async_function_needs_a_cancel_safety_section() {
        assert_at("/// Waits.\npub async fn join(&self) {\n", &[2]);
        assert_at(
            "/// Waits.\n///\n/// # Cancel safety\n///\n/// Yes.\npub async fn join() {\n",
            &[],
        );
        assert_at("/// Waits.\npub fn join(&self) -> impl Future<Output = ()> {\n", &[2]);
        assert_at("async fn join() {\npub(crate) async fn join() {\npub fn join() {\n", &[]);
    }

    #[test]
    fn function_that_fails_needs_an_errors_section() {
        assert_at("/// Enters.\npub fn enter() -> Result<(), PoolFull> {\n", &[2]);
        assert_at("/// Enters.\npub const fn enter() -> io::Result<()> {\n", &[2]);
        assert_at(
            "/// Enters.\npub fn enter(\n    &self,\n) -> impl Future<Output = Result<(), E>> {\n",
            &[2, 2],
        );
        assert_at("/// # Errors\n#[must_use]\npub fn enter() -> Result<(), PoolFull> {\n", &[]);
    }

    #[test]
    fn result_elsewhere_needs_no_errors_section() {
        assert_at("pub fn try_get() -> Option<Result<T, E>> {\n", &[]);
        assert_at("pub fn new() -> AsyncResult<T> {\n    let x: Result<u8, u8>;\n", &[]);
        assert_at("pub fn map<F: Fn() -> Result<T, E>>(f: F) -> Map<F> {\n", &[]);
        assert_at("pub fn map<F>(f: F)\nwhere\n    F: Fn() -> Result<T, E>,\n{\n", &[]);
        assert_at("pub fn finish(result: Result<T, E>);\n", &[]);
    }

    #[test]
    fn docs_of_another_function_do_not_count() {
        let neighbour = "/// # Errors\npub fn one() -> Result<(), E> {\n}\n";
        assert_at(&format!("{neighbour}\npub fn two() -> Result<(), E> {{\n"), &[5]);
        assert_at(&format!("{neighbour}pub fn two() -> Result<(), E> {{\n"), &[4]);
    }

    #[test]
    fn function_that_waits_and_fails_needs_both_sections() {
        assert_at("/// Gets.\npub async fn get() -> Result<T, E> {\n", &[2, 2]);
    }
}
