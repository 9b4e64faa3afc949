//! What the documentation says of tests is true.

use std::fs;
use std::path::Path;

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
