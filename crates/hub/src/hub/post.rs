//! [`Post`]: which hub's tasks this thread runs, and [`Away`]: that it blocks instead.

use std::cell::RefCell;
use std::sync::Arc;

use super::core::Core;

thread_local! {
    static HELD: RefCell<Option<Held>> = const { RefCell::new(None) };
}

/// What a hub's thread knows of itself.
struct Held {
    core: Arc<Core>,
    /// One of the tasks blocks it; another thread does its work.
    away: bool,
}

/// While it lives, this thread runs the tasks of a hub.
pub(super) struct Post(());

impl Post {
    pub(super) fn take(core: &Arc<Core>) -> Self {
        HELD.set(Some(Held { core: Arc::clone(core), away: false }));
        Self(())
    }
}

impl Drop for Post {
    fn drop(&mut self) {
        HELD.take();
    }
}

/// Whether this thread is inside of a task of the hub.
pub(super) fn is_at(core: &Arc<Core>) -> bool {
    let is_at = |held: &Held| Arc::ptr_eq(&held.core, core);
    HELD.try_with(|held| held.borrow().as_ref().is_some_and(is_at)).unwrap_or(false)
}

/// While it lives, this thread blocks, and another one runs the tasks of the hub that it works for.
/// Of no effect on any other thread, and on one that is away already.
pub(crate) struct Away {
    from: Option<Arc<Core>>,
}

impl Away {
    pub(crate) fn begin() -> Self {
        // Where the thread's locals are gone, it has no post any more.
        let from = HELD.try_with(|held| {
            let mut held = held.borrow_mut();
            let held = held.as_mut().filter(|held| !held.away)?;
            held.away = true;
            Some(Arc::clone(&held.core))
        });
        let from = from.ok().flatten();
        if let Some(core) = &from {
            core.hand_over();
        }
        Self { from }
    }
}

impl Drop for Away {
    fn drop(&mut self) {
        let Some(core) = self.from.take() else { return };
        core.workers.come_back();
        HELD.with_borrow_mut(|held| held.iter_mut().for_each(|held| held.away = false));
    }
}
