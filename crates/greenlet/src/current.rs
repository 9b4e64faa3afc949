//! [`Frame`]: the thread's record of the greenlet that it polls; [`Owner`]: the identity of a
//! lock's holder.

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::{self, ThreadId};

use spinney_hub::drop_contained;

use crate::control::Control;
use crate::local::Locals;
use crate::scopes::ROOT;

#[cfg(not(spinney_loom))]
thread_local! {
    static CURRENT: RefCell<Current> = const { RefCell::new(Current::new()) };
}

#[cfg(spinney_loom)]
loom::thread_local! {
    static CURRENT: RefCell<Current> = RefCell::new(Current::new());
}

struct Current {
    frame: Frame,
    /// The innermost `catch_exit` or `shield` of the greenlet that is being polled.
    scope: u64,
    /// The locals of code outside any greenlet.
    thread: Locals,
}

impl Current {
    const fn new() -> Self {
        Self { frame: Frame::of_thread(), scope: ROOT, thread: Locals::new() }
    }

    /// Returns the greenlet, to code in it that keeps or changes it.
    fn ask_for(&mut self) -> Option<&Arc<Control>> {
        self.frame.control.as_ref().inspect(|control| control.ask_inside())
    }

    fn locals(&mut self) -> &mut Locals {
        match self.frame.control {
            Some(_) => &mut self.frame.locals,
            None => &mut self.thread,
        }
    }
}

/// Each thread has one of its own as well, for code outside any greenlet.
pub(crate) struct Frame {
    control: Option<Arc<Control>>,
    locals: Locals,
}

impl Frame {
    const fn of_thread() -> Self {
        Self { control: None, locals: Locals::new() }
    }

    pub(crate) fn of(control: Arc<Control>) -> Self {
        Self { control: Some(control), locals: Locals::new() }
    }

    pub(crate) fn control(&self) -> &Arc<Control> {
        self.control.as_ref().expect(OF_GREENLET)
    }

    /// The control block, at the end. Locals are left only on a thread that exits and has destroyed
    /// its own.
    pub(crate) fn into_control(self) -> Arc<Control> {
        drop_contained(self.locals);
        self.control.expect(OF_GREENLET)
    }

    /// Runs `code`, which does not panic, in this frame.
    ///
    /// The frame is swapped in and out again rather than shared: this is done at each poll.
    pub(crate) fn run<T>(&mut self, code: impl FnOnce() -> T) -> T {
        let scope = self.swap(ROOT);
        let done = code();
        if let Some(scope) = scope {
            self.swap(scope);
        }
        done
    }

    /// Exchanges this with the current frame, and the scopes. Returns the scope before; `None` if
    /// the thread's locals have been destroyed.
    fn swap(&mut self, scope: u64) -> Option<u64> {
        let swap = |current: &RefCell<Current>| {
            let mut current = current.borrow_mut();
            std::mem::swap(&mut current.frame, self);
            std::mem::replace(&mut current.scope, scope)
        };
        CURRENT.try_with(swap).ok()
    }
}

const OF_GREENLET: &str = "a greenlet's frame is not a thread's";

/// The greenlet that is being polled. Also `None` while the thread exits and its locals have been
/// destroyed.
pub(crate) fn control() -> Option<Arc<Control>> {
    CURRENT.try_with(|current| current.borrow_mut().ask_for().cloned()).ok().flatten()
}

/// The id of the greenlet that is being polled.
pub(crate) fn id() -> Option<u64> {
    let id =
        |current: &RefCell<Current>| current.borrow_mut().ask_for().map(|control| control.id());
    CURRENT.try_with(id).ok().flatten()
}

/// Makes the task that is being polled continue as the greenlet of `next`. Returns the frame of the
/// greenlet before; changes nothing and returns `None` if that frame does not belong to `before`.
pub(crate) fn switch_to(next: &Arc<Control>, before: &Arc<Control>) -> Option<Frame> {
    let go_on = |current: &RefCell<Current>| {
        let frame = &mut current.borrow_mut().frame;
        let is_before = frame.control.as_ref().is_some_and(|control| Arc::ptr_eq(control, before));
        is_before.then(|| std::mem::replace(frame, Frame::of(Arc::clone(next))))
    };
    CURRENT.try_with(go_on).ok().flatten()
}

