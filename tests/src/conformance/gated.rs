//! [`Gated`]: a pool that can be broken, for the test that a broken pool is detected.

use std::ops::Deref;
use std::rc::Rc;

use serde_json::{Value, json};
use spinney::gevent::GroupExt as _;
use spinney::task::spawn_on;
use spinney::{Greenlet, Pool};
use spinney_sim::SimHub;

use super::barging::Barging;
use super::entry::Ended;
use super::script::Boxed;
use super::world::{Manner, Outcome, world};

/// A pool and, if it is broken, a gate that admits the last waiter first.
#[derive(Clone)]
pub(super) struct Gated {
    pool: Pool<SimHub>,
    /// The gate admits as many as the pool has slots.
    gate: Option<Rc<Barging>>,
}

impl Gated {
    pub(super) fn new(manner: Manner, pool: Pool<SimHub>) -> Self {
        let gate = match manner {
            Manner::Ours | Manner::InPlace => None,
            Manner::Theirs => pool.capacity().map(Barging::new),
            Manner::Broken => pool.capacity().map(Barging::last_first),
        };
        Self { pool, gate: gate.map(Rc::new) }
    }

    pub(super) fn is_gated(&self) -> bool {
        self.gate.is_some()
    }

    /// Whether a task was admitted, or saw a free slot, that others had been woken for.
    pub(super) fn has_barged(&self) -> bool {
        self.gate.as_ref().is_some_and(|gate| gate.has_barged())
    }

    /// gevent's state.
    pub(super) fn state(&self) -> Value {
        self.gate.as_ref().map(|gate| gate.counter());
        let free = self.pool.capacity().map_or(1, |_| self.pool.available());
        json!({
            "len": self.pool.len(),
            "free": free,
            "full": free == 0,
            "size": self.pool.capacity(),
        })
    }

    /// `wait_available`: waits until a slot is free; returns how many are.
    pub(super) async fn wait_available(&self) -> usize {
        let Some(gate) = &self.gate else { return self.pool.wait_available().await };
        gate.wait().await;
        gate.counter()
    }

    pub(super) async fn spawn(&self, script: Boxed<Outcome>) -> Greenlet<Outcome> {
        let Some(gate) = self.gate.clone() else { return self.pool.spawn(script).await };
        gate.acquire().await;
        self.pool.spawn(leaving(gate, script)).await
    }

    /// gevent's `apply_async`: if the pool is full, a greenlet that is not a member waits for a
    /// slot.
    pub(super) fn apply_async(&self, script: Boxed<Outcome>) -> Greenlet<Outcome> {
        match self.gate.clone() {
            None => self.pool.apply_async(script),
            Some(gate) if gate.try_acquire() => self.pool.apply_async(leaving(gate, script)),
            Some(_) => {
                let pool = self.clone();
                let applied = async move { Ended::from(pool.spawn(script).await.await).outcome() };
                spawn_on(&world().hub, applied)
            }
        }
    }
}

impl Deref for Gated {
    type Target = Pool<SimHub>;

    fn deref(&self) -> &Pool<SimHub> {
        &self.pool
    }
}

/// The script, which admits the next one at its end.
fn leaving(gate: Rc<Barging>, script: Boxed<Outcome>) -> Boxed<Outcome> {
    let way_out = WayOut(gate);
    Box::pin(async move {
        let _way_out = way_out;
        script.await
    })
}

/// Admits the next one when it is dropped.
struct WayOut(Rc<Barging>);

impl Drop for WayOut {
    fn drop(&mut self) {
        self.0.release();
    }
}
