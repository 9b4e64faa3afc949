//! The objects of a scenario: ours, in the place of gevent's.

use std::cmp::Ordering;

use serde_json::{Value, json};
use spinney::{Event, Group, Pool, Reentry};
use spinney_sim::SimHub;

use super::eventlet;
use super::locks::{Locks, RLock};
use super::queues::AnyQueue;
use super::settable::Settable;

pub(super) enum Object {
    Group(Group<SimHub>),
    Pool(Pool<SimHub>),
    Event(Event),
    AsyncResult(Settable),
    Semaphore(Locks),
    RLock(RLock),
    Queue(AnyQueue),
    Eventlet(eventlet::Object),
}

/// What is put into queues: ordered as Python orders it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ranked(pub(super) Value);

impl Ord for Ranked {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.as_i64().cmp(&other.0.as_i64())
    }
}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Object {
    pub(super) fn new(hub: &SimHub, spec: &Value) -> Option<Self> {
        let number = |key: &str| spec[key].as_u64().map(|n| usize::try_from(n).expect("small"));
        Some(match spec["type"].as_str()? {
            "group" => Self::Group(Group::on(hub)),
            "pool" => {
                let size = number("size").unwrap_or(usize::MAX);
                Self::Pool(Pool::builder().reentry(Reentry::Wait).pool_on(hub, size))
            }
            "event" => Self::Event(Event::new()),
            "async_result" => Self::AsyncResult(Settable::default()),
            "semaphore" => Self::Semaphore(Locks::new(number("value")?, None)),
            "bounded_semaphore" => {
                let value = number("value")?;
                Self::Semaphore(Locks::new(value, Some(value)))
            }
            "rlock" => Self::RLock(RLock::default()),
            "queue" => {
                let limit = number("maxsize").filter(|limit| *limit > 0);
                Self::Queue(AnyQueue::new(spec["kind"].as_str()?, limit))
            }
            "channel" => Self::Queue(AnyQueue::new("channel", None)),
            _ => return None,
        })
    }

    /// What the op `state` gives.
    pub(super) fn state(&self) -> Value {
        match self {
            Self::Group(group) => json!({ "len": group.len(), "full": false }),
            Self::Pool(pool) => {
                let free = pool.capacity().map_or(1, |_| pool.free_count());
                json!({
                    "len": pool.len(),
                    "free": free,
                    "full": free == 0,
                    "size": pool.capacity(),
                })
            }
            Self::Event(event) => json!({ "set": event.is_set() }),
            Self::AsyncResult(result) => result.state(),
            Self::Semaphore(semaphore) => {
                let counter = semaphore.counter();
                json!({ "counter": counter, "locked": counter == 0 })
            }
            Self::RLock(lock) => json!({ "locked": lock.is_locked() }),
            Self::Queue(queue) => queue.state(),
            Self::Eventlet(object) => object.state(),
        }
    }
}
