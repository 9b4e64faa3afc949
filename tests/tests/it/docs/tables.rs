//! The documentation's statements about tests are true.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The largest number of names at the root of the facade, modules included. A module that needs a
/// feature does not count.
const AT_THE_ROOT: usize = 45;

/// Names of the layers that the facade omits: the building blocks for containers of greenlets.
const FOR_WRITERS: &[&str] = &[
    "Announcement",
    "Capacity",
    "HandOut",
    "InPlace",
    "ItemGreenlets",
    "KillForwarder",
    "LazyHandle",
    "Line",
    "NewGreenlet",
    "PermitCounts",
    "Place",
    "PriorityLine",
    "SpawnContext",
    "Task",
    "WaiterState",
    "WakeFlag",
    "Want",
    "contain",
    "drop_contained",
    "is_observed",
    "pair",
    "pair_items",
    "wake_all",
];

fn source(name: &str) -> String {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(name);
    fs::read_to_string(file.join("src/lib.rs")).unwrap()
}

/// The names that the lines of `source` with this indent re-export.
fn public_names(source: &str, indent: &str) -> BTreeSet<String> {
    let start = format!("\n{indent}pub use ");
    let paths = source.split(&start).skip(1);
    let lists = paths.map(|rest| rest.split_once(';').unwrap().0.rsplit_once("::").unwrap().1);
    let names = lists.flat_map(|list| list.split(|end: char| !end.is_alphanumeric() && end != '_'));
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn facade_has_the_names_of_the_layers() {
    let facade = source("spinney");
    let mut names = public_names(&facade, "");
    names.extend(public_names(&facade, "    "));
    for layer in ["hub", "sync", "greenlet", "pool", "pile", "threadpool"] {
        let layer_names = public_names(&source(layer), "");
        let missing = layer_names.difference(&names);
        let unexplained: Vec<_> =
            missing.filter(|name| !FOR_WRITERS.contains(&name.as_str())).collect();
        assert!(unexplained.is_empty(), "of {layer}: {unexplained:?}");
    }
}

#[test]
fn facade_has_few_names_at_its_root() {
    let facade = source("spinney");
    let lines: Vec<&str> = facade.lines().collect();
    let by_default = |pair: &&[&str]| !pair[0].starts_with("#[cfg(feature");
    let modules = lines.windows(2).filter(by_default).map(|pair| pair[1]);
    let modules = modules.filter(|line| line.starts_with("pub mod ")).count();
    let names = public_names(&facade, "").len() + modules;
    assert!(names <= AT_THE_ROOT, "{names} names");
}

#[test]
fn each_test_named_in_the_table_of_hubs_exists() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs");
    let text = fs::read_to_string(docs.join("hubs.md")).unwrap();
    let links = text.split("[`").skip(1).map(|link| link.split_once("`](").unwrap());
    let mut named = 0;
    for (test, rest) in links {
        let (file, _) = rest.split_once(')').unwrap();
        let source = fs::read_to_string(docs.join(file)).unwrap_or_default();
        assert!(source.contains(&format!("fn {test}(")), "no test {test} in {file}");
        named += 1;
    }
    assert!(named > 20, "only {named} tests are named");
}
