//! Compares the output of an example with the expected output.
//!
//! Line by line. `[..]` stands for any text, and adjacent lines that start with `~ ` may come in
//! any order.

use std::iter;

/// Starts a line that may change places with its neighbours.
const LOOSE: &str = "~ ";

/// The first difference, if any.
pub(super) fn difference(expected: &str, printed: &str) -> Option<String> {
    let is_loose = |line: &&str| line.starts_with(LOOSE);
    let mut printed = printed.lines();
    let mut expected = expected.lines().peekable();
    while let Some(first) = expected.next() {
        let mut due = vec![first];
        if is_loose(&first) {
            due.extend(iter::from_fn(|| expected.next_if(is_loose)));
        }
        while !due.is_empty() {
            let line = printed.next();
            let is_line = |pattern: &&str| {
                line.is_some_and(|line| fits(line, pattern.strip_prefix(LOOSE).unwrap_or(pattern)))
            };
            match due.iter().position(is_line) {
                Some(at) => drop(due.remove(at)),
                None => return Some(told(&due.join("\n"), line)),
            }
        }
    }
    printed.next().map(|line| told("the end", Some(line)))
}

/// Whether `line` is of the form of `pattern`.
fn fits(line: &str, pattern: &str) -> bool {
    let Some((before, after)) = pattern.split_once("[..]") else { return line == pattern };
    line.strip_prefix(before).is_some_and(|rest| {
        let mut ends = (0..=rest.len()).filter(|end| rest.is_char_boundary(*end));
        ends.any(|end| fits(&rest[end..], after))
    })
}

fn told(due: &str, line: Option<&str>) -> String {
    format!("expected:\n{due}\nprinted:\n{}", line.unwrap_or("the end"))
}

#[cfg(test)]
mod tests {
    use super::{difference, fits};

    #[track_caller]
    fn assert_differs(expected: &str, printed: &str, at: &str) {
        let difference = difference(expected, printed).unwrap_or_default();
        assert!(difference.ends_with(&format!("printed:\n{at}")), "{difference:?}");
    }

    #[test]
    fn lines_are_the_same_and_in_order() {
        assert_eq!(difference("one\ntwo\n", "one\ntwo"), None);
        assert_eq!(difference("", ""), None);
        assert_differs("one\ntwo\n", "two\none\n", "two");
        assert_differs("one\n", "one \n", "one ");
    }

    #[test]
    fn line_too_few_or_too_many_differs() {
        assert_differs("one\ntwo\n", "one\n", "the end");
        assert_differs("one\n", "one\ntwo\n", "two");
        assert_differs("~ one\n~ two\n", "two\n", "the end");
        assert_differs("one\n", "one\n\n", "");
    }

    #[test]
    fn marked_lines_may_come_in_any_order() {
        let expected = "first\n~ a\n~ b\n~ a\nlast\n~ c\n~ d\n";
        assert_eq!(difference(expected, "first\na\na\nb\nlast\nd\nc\n"), None);
        assert_differs(expected, "a\nfirst\na\nb\nlast\nd\nc\n", "a");
        assert_differs(expected, "first\na\nb\nlast\na\nd\nc\n", "last");
        assert_differs(expected, "first\na\nb\nb\nlast\nd\nc\n", "b");
        assert_differs(expected, "first\na\nb\na\nlast\nd\nd\n", "d");
    }

    #[test]
    fn pattern_matches_any_text() {
        for line in ["took 0.10 s", "took  s", "took 1 s s"] {
            assert!(fits(line, "took [..] s"), "{line}");
        }
        for line in ["took 0.10 s.", "it took 1 s", "took s", ""] {
            assert!(!fits(line, "took [..] s"), "{line}");
        }
        assert!(fits("ä1ä2ö", "ä[..]ä[..]"));
        assert!(!fits("ä1ö", "ä[..]ä[..]"));
        assert_eq!(difference("~ took [..]\n~ b\n", "b\ntook 3\n"), None);
    }
}
