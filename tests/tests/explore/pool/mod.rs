//! Pools: slots, stops, children in place, and a model of them.

mod in_place;
mod kills;
mod maps;
mod model;
mod slot_model;
mod slots;
mod stop;

use std::cell::Cell;
use std::pin::Pin;
use std::rc::Rc;

use spinney::gevent::PoolExt as _;
use spinney::task::spawn_on;
use spinney::{Greenlet, Handle, Spawn};
use spinney_sim::SimHub;

use crate::work;

type Pool = spinney::Pool<SimHub>;

/// The number of running bodies, and its maximum.
#[derive(Clone, Default)]
struct Bodies(Rc<(Cell<usize>, Cell<usize>)>);

impl Bodies {
    /// Works for this many turns, counted as a body. A dropped body does not run any more.
    async fn body(&self, turns: usize) {
        let (now, most) = &*self.0;
        now.set(now.get() + 1);
        most.set(most.get().max(now.get()));
        let _inside = Inside(self.clone());
        work(turns).await;
    }

    fn most(&self) -> usize {
        self.0.1.get()
    }
}

struct Inside(Bodies);

impl Drop for Inside {
    fn drop(&mut self) {
        let now = &self.0.0.0;
        now.set(now.get() - 1);
    }
}

/// The ways in which a wait is ended from outside.
#[derive(Clone, Copy, Debug)]
enum Stop {
    Abort,
    Drop,
    Kill,
}

impl Stop {
    /// Runs `future` in a greenlet that is stopped in this way at any time.
    fn at_any_time<F: Future + 'static>(
        self,
        sim: &SimHub,
        future: F,
    ) -> Greenlet<Option<F::Output>>
    where
        F::Output: 'static,
    {
        match self {
            Self::Drop => {
                let cancel = crate::Cancel::at_any_time(sim);
                spawn_on(sim, async move { cancel.or(future).await })
            }
            Self::Abort | Self::Kill => {
                let greenlet = spawn_on(sim, async move { Some(future.await) });
                self.later(sim, greenlet.handle());
                greenlet
            }
        }
    }

    /// Stops `greenlet` in this way at any time.
    fn later(self, sim: &SimHub, greenlet: &Handle) {
        let handle = greenlet.clone();
        sim.spawn(async move {
            match self {
                Self::Abort => handle.abort(),
                Self::Drop => {}
                Self::Kill => handle.kill_now(),
            }
        });
    }
}

/// Spawns a task that calls `act` at any time.
fn at_any_time(sim: &SimHub, act: impl FnOnce() + 'static) {
    sim.spawn(async move { act() });
}

/// Spawns a call of `pool` as a task that is not a member.
fn call<F: Future + 'static>(sim: &SimHub, pool: &Pool, call: impl FnOnce(Pool) -> F) {
    let future = call(pool.clone());
    sim.spawn(async move { drop(future.await) });
}

/// Spawns from within itself into `pool`, `depth` deep, then runs `leaf`. Returns the sum of ones.
fn nest(pool: Pool, depth: usize, leaf: Leaf) -> Pin<Box<dyn Future<Output = usize>>> {
    Box::pin(async move {
        if depth == 0 {
            leaf.await;
            return 0;
        }
        let inside = pool.clone();
        1 + pool.spawn(nest(inside, depth - 1, leaf)).await.await.unwrap()
    })
}

type Leaf = Pin<Box<dyn Future<Output = ()>>>;

/// Asserts that no slot is taken, no member is left, no caller waits, and each started task is
/// counted once.
#[track_caller]
fn assert_whole(pool: &Pool, capacity: usize) {
    let counts = (pool.len(), pool.free_count(), pool.waiting(), pool.members().len());
    assert_eq!(counts, (0, capacity, 0, 0), "{pool:?}");
    let report = pool.stats();
    let ended = report.succeeded + report.failed + report.killed + report.aborted;
    assert_eq!((report.started, report.running), (ended, 0), "{report:?}");
    if !pool.is_closed() {
        let slots: Vec<_> = std::iter::from_fn(|| pool.try_slot().ok()).collect();
        assert_eq!(slots.len(), capacity, "free slots cannot be acquired");
    }
}
