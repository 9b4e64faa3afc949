//! [`Gated`]: a pool that can be broken, for the test that a broken one is noticed.

use std::ops::Deref;
use std::rc::Rc;

use spinney::{Greenlet, Pool};
use spinney_sim::SimHub;

use super::barging::Barging;
use super::script::Boxed;
use super::world::{Manner, Outcome};

/// A pool, and if it is broken a gate that lets in who came last.
#[derive(Clone)]
pub(super) struct Gated {
    pool: Pool<SimHub>,
    /// As many may be past it as the pool has slots.
    gate: Option<Rc<Barging>>,
}

impl Gated {
    pub(super) fn new(manner: Manner, pool: Pool<SimHub>) -> Self {
        let slots = pool.capacity().filter(|_| manner == Manner::Broken);
        Self { pool, gate: slots.map(|slots| Rc::new(Barging::last_first(slots))) }
    }

    pub(super) async fn spawn(&self, script: Boxed<Outcome>) -> Greenlet<Outcome> {
        let Some(gate) = self.gate.clone() else { return self.pool.spawn(script).await };
        gate.acquire().await;
        let way_out = WayOut(gate);
        let script: Boxed<Outcome> = Box::pin(async move {
            let _way_out = way_out;
            script.await
        });
        self.pool.spawn(script).await
    }
}

impl Deref for Gated {
    type Target = Pool<SimHub>;

    fn deref(&self) -> &Pool<SimHub> {
        &self.pool
    }
}

/// Lets the next one in when it is dropped.
struct WayOut(Rc<Barging>);

impl Drop for WayOut {
    fn drop(&mut self) {
        self.0.release();
    }
}
