//! [`spawn_tree`]: the live greenlets, and which of them spawned which.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::Handle;
use crate::control::Control;
use crate::observe;

/// The live greenlets that were created while tracking was on.
static LIVING: Mutex<BTreeMap<u64, Weak<Control>>> = Mutex::new(BTreeMap::new());

/// Turns tracking on or off for the [`spawn_tree`]: greenlets that are created while it is on are
/// found there. It is off by default, because it costs each greenlet two accesses to one list that
/// the whole process shares.
///
/// Python: `GEVENT_TRACK_GREENLET_TREE`.
pub fn track_spawns(wanted: bool) {
    observe::follow(observe::BY_TREE, wanted);
}

/// Returns the greenlets that live now and were created while [tracking](track_spawns) was on, and
/// which of them spawned which. Finished greenlets take no memory.
///
/// Python: `gevent.util.GreenletTree`.
///
/// ```
/// # mod spinney {
/// #     pub use spinney_greenlet::spawn; pub use spinney_hub::{LocalHub, yield_now};
/// #     pub mod task { pub use spinney_greenlet::{spawn_tree, track_spawns}; }
/// # }
/// use spinney::{LocalHub, spawn, yield_now};
/// use spinney::task::{spawn_tree, track_spawns};
///
/// track_spawns(true);
/// LocalHub::new().block_on(async {
///     let parent = spawn(async { spawn(std::future::pending::<()>()).named("child").await });
///     let parent = parent.named("parent");
///     yield_now().await;
///     let tree = spawn_tree();
///     let depths: Vec<_> = tree.iter().map(|branch| branch.depth()).collect();
///     assert_eq!(depths, [0, 1]);
///     assert!(tree.to_string().contains("\"child\": Scheduled"));
///     parent.kill().await;
/// });
/// ```
pub fn spawn_tree() -> SpawnTree {
    let mut children: BTreeMap<u64, Vec<Handle>> = BTreeMap::new();
    let living: Vec<Weak<Control>> = living().values().cloned().collect();
    let living: Vec<Handle> =
        living.iter().filter_map(|control| control.upgrade().map(Handle::new)).collect();
    let mut branches = Vec::with_capacity(living.len());
    let ids: Vec<u64> = living.iter().map(Handle::id).collect();
    let mut roots = Vec::new();
    for handle in living {
        match handle.parent().filter(|parent| ids.binary_search(parent).is_ok()) {
            Some(parent) => children.entry(parent).or_default().push(handle),
            None => roots.push(handle),
        }
    }
    let mut next: Vec<Branch> = level(roots, 0).collect();
    while let Some(branch) = next.pop() {
        let inner = children.remove(&branch.handle.id()).unwrap_or_default();
        next.extend(level(inner, branch.depth + 1));
        branches.push(branch);
    }
    SpawnTree { branches }
}

/// Taken from the end, so the first comes last.
fn level(handles: Vec<Handle>, depth: usize) -> impl Iterator<Item = Branch> {
    handles.into_iter().rev().map(move |handle| Branch { depth, handle })
}

/// The result of [`spawn_tree`]: each greenlet, followed by the greenlets that it spawned. Its text
/// has a line for each.
///
/// It shows the state at the call. Dropping it does not affect the greenlets.
#[doc(alias = "GreenletTree")]
#[derive(Clone, Debug)]
pub struct SpawnTree {
    branches: Vec<Branch>,
}

impl SpawnTree {
    /// The greenlets, parents before their children.
    pub fn iter(&self) -> std::slice::Iter<'_, Branch> {
        self.branches.iter()
    }
}

impl IntoIterator for SpawnTree {
    type Item = Branch;
    type IntoIter = std::vec::IntoIter<Branch>;

    fn into_iter(self) -> Self::IntoIter {
        self.branches.into_iter()
    }
}

impl<'a> IntoIterator for &'a SpawnTree {
    type Item = &'a Branch;
    type IntoIter = std::slice::Iter<'a, Branch>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Display for SpawnTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for Branch { depth, handle } in &self.branches {
            writeln!(f, "{:indent$}{handle}: {:?}", "", handle.state(), indent = 2 * depth)?;
        }
        Ok(())
    }
}

/// A greenlet in a [`SpawnTree`]. Dropping it does not affect the greenlet.
#[derive(Clone, Debug)]
pub struct Branch {
    depth: usize,
    handle: Handle,
}

impl Branch {
    /// How many of its ancestors live: 0 for a greenlet without a live parent.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The greenlet.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Adds a new greenlet, unless it was added before.
pub(crate) fn track(control: &Arc<Control>) {
    if !control.is_tracked() {
        control.set_tracked();
        living().insert(control.id(), Arc::downgrade(control));
        // Killed meanwhile, through the handle in its container's list.
        if control.is_ended() {
            forget(control.id());
        }
    }
}

/// Removes a finished greenlet.
pub(crate) fn forget(id: u64) {
    living().remove(&id);
}

fn living() -> MutexGuard<'static, BTreeMap<u64, Weak<Control>>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}