/// Runs `code`, which does not panic, as code outside any greenlet.
pub(crate) fn outside(code: impl FnOnce()) {
    Frame::of_thread().run(code);
}

/// The innermost scope of the greenlet that is being polled.
pub(crate) fn scope() -> u64 {
    CURRENT.try_with(|current| current.borrow().scope).unwrap_or(ROOT)
}

/// Whether the innermost scope of the greenlet that is being polled is a shield, or lies within
/// one.
pub(crate) fn is_shielded() -> bool {
    let scope = scope();
    scope != ROOT
        && control().is_some_and(|control| control.kills(|kills| kills.is_shielded(scope)))
}

/// Runs `code` with `scope` as the innermost one.
pub(crate) fn in_scope<T>(scope: u64, code: impl FnOnce() -> T) -> T {
    struct Restore(u64);
    impl Drop for Restore {
        fn drop(&mut self) {
            replace_scope(self.0);
        }
    }
    let _back = Restore(replace_scope(scope));
    code()
}

fn replace_scope(scope: u64) -> u64 {
    let replace =
        |current: &RefCell<Current>| std::mem::replace(&mut current.borrow_mut().scope, scope);
    CURRENT.try_with(replace).unwrap_or(ROOT)
}

/// Calls `look`, which runs no foreign code, with the locals of the current greenlet, or of the
/// thread outside any greenlet. `None` if the thread's locals have been destroyed.
pub(crate) fn locals<T>(look: impl FnOnce(&Locals) -> T) -> Option<T> {
    CURRENT.try_with(|current| look(current.borrow_mut().locals())).ok()
}

/// Like [`locals`], with mutable access.
pub(crate) fn set_locals<T>(set: impl FnOnce(&mut Locals) -> T) -> Option<T> {
    let set = |current: &RefCell<Current>| {
        let mut current = current.borrow_mut();
        current.ask_for();
        set(current.locals())
    };
    CURRENT.try_with(set).ok()
}

/// The most values that a greenlet drops; far more than a program declares. Without a limit, a
/// destructor that sets its local again would keep the greenlet from finishing. Further values are
/// leaked, because their destructors could run only as code of another greenlet.
const MOST_LOCALS: usize = 1 << 16;

/// Drops the locals of the greenlet that is being polled, one by one, so that a destructor may use
/// the others and set more. Returns `dropped`, or the payload of the first destructor that panics
/// after it.
pub(crate) fn drop_locals(mut dropped: thread::Result<()>) -> thread::Result<()> {
    let pop = || CURRENT.try_with(|current| current.borrow_mut().locals().pop()).ok().flatten();
    for _ in 0..MOST_LOCALS {
        let Some(value) = pop() else { return dropped };
        match catch_unwind(AssertUnwindSafe(|| drop(value))) {
            Err(payload) if dropped.is_ok() => dropped = Err(payload),
            again => drop_contained(again),
        }
    }
    std::iter::from_fn(pop).for_each(std::mem::forget);
    dropped
}

/// The running greenlet, or the thread outside any greenlet: the owner of an
/// [`RLock`](spinney_sync::RLock).
///
/// ```
/// # mod spinney {
/// #     pub use spinney_hub::block_on;
/// #     pub mod sync { pub use spinney_sync::RLock; }
/// #     pub mod task { pub use spinney_greenlet::Owner; }
/// # }
/// use spinney::block_on;
/// use spinney::sync::RLock;
/// use spinney::task::Owner;
///
/// let lock = RLock::new();
/// block_on(async {
///     let outer = lock.acquire(Owner::current()).await;
///     let inner = lock.acquire(Owner::current()).await;
///     drop((outer, inner));
///     assert!(!lock.is_locked());
/// });
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Owner {
    /// The greenlet with this id.
    Greenlet(u64),
    /// This thread, outside any greenlet.
    Thread(ThreadId),
}

impl Owner {
    /// The caller: the running greenlet, or the thread outside any greenlet.
    pub fn current() -> Self {
        id().map_or_else(|| Self::Thread(thread::current().id()), Self::Greenlet)
    }
}
