//! [`World`]: the state that all random actors share.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use fastrand::Rng;
use futures_lite::stream::{self, Stream};
use spinney::task::spawn_on;
use spinney::{Greenlet, Pool, sleep, yield_now};
use spinney_tests::SimHub;
use spinney_tests::tools::Gauge;

/// The permitted events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Rules {
    /// Nothing unforeseen: every result is right.
    Peace,
    /// Kills: no slot is lost. The cleanup of a killed reader's map may run beside the reader.
    Kills,
    /// Kills, panics, resizes, and dropped waits: no task waits for ever.
    Anything,
}

pub(crate) struct World {
    hub: SimHub,
    pub(crate) pool: Pool<SimHub>,
    pub(crate) rules: Rules,
    /// Counts the work in slots.
    pub(crate) gauge: Gauge,
    rng: RefCell<Rng>,
    /// Non-members that read the streams which members have begun.
    readers: RefCell<Vec<Greenlet<()>>>,
}

impl World {
    pub(crate) fn new(hub: &SimHub, pool: &Pool<SimHub>, rules: Rules, rng: Rng) -> Self {
        let (gauge, readers) = (Gauge::default(), RefCell::default());
        let (hub, pool, rng) = (hub.clone(), pool.clone(), RefCell::new(rng));
        Self { hub, pool, rules, gauge, rng, readers }
    }

    pub(crate) fn below(&self, limit: usize) -> usize {
        self.rng.borrow_mut().usize(..limit)
    }

    pub(crate) fn millis(&self, limit: usize) -> Duration {
        Duration::from_millis(self.below(limit) as u64)
    }

    /// Some turns, or some time.
    pub(crate) async fn pause(&self) {
        match self.below(4) {
            0 => {}
            1 => yield_now().await,
            2 => {
                for _ in 0..self.below(5) {
                    yield_now().await;
                }
            }
            _ => sleep(self.millis(20)).await,
        }
    }

    /// The numbers up to `count`, each after a delay.
    pub(crate) fn numbers(self: &Rc<Self>, count: usize) -> impl Stream<Item = usize> + use<> {
        let world = Rc::clone(self);
        stream::unfold((0, world), move |(next, world)| async move {
            world.pause().await;
            (next < count).then_some((next, (next + 1, world)))
        })
    }

    /// Moves the rest of it to a non-member.
    pub(crate) fn leave_to_a_stranger(&self, rest: impl Future<Output = ()> + 'static) {
        self.readers.borrow_mut().push(spawn_on(&self.hub, rest));
    }

    pub(crate) fn take_reader(&self) -> Option<Greenlet<()>> {
        self.readers.borrow_mut().pop()
    }
}
