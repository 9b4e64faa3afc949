//! `cargo xtask layers`: a crate may use only crates of lower layers, never of its own, and each
//! outside crate has an owner.
//!
//! Only the members under `crates/` have a layer. The others are tools: they may use everything,
//! and no crate may use them, except for [`SUPPORT`].

use std::collections::BTreeSet;

use crate::faults::report;
use crate::metadata::{Dependency, Package};
use crate::workspace::Workspace;
use crate::{Result, loom};

/// Each of our crates and its layer.
const LAYERS: &[(&str, u8)] = &[
    ("spinney-sync", 0),
    ("spinney-hub", 1),
    ("spinney-greenlet", 2),
    ("spinney-sim", 2),
    ("spinney-pool", 3),
    ("spinney-threadpool", 3),
    ("spinney-pile", 4),
    ("spinney-jobs", 4),
    ("spinney-trace", 4),
    ("spinney", 5),
    ("spinney-celery", 5),
];

/// The helpers of tests. A crate may use them only in its tests; they use none of our packages.
const SUPPORT: &str = "spinney-test-support";

/// The outside crates and those of ours that may use them.
const OWNERS: &[(&[&str], Users)] = &[
    (&["async-executor", "async-io", "async-task", "event-listener"], Only("spinney-hub")),
    (&["smol", "tokio"], Only("spinney-hub")),
    (&["blocking", "crossbeam-utils"], Only("spinney-threadpool")),
    (&["metrics", "signal-hook"], Only("spinney-trace")),
    (&["async-signal", "jiff", "lapin", "redis", "serde", "uuid"], Only("spinney-celery")),
    (&["serde_json", "tracing"], Both("spinney-trace", "spinney-celery")),
    // Vocabulary. spinney-sync uses the standard library alone, unless a feature is enabled.
    (&["async-channel", "fastrand", "futures-core"], AllBut("spinney-sync")),
    (&["futures-lite", "pin-project-lite", "slab"], AllBut("spinney-sync")),
];

#[derive(Clone, Copy)]
enum Users {
    Only(&'static str),
    /// Neither stands on the other.
    Both(&'static str, &'static str),
    AllBut(&'static str),
}

use Users::{AllBut, Both, Only};

pub(crate) fn run(workspace: &Workspace) -> Result {
    let rows: BTreeSet<String> = workspace.crates().map(row).collect();
    for row in rows {
        println!("{row}");
    }
    report(&check(workspace))
}

/// All faults of the layers of `workspace`.
fn check(workspace: &Workspace) -> Vec<String> {
    let members: BTreeSet<&str> = workspace.packages().iter().map(|p| p.name.as_str()).collect();
    let mut faults = Vec::new();
    for package in workspace.crates() {
        let name = &package.name;
        let Some(layer) = layer(name) else {
            faults.push(format!("{name} has no layer; fix: give it a row in LAYERS"));
            continue;
        };
        for dependency in &package.dependencies {
            let fault = if members.contains(dependency.name.as_str()) {
                inside_fault(layer, dependency)
            } else {
                outside_fault(name, dependency)
            };
            faults.extend(fault.map(|fault| format!("{name} (L{layer}) {fault}")));
        }
    }
    let support = workspace.packages().iter().filter(|package| package.name == SUPPORT);
    let ours = support
        .flat_map(|package| &package.dependencies)
        .filter(|dependency| members.contains(dependency.name.as_str()));
    faults.extend(ours.map(|dependency| {
        let used = &dependency.name;
        format!("{SUPPORT} uses {used}; fix: move the helper to the tests that need {used}")
    }));
    faults
}

/// The fault of using one of our own packages in a crate of layer `from`, if any.
fn inside_fault(from: u8, dependency: &Dependency) -> Option<String> {
    let name = &dependency.name;
    let is_dev = dependency.is_dev;
    if name == SUPPORT {
        return (!is_dev).then(|| format!("uses {name}; fix: make it a dev-dependency"));
    }
    let Some(to) = layer(name) else {
        return Some(format!(
            "uses {name}, which has no layer; fix: a tool cannot be used, a crate needs a row in \
             LAYERS"
        ));
    };
    // A test may use a neighbour. A test that needs a crate of a higher layer belongs in tests/:
    // otherwise `cargo test --package` of the lower crate would build the crates above it.
    let is_fault = if is_dev { to > from } else { to >= from };
    let fix =
        if is_dev { "move the test to tests/" } else { "move what it needs to a lower layer" };
    is_fault.then(|| format!("uses {name} (L{to}), which is not below it; fix: {fix}"))
}

/// The fault of using an outside crate in the crate `user`, if any.
fn outside_fault(user: &str, dependency: &Dependency) -> Option<String> {
    if !reaches_users(dependency) {
        return None;
    }
    let name = dependency.name.as_str();
    let Some((_, users)) = OWNERS.iter().find(|(names, _)| names.contains(&name)) else {
        return Some(format!("uses {name}, which has no owner; fix: give it a row in OWNERS"));
    };
    match users {
        Only(owner) if *owner != user => Some(format!(
            "uses {name}, which belongs to {owner}; fix: let {owner} do what needs it"
        )),
        Both(one, other) if *one != user && *other != user => Some(format!(
            "uses {name}, which belongs to {one} and {other}; fix: let one of them do what needs it"
        )),
        AllBut(barred) if *barred == user && !dependency.is_optional => {
            Some(format!("uses {name}, which any other crate may; fix: use std, or a feature"))
        }
        _ => None,
    }
}

/// `L2 spinney-pool -> spinney-greenlet, ...`
fn row(package: &Package) -> String {
    let used = package.dependencies.iter().filter(|dependency| reaches_users(dependency));
    let used: BTreeSet<&str> = used.map(|dependency| dependency.name.as_str()).collect();
    let used = if used.is_empty() { "nothing".into() } else { Vec::from_iter(used).join(", ") };
    let layer = layer(&package.name).map_or("L?".into(), |layer| format!("L{layer}"));
    format!("{layer} {} -> {used}", package.name)
}

/// Whether it is used outside tests and models.
fn reaches_users(dependency: &Dependency) -> bool {
    let models = format!("cfg({})", loom::CFG);
    let only_models = dependency.platform.as_ref() == Some(&models);
    !dependency.is_dev && !only_models
}

fn layer(name: &str) -> Option<u8> {
    LAYERS.iter().find(|(member, _)| *member == name).map(|(_, layer)| *layer)
}

#[cfg(test)]
mod tests;
