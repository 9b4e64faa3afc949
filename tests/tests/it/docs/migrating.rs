//! `docs/migrating.md` names only existing items, and is complete.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

mod names;

fn page() -> String {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/migrating.md");
    fs::read_to_string(page).unwrap()
}

/// The sections on gevent and on eventlet.
fn sections(text: &str) -> [&str; 2] {
    let (_, text) = text.split_once("\n## gevent\n").unwrap();
    let (gevent, text) = text.split_once("\n## eventlet\n").unwrap();
    [gevent, text.split("\n## ").next().unwrap()]
}

/// The rows of tables: the name there, the name here, and the difference.
fn rows(text: &str) -> Vec<[String; 3]> {
    let rows = text.lines().filter(|line| line.starts_with("| `"));
    rows.map(|row| {
        let mut cells = row.trim_matches('|').split(" |").map(|cell| cell.trim().to_owned());
        std::array::from_fn(|_| cells.next().unwrap_or_default())
    })
    .collect()
}

/// The names in backticks.
fn names(cell: &str) -> Vec<String> {
    cell.split('`').skip(1).step_by(2).map(str::to_owned).collect()
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
fn each_name_on_the_right_exists() {
    let source = include_str!("migrating/names.rs");
    let mut unused = Vec::new();
    for [_, here, differs] in rows(&page()) {
        let ours = |name: &String| name.contains("::") && !name.contains('(');
        for name in names(&here).into_iter().chain(names(&differs).into_iter().filter(ours)) {
            let (owner, verb) = name.split_once("::").unwrap_or((&name, ""));
            let call = format!("{}.{verb}(", snake(owner));
            if !source.contains(&name) && !source.contains(&call) {
                unused.push(name);
            }
        }
    }
    assert!(unused.is_empty(), "not in names.rs: {unused:?}");
}

#[test]
fn each_name_without_a_counterpart_has_a_reason() {
    for [there, here, differs] in rows(&page()) {
        let has_reason = here == "nothing" && differs.ends_with('.');
        assert!(has_reason || !names(&here).is_empty(), "{there}: {here}: {differs}");
    }
}

#[test]
fn left_side_has_each_name_of_gevent_and_eventlet() {
    let [gevent, eventlet] = sections(&page()).map(|section| {
        let there = rows(section).into_iter().flat_map(|[there, ..]| names(&there));
        there.filter(|name| !is_expression(name)).collect::<BTreeSet<_>>()
    });
    let [of_gevent, of_eventlet] = sections(include_str!("migrating/theirs.txt")).map(listed);
    assert_eq!(difference(&gevent, &of_gevent), (vec![], vec![]));
    assert_eq!(difference(&eventlet, &of_eventlet), (vec![], vec![]));
    assert!(gevent.len() > 250 && eventlet.len() > 120);
}

/// `len(group)` and `greenlet in group` are in no list of names.
fn is_expression(name: &str) -> bool {
    name.contains(['(', ' '])
}

/// The names of a section of `theirs.txt`: each line, with the indented lines below it, is a module
/// or a class and its names.
fn listed(section: &str) -> BTreeSet<String> {
    let mut owner = "";
    let mut names = BTreeSet::new();
    for word in section.split_whitespace() {
        match word.strip_suffix(':') {
            Some(other) => owner = other,
            None => drop(names.insert(format!("{owner}.{word}"))),
        }
    }
    names
}

/// The names that only one side has.
fn difference(page: &BTreeSet<String>, list: &BTreeSet<String>) -> (Vec<String>, Vec<String>) {
    let only = |one: &BTreeSet<String>, other| one.difference(other).cloned().collect();
    (only(page, list), only(list, page))
}
