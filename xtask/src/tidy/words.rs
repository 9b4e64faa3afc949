//! Words that are banned in some places.
//!
//! They are written here in two halves, so that this file passes its own rule.

use super::source::{Fault, Source};

/// Words that are banned on the lines that `place` selects.
struct Ban {
    words: &'static [&'static str],
    place: fn(&Source, line: &str) -> bool,
    fix: &'static str,
}

const BANS: &[Ban] = &[
    Ban {
        words: &[concat!("#[ig", "nore")],
        place: |source, line| source.is_rust() && is_code(line),
        fix: "make the test pass or delete it",
    },
    Ban {
        words: &[concat!("to", "do!"), concat!("unimpl", "emented!"), concat!("d", "bg!")],
        place: |source, line| source.is_rust() && is_code(line),
        fix: "finish the code",
    },
    Ban {
        words: &[concat!("thread::sl", "eep")],
        place: |source, line| source.is_test() && is_code(line),
        fix: "wait on an event, or on the virtual clock of the simulated hub",
    },
    Ban {
        // These also match the macros that print to the standard error.
        words: &["print!(", "println!(", "process::exit"],
        place: |source, line| source.is_library() && is_code(line),
        fix: "return it; a library neither prints nor ends the program",
    },
    Ban {
        words: &["fn "],
        place: |source, line| source.is_facade() && is_code(line),
        fix: "move it to the crate it belongs to; the facade is `pub use` only",
    },
    Ban {
        words: &[
            concat!("/wo", "rk/"),
            concat!("/ro", "ot/"),
            concat!("/tmp/", "bash"),
            concat!("crates.", "io-"),
        ],
        // Cargo writes the lock file; `cargo xtask deny` checks the sources in it.
        place: |source, _| source.path != "Cargo.lock",
        fix: "leave out what is only true of one machine",
    },
];

/// No line contains a word that is banned there.
pub(super) fn banned(source: &Source) -> Vec<Fault> {
    let mut faults = Vec::new();
    for (index, line) in source.text.lines().enumerate() {
        for ban in BANS.iter().filter(|ban| (ban.place)(source, line)) {
            if let Some(word) = ban.words.iter().find(|word| line.contains(*word)) {
                faults.push(source.fault(index + 1, format!("`{word}` stands here"), ban.fix));
            }
        }
    }
    faults
}

fn is_code(line: &str) -> bool {
    !line.trim_start().starts_with("//")
}

#[cfg(test)]
mod tests {
    use super::super::source::assert_faults;
    use super::{BANS, banned};

    const LIBRARY: &str = "crates/hub/src/clock.rs";
    const TOOL: &str = "xtask/src/tidy.rs";

    #[test]
    fn each_word_is_found_in_a_test_of_a_library() {
        let everywhere = "crates/spinney/src/tests/all.rs";
        for word in BANS.iter().flat_map(|ban| ban.words) {
            assert_faults(banned, everywhere, &format!("ok\n    {word}\nok\n"), &[2]);
        }
    }

    #[test]
    fn unfinished_code_is_refused_everywhere() {
        for word in [concat!("to", "do!()"), concat!("d", "bg!(x)"), concat!("#[ig", "nore]")] {
            assert_faults(banned, TOOL, word, &[1]);
            assert_faults(banned, TOOL, &format!("// not {word}"), &[]);
        }
    }

    #[test]
    fn only_tests_may_not_sleep() {
        let sleep = concat!("std::thread::sl", "eep(second);");
        for path in ["tests/tests/it/local.rs", "tests/src/lib.rs", "crates/hub/tests/it/spawn.rs"]
        {
            assert_faults(banned, path, sleep, &[1]);
            assert_faults(banned, path, "clock.sleep(second).await;", &[]);
        }
        assert_faults(banned, "benches/benches/tests.rs", sleep, &[]);
    }

    #[test]
    fn only_a_library_may_not_print_or_exit() {
        for line in ["eprintln!(\"no\");", "print!(\"no\");", "std::process::exit(1);"] {
            assert_faults(banned, LIBRARY, line, &[1]);
            assert_faults(banned, LIBRARY, &format!("/// {line}"), &[]);
            assert_faults(banned, TOOL, line, &[]);
        }
    }

    #[test]
    fn only_the_facade_has_no_functions() {
        let text = "/// fn in_a_doc() {}\npub fn pool() {}\n";
        assert_faults(banned, "crates/spinney/src/lib.rs", text, &[2]);
        assert_faults(banned, LIBRARY, text, &[]);
    }

    #[test]
    fn machine_paths_are_allowed_in_the_lock_file_only() {
        let host = concat!("index.crates.", "io-1949cf8c6b5b557f");
        assert_faults(banned, "README.md", &format!("see {host}"), &[1]);
        assert_faults(banned, TOOL, concat!("// in /ro", "ot/x"), &[1]);
        assert_faults(banned, "README.md", "on crates.io and in /root", &[]);
        assert_faults(banned, "Cargo.lock", host, &[]);
    }
}
