//! The real workspace respects the layers, and violations in made-up ones are found.

use std::path::Path;

use xshell::Shell;

use super::{SUPPORT, check, row};
use crate::workspace::Workspace;

#[test]
fn own_workspace_respects_the_layers() {
    let workspace = Workspace::open().unwrap();
    assert!(workspace.crates().count() > 0);
    assert_eq!(check(&workspace), Vec::<String>::new());
}

#[test]
fn workspace_that_respects_the_layers_has_no_fault() {
    let faults = faults_of(&[
        ("spinney-hub", "async-io = '2'"),
        ("spinney-sync", ""),
        ("spinney-greenlet", "spinney-hub = { path = '../spinney-hub' }\nslab = '0.4'"),
    ]);
    assert_eq!(faults, Vec::<String>::new());
}

#[test]
fn crate_may_not_use_a_higher_layer() {
    let up = ("spinney-sync", "spinney-pool = { path = '../spinney-pool' }");
    assert_one_fault(&[up, ("spinney-pool", "")], &["spinney-sync (L0)", "spinney-pool (L3)"]);
}

#[test]
fn crate_may_not_use_its_own_layer() {
    let across = ("spinney-greenlet", "spinney-sim = { path = '../spinney-sim' }");
    let parts = ["spinney-greenlet (L2)", "spinney-sim (L2)"];
    assert_one_fault(&[across, ("spinney-sim", "")], &parts);
}

#[test]
fn test_may_use_its_own_layer_but_not_a_higher_one() {
    let neighbour = "[dev-dependencies]\nspinney-sim = { path = '../spinney-sim' }";
    assert!(faults_of(&[("spinney-greenlet", neighbour), ("spinney-sim", "")]).is_empty());
    assert_one_fault(
        &[("spinney-hub", neighbour), ("spinney-sim", "")],
        &["spinney-hub (L1)", "spinney-sim (L2)", "tests/"],
    );
}

#[test]
fn crate_may_not_use_a_tool_but_a_tool_may_use_every_crate() {
    let tool = ("brush", "");
    let uses_tool = ("spinney-hub", "brush = { path = '../../tools/brush' }");
    assert_one_fault(&[uses_tool, tool], &["spinney-hub (L1)", "brush", "tool"]);
    let tool = ("brush", "spinney-hub = { path = '../../crates/spinney-hub' }\nrand = '0.9'");
    assert!(faults_of(&[("spinney-hub", ""), tool]).is_empty());
}

#[test]
fn test_support_is_used_in_tests_only() {
    let uses = format!("{SUPPORT} = {{ path = '../../tools/{SUPPORT}' }}");
    let tests = format!("[dev-dependencies]\n{uses}");
    assert!(faults_of(&[("spinney-sync", &tests), (SUPPORT, "")]).is_empty());
    let parts = ["spinney-sync (L0)", SUPPORT, "dev-dependency"];
    assert_one_fault(&[("spinney-sync", &uses), (SUPPORT, "")], &parts);
    let builds = format!("[build-dependencies]\n{uses}");
    assert_one_fault(&[("spinney-sync", &builds), (SUPPORT, "")], &parts);
}

#[test]
fn test_support_uses_none_of_our_packages() {
    let crate_used = "spinney-sync = { path = '../../crates/spinney-sync' }";
    for uses in [crate_used, &format!("[dev-dependencies]\n{crate_used}")] {
        assert_one_fault(&[("spinney-sync", ""), (SUPPORT, uses)], &[SUPPORT, "spinney-sync"]);
    }
    let tool = (SUPPORT, "brush = { path = '../brush' }\nrand = '0.9'");
    assert_one_fault(&[("brush", ""), tool], &[SUPPORT, "brush"]);
}

#[test]
fn every_member_under_crates_needs_a_row() {
    assert_one_fault(&[("spinney-hub", ""), ("spinney-new", "")], &["spinney-new", "LAYERS"]);
}

#[test]
fn outside_crate_is_used_by_its_owner_only() {
    assert_one_fault(&[("spinney-pool", "async-io = '2'")], &["spinney-pool", "spinney-hub"]);
    assert_one_fault(&[("spinney-sync", "slab = '0.4'")], &["spinney-sync", "slab"]);
}

#[test]
fn crate_may_offer_a_feature_it_may_not_use() {
    let optional = "futures-core = { version = '0.3', optional = true }";
    assert!(faults_of(&[("spinney-sync", optional)]).is_empty());
    assert_one_fault(&[("spinney-sync", "futures-core = '0.3'")], &["spinney-sync", "a feature"]);
}

#[test]
fn every_outside_crate_needs_a_row() {
    assert_one_fault(&[("spinney-hub", "rand = '0.9'")], &["spinney-hub", "rand", "OWNERS"]);
    assert!(faults_of(&[("spinney-hub", "[dev-dependencies]\nrand = '0.9'")]).is_empty());
}

#[test]
fn crate_used_by_models_only_needs_no_row() {
    let models = "[target.'cfg(spinney_loom)'.dependencies]\nloom = '0.7'";
    assert!(faults_of(&[("spinney-sync", models)]).is_empty());
    let windows = models.replace("spinney_loom", "windows");
    assert_one_fault(&[("spinney-sync", &windows)], &["spinney-sync", "loom"]);
}

#[test]
fn row_names_the_layer_and_its_dependencies() {
    with_workspace(&[("spinney-pool", "slab = '0.4'\nfastrand = '2'")], |workspace| {
        let rows: Vec<String> = workspace.crates().map(row).collect();
        assert_eq!(rows, ["L3 spinney-pool -> fastrand, slab"]);
    });
}

#[track_caller]
fn assert_one_fault(members: &[(&str, &str)], parts: &[&str]) {
    let faults = faults_of(members);
    assert_eq!(faults.len(), 1, "{faults:?}");
    assert!(parts.iter().all(|part| faults[0].contains(part)), "{faults:?} lacks one of {parts:?}");
}

/// The faults of a workspace of `members`: each a name and its lines of dependencies.
fn faults_of(members: &[(&str, &str)]) -> Vec<String> {
    with_workspace(members, check)
}

fn with_workspace<T>(members: &[(&str, &str)], look: impl FnOnce(&Workspace) -> T) -> T {
    let sh = Shell::new().unwrap();
    let scratch = sh.create_temp_dir().unwrap();
    let manifest = scratch.path().join("Cargo.toml");
    sh.write_file(&manifest, "[workspace]\nresolver = '3'\nmembers = ['*/*']\n").unwrap();
    for (name, dependencies) in members {
        let is_tool = *name == SUPPORT || !name.starts_with("spinney");
        let folder = if is_tool { "tools" } else { "crates" };
        write_member(&sh, &scratch.path().join(folder).join(name), name, dependencies);
    }
    look(&Workspace::at(&manifest).unwrap())
}

fn write_member(sh: &Shell, folder: &Path, name: &str, dependencies: &str) {
    let package = format!("[package]\nname = '{name}'\nedition = '2024'\n");
    let manifest = format!("{package}\n[dependencies]\n{dependencies}\n");
    sh.write_file(folder.join("Cargo.toml"), manifest).unwrap();
    sh.write_file(folder.join("src/lib.rs"), "").unwrap();
}
