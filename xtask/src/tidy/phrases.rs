//! Phrases that the project's text does not use, each with what to write instead.
//!
//! Comments and strings of Rust are checked, and Markdown without its code. A phrase may be broken
//! over two lines.

use super::source::{Fault, Source};

/// Phrases, in lower case, and their replacements. The bar, which is removed, keeps this file clean.
const PHRASES: &[(&str, &str)] = &[
    ("who|ever", "name the subject: the caller, the waiter, the holder, the member"),
    ("some|body", "name the subject: the caller, the waiter, the holder, the member"),
    ("some|one", "name the subject: the caller, the waiter, the holder, the member"),
    ("no|body", "name the subject: no caller, no waiter, no task"),
    ("any|body", "name the subject: any caller, any task"),
    ("who| comes", "write `later calls` or `newcomers`"),
    ("who| calls", "write `the caller`"),
    ("who| waits", "write `the waiter`"),
    ("who| wait", "write `the waiters`"),
    ("who| has it", "write `the holder`"),
    ("so| many at a time", "write `at most n`"),
    ("so| many at once", "write `at most n at once`"),
    ("first| come", "write `first in, first out` or `FIFO`"),
    ("come| first", "write `first in, first out` or `FIFO`"),
    ("order| they came", "write `first in, first out` or `FIFO`"),
    ("is| told", "write `is woken`, `is called` or `gets an error`"),
    ("are| told", "write `are woken`, `are called` or `get an error`"),
    ("on| its way", "write `in progress`, `pending` or `queued`"),
    ("on| their way", "write `in progress`, `pending` or `queued`"),
    ("of| no effect", "write `a no-op`"),
    ("is| ready at once", "write `returns immediately`"),
    ("let| go", "write `drop` or `release`"),
    ("lets| go", "write `drops` or `releases`"),
    ("lay| down", "write `drop` or `release`"),
    ("laid| down", "write `dropped` or `released`"),
    ("has| ended", "write `has finished`"),
    ("have| ended", "write `have finished`"),
    ("is| over", "write `has finished`"),
    ("given| up", "write `cancelled`, `killed`, `aborted` or `dropped`"),
    ("such| as", "write `for example` or `like`"),
    ("or| else", "write `otherwise`"),
    ("none| the wiser", "write `is unaffected`"),
    ("out| of each other's way", "write `without contention`"),
];

/// No line of text uses one of the phrases.
pub(super) fn phrases(source: &Source) -> Vec<Fault> {
    let lines = text_lines(source);
    let mut faults = Vec::new();
    for (index, line) in lines.iter().enumerate() {
        let next = lines.get(index + 1).map_or("", String::as_str);
        let text = format!("{line} {next}");
        for (phrase, fix) in PHRASES {
            let phrase = phrase.replace('|', "");
            if starts_of(&text, &phrase).any(|start| start < line.len()) {
                faults.push(source.fault(index + 1, format!("`{phrase}` stands here"), fix));
            }
        }
    }
    faults
}

/// The text of each line, in lower case, without markers of comments, code spans and code blocks. It
/// is empty for a file of another kind.
fn text_lines(source: &Source) -> Vec<String> {
    let is_markdown = source.is_markdown();
    if !is_markdown && !source.is_rust() {
        return Vec::new();
    }
    let mut in_code = false;
    let text = |line: &str| {
        let line = line.trim();
        in_code ^= is_markdown && line.starts_with("```");
        let text = match is_markdown {
            true if in_code => String::new(),
            true => {
                line.trim_start_matches('>').split('`').step_by(2).collect::<Vec<_>>().join("`")
            }
            false => comment_and_strings(line),
        };
        text.trim().to_lowercase()
    };
    source.text.lines().map(text).collect()
}

/// The comment, or the string literals, of a line of Rust. It does not parse: a quote in a comment
/// behind code is taken for a string literal.
fn comment_and_strings(line: &str) -> String {
    if let Some(comment) = line.strip_prefix("//") {
        return comment.trim_start_matches(['/', '!', ' ']).to_owned();
    }
    let (code, comment) = line.split_once(" // ").unwrap_or((line, ""));
    let strings = code.split('"').skip(1).step_by(2);
    strings.chain([comment]).collect::<Vec<_>>().join(" ")
}

/// Where `phrase` starts in `text`, as whole words.
fn starts_of(text: &str, phrase: &str) -> impl Iterator<Item = usize> {
    let is_word = |letter: char| letter.is_alphanumeric() || letter == '_';
    text.match_indices(phrase).map(|(start, _)| start).filter(move |start| {
        let before = text[..*start].chars().next_back();
        let after = text[start + phrase.len()..].chars().next();
        !before.is_some_and(is_word) && !after.is_some_and(is_word)
    })
}

#[cfg(test)]
mod tests {
    use super::super::source::assert_faults;
    use super::{PHRASES, phrases};

    const LIBRARY: &str = "crates/hub/src/clock.rs";

    #[test]
    fn each_phrase_is_found_in_comments_messages_and_markdown() {
        for phrase in PHRASES.iter().map(|(phrase, _)| phrase.replace('|', "")) {
            assert_faults(phrases, LIBRARY, &format!("//! One.\n    /// A: {phrase}.\n"), &[2]);
            assert_faults(phrases, LIBRARY, &format!("panic!(\"{phrase}\");\n"), &[1]);
            assert_faults(phrases, "README.md", &format!("Well, {phrase}!\n"), &[1]);
        }
    }

    #[test]
    fn phrase_may_be_broken_over_two_lines() {
        assert_faults(phrases, LIBRARY, concat!("/// So", "\n/// many at a time.\n"), &[1]);
        assert_faults(phrases, "README.md", concat!("> or", "\n> else\n"), &[1]);
    }

    #[test]
    fn longer_words_are_not_phrases() {
        assert_faults(phrases, LIBRARY, "// nobody_else\n// somebodys\n", &[]);
        assert_faults(phrases, LIBRARY, "// an outlet gone\n", &[]);
    }

    #[test]
    fn code_and_files_of_other_kinds_are_not_checked() {
        assert_faults(phrases, LIBRARY, concat!("let", " go = gate();\n"), &[]);
        let text = concat!("`or", " else` and\n```python\n# or", " else\n```\n");
        assert_faults(phrases, "docs/pools.md", text, &[]);
        assert_faults(phrases, "deny.toml", concat!("# or", " else\n"), &[]);
    }
}
