//! What the documentation says of tests is true.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What `crates/<name>` has for its users.
fn public_names(name: &str) -> BTreeSet<String> {
    let file =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates").join(name).join("src/lib.rs");
    let text = fs::read_to_string(file).unwrap();
    let paths = text.split("\npub use ").skip(1).map(|rest| rest.split_once(';').unwrap().0);
    let lists = paths.map(|path| path.split_once("::").unwrap().1);
    let names = lists.flat_map(|list| list.split(|end: char| !end.is_alphanumeric() && end != '_'));
    names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[test]
fn facade_has_all_that_the_layers_have() {
    let facade = public_names("spinney");
    for layer in ["hub", "sync", "greenlet", "pool", "pile", "threadpool"] {
        let names = public_names(layer);
        assert!(names.is_subset(&facade), "of {layer}: {:?}", names.difference(&facade));
    }
}

#[test]
fn each_test_that_the_table_of_hubs_names_is_there() {
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
