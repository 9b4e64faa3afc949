//! The semaphores and locks of a scenario.

use std::cell::{Cell, RefCell};
use std::ops::Deref;

use serde_json::Value;
use spinney::Owner;

use super::barging::Barging;
use super::script::limited;
use super::world::{err, ok};

/// A semaphore, which may have a limit.
pub(super) struct Locks {
    permits: Barging,
    limit: Option<usize>,
}

impl Locks {
    pub(super) fn new(value: usize, limit: Option<usize>) -> Self {
        Self { permits: Barging::new(value), limit }
    }

    /// Gives one back; false if there are as many as there are to be.
    pub(super) fn give_back(&self) -> bool {
        let fits = self.limit.is_none_or(|limit| self.permits.counter() < limit);
        if fits {
            self.permits.release();
        }
        fits
    }

    /// gevent's ops.
    pub(super) async fn run(&self, name: &str, op: &Value) -> Value {
        match name {
            "acquire" => ok(acquire(&self.permits, op).await),
            "release" if self.give_back() => ok(Value::Null),
            "release" => err("ValueError"),
            _ => {
                limited(op, self.permits.wait()).await;
                ok(self.permits.counter())
            }
        }
    }
}

impl Deref for Locks {
    type Target = Barging;

    fn deref(&self) -> &Barging {
        &self.permits
    }
}

pub(super) async fn acquire(permits: &Barging, op: &Value) -> bool {
    if op["blocking"] == false {
        permits.try_acquire()
    } else {
        limited(op, permits.acquire()).await.is_some()
    }
}

/// gevent's `RLock`.
pub(super) struct RLock {
    permit: Barging,
    owner: RefCell<Option<Owner>>,
    depth: Cell<usize>,
}

impl Default for RLock {
    fn default() -> Self {
        Self { permit: Barging::new(1), owner: RefCell::default(), depth: Cell::new(0) }
    }
}

impl RLock {
    pub(super) fn is_locked(&self) -> bool {
        self.permit.counter() == 0
    }

    pub(super) async fn run(&self, name: &str, op: &Value) -> Value {
        let me = Owner::current();
        let is_mine = *self.owner.borrow() == Some(me);
        if name == "acquire" {
            let has_it = is_mine || acquire(&self.permit, op).await;
            if has_it {
                self.owner.replace(Some(me));
                self.depth.set(self.depth.get() + 1);
            }
            return ok(has_it);
        }
        if !is_mine {
            return err("RuntimeError");
        }
        self.depth.set(self.depth.get() - 1);
        if self.depth.get() == 0 {
            self.owner.replace(None);
            self.permit.release();
        }
        ok(Value::Null)
    }
}
