//! `docs/migrating.md` names what there is, and leaves nothing out.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

mod names;

/// Rows of the page: the name there, the name here, and what differs.
fn rows() -> Vec<[String; 3]> {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migrating.md");
    let page = fs::read_to_string(page).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" |").map(|cell| cell.trim().to_owned());
        std::array::from_fn(|_| cells.next().unwrap_or_default())
    })
    .collect()
}

/// The names in backticks.
fn names(cell: &str) -> Vec<&str> {
    cell.split('`').skip(1).step_by(2).collect()
}

/// `GreenPool` is `green_pool`, as a variable.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for (index, letter) in name.char_indices() {
        if index > 0 && letter.is_uppercase() {
            snake.push('_');
        }
        snake.extend(letter.to_lowercase());
    }
    snake
}

#[test]
fn each_name_on_the_right_is_one_of_ours() {
    let source = include_str!("migrating/names.rs");
    let mut unused = Vec::new();
    for [_, here, differs] in rows() {
        let ours = |name: &&str| name.contains("::") && !name.contains('(');
        for name in names(&here).into_iter().chain(names(&differs).into_iter().filter(ours)) {
            let (owner, verb) = name.split_once("::").unwrap_or((name, ""));
            let call = format!("{}.{verb}(", snake(owner));
            if !source.contains(name) && !source.contains(&call) {
                unused.push(name.to_owned());
            }
        }
    }
    assert!(unused.is_empty(), "not in names.rs: {unused:?}");
}

#[test]
fn each_name_of_their_pages_is_on_the_left() {
    let rows = rows();
    let there: BTreeSet<&str> = rows.iter().flat_map(|[there, ..]| names(there)).collect();
    assert!(there.contains("iter(pile)") && there.contains("len(pile)"));
    for (class, verbs) in PAGES {
        let full = |prefix: &&str| there.contains(format!("{prefix}{class}").as_str());
        assert!(["", "gevent.pool.", "gevent.threadpool."].iter().any(full), "no row for {class}");
        for verb in *verbs {
            let name = format!("{class}.{verb}");
            assert!(there.contains(name.as_str()), "no row for {name}");
        }
    }
}

/// The classes and methods of the pages on pools of gevent's and eventlet's documentation.
const PAGES: &[(&str, &[&str])] = &[
    (
        "Pool",
        &[
            "spawn",
            "map",
            "imap",
            "imap_unordered",
            "apply",
            "apply_async",
            "join",
            "kill",
            "size",
            "free_count",
        ],
    ),
    ("PoolFull", &[]),
    ("Group", &["add", "discard", "spawn", "map", "imap", "join", "kill", "killone"]),
    ("ThreadPool", &["spawn", "apply", "apply_async", "kill"]),
    ("ThreadResult", &["get", "ready"]),
    ("GreenPool", &["spawn", "spawn_n", "waitall", "resize", "running", "free", "starmap", "imap"]),
    ("GreenPile", &["spawn", "next"]),
];
