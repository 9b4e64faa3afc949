//! [`spawn_tree`]: which greenlets live, and who spawned whom.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use crate::Handle;
use crate::control::Control;

static TRACKED: AtomicBool = AtomicBool::new(false);

/// Those that were made while this was asked for, and live.
static LIVING: Mutex<BTreeMap<u64, Weak<Control>>> = Mutex::new(BTreeMap::new());

/// Says whether greenlets made from now on are to be found in the [`spawn_tree`]. They are not
/// unless this is said: it costs each of them two looks at one list that the whole process shares.
/// `GEVENT_TRACK_GREENLET_TREE`.
pub fn track_spawns(wanted: bool) {
    TRACKED.store(wanted, Relaxed);
}

/// Who spawned whom among those that live now, and were made while
/// [`track_spawns`] was on. It takes memory for the living only. `gevent.util.GreenletTree`.
///
/// ```
/// use spinney_greenlet::{spawn, spawn_tree, track_spawns};
///
/// track_spawns(true);
/// spinney_hub::LocalHub::new().block_on(async {
///     let parent = spawn(async { spawn(std::future::pending::<()>()).named("child").await });
///     let parent = parent.named("parent");
///     spinney_hub::yield_now().await;
///     let tree = spawn_tree();
///     let depths: Vec<_> = tree.iter().map(|branch| branch.depth()).collect();
///     assert_eq!(depths, [0, 1]);
///     assert!(tree.to_string().contains("\"child\": Scheduled"));
/// #   parent.kill().await;
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

/// To be taken from the end, so the first comes last.
fn level(handles: Vec<Handle>, depth: usize) -> impl Iterator<Item = Branch> {
    handles.into_iter().rev().map(move |handle| Branch { depth, handle })
}

/// What [`spawn_tree`] found: each greenlet, followed by those that it spawned. Printed, it is a
/// line for each.
///
/// It is as things were at the call. Dropping it is of no effect on the greenlets.
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

/// A greenlet in its [`SpawnTree`]. Dropping it is of no effect on the greenlet.
#[derive(Clone, Debug)]
pub struct Branch {
    depth: usize,
    handle: Handle,
}

impl Branch {
    /// How many of the greenlets above it live: 0 for one that nobody spawned who lives.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The greenlet.
    pub fn handle(&self) -> &Handle {
        &self.handle
    }
}

/// Notes a greenlet that was made just now, unless it was noted before.
#[inline]
pub(crate) fn note(control: &Arc<Control>) {
    if TRACKED.load(Relaxed) {
        track(control);
    }
}

#[cold]
fn track(control: &Arc<Control>) {
    if !control.is_tracked() {
        control.set_tracked();
        living().insert(control.id(), Arc::downgrade(control));
    }
}

/// Forgets one that has ended.
pub(crate) fn forget(id: u64) {
    living().remove(&id);
}

fn living() -> MutexGuard<'static, BTreeMap<u64, Weak<Control>>> {
    LIVING.lock().unwrap_or_else(PoisonError::into_inner)
}
