//! The objects of a scenario: ours, in place of the original's.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::ready;
use std::rc::Rc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;

use serde_json::{Value, json};
use spinney::eventlet::GreenPoolExt as _;
use spinney::pool::Reentry;
use spinney::{Event, GreenPile, GreenPool, Group, Pool, ResourcePool};
use spinney_sim::SimHub;

use super::async_result::AnyResult;
use super::gated::Gated;
use super::locks::{AnyRLock, AnySemaphore};
use super::queues::AnyQueue;
use super::sent::Sent;
use super::task_sets::Either;
use super::threads::Threads;
use super::world::{Manner, Outcome};

pub(super) enum Object {
    TaskSet(Either),
    Event(Event),
    Result(AnyResult),
    Semaphore(AnySemaphore),
    RLock(AnyRLock),
    Queue(AnyQueue),
    Threads(Rc<Threads>),

    GreenPool(GreenPool<SimHub>),
    GreenPile(GreenPile<Outcome, SimHub>),
    Sent(RefCell<Sent>),
    /// eventlet's, which reports more state.
    Balanced(AnySemaphore),
    /// A semaphore that blocks a release above its limit: the second semaphore counts the room.
    Capped(AnySemaphore, AnySemaphore),
    TwoSided(AnyQueue),
    Resources(ResourcePool<u64, Infallible>),
}

impl Object {
    /// An object of gevent; `None` if there is no such type.
    pub(super) fn gevent(hub: &SimHub, manner: Manner, spec: &Value) -> Option<Self> {
        Some(match spec["type"].as_str()? {
            "group" => Self::TaskSet(Either::Group(Group::on(hub))),
            "pool" => {
                let size = count(spec, "size").unwrap_or(usize::MAX);
                let reentry =
                    if manner == Manner::InPlace { Reentry::InPlace } else { Reentry::Wait };
                let pool = Pool::builder().reentry(reentry).pool_on(hub, size);
                Self::TaskSet(Either::Pool(Gated::new(manner, pool)))
            }
            "event" => Self::Event(Event::new()),
            "async_result" => Self::Result(AnyResult::new(manner)),
            "semaphore" => Self::Semaphore(AnySemaphore::new(manner, count(spec, "value")?)),
            "bounded_semaphore" => {
                Self::Semaphore(AnySemaphore::bounded(manner, count(spec, "value")?))
            }
            "rlock" => Self::RLock(AnyRLock::new(manner)),
            "queue" => {
                // gevent takes `None` for no limit.
                let limit = count(spec, "maxsize").filter(|limit| *limit > 0);
                Self::Queue(AnyQueue::new(manner, spec["kind"].as_str()?, limit)?)
            }
            "channel" => Self::Queue(AnyQueue::new(manner, "channel", None)?),
            "threadpool" => Self::Threads(Threads::new(manner, count(spec, "size")?)),
            _ => return None,
        })
    }

    /// An object of eventlet, which may use one of the objects `before`.
    pub(super) fn eventlet(
        hub: &SimHub,
        manner: Manner,
        spec: &Value,
        before: &BTreeMap<String, Self>,
    ) -> Option<Self> {
        Some(match spec["type"].as_str()? {
            "green_pool" => Self::GreenPool(GreenPool::on(hub, count(spec, "size")?)),
            "green_pile" => {
                let pool = match spec["pool"].as_str().map(|name| before.get(name)) {
                    Some(Some(Self::GreenPool(pool))) => pool.clone(),
                    Some(_) => return None,
                    None => GreenPool::on(hub, count(spec, "size")?),
                };
                let pile = GreenPile::on(&pool);
                // The behaviour of eventlet's code, not of its documentation.
                let as_spawned = manner == Manner::Theirs;
                Self::GreenPile(if as_spawned { pile.in_spawn_order() } else { pile })
            }
            "event" => Self::Sent(RefCell::default()),
            "semaphore" => Self::Balanced(AnySemaphore::new(manner, count(spec, "value")?)),
            "bounded_semaphore" => {
                Self::Balanced(AnySemaphore::bounded(manner, count(spec, "value")?))
            }
            "capped_semaphore" => {
                let value = count(spec, "value")?;
                let room = count(spec, "limit")?.checked_sub(value)?;
                Self::Capped(AnySemaphore::new(manner, value), AnySemaphore::new(manner, room))
            }
            "queue" => {
                let limit = count(spec, "maxsize");
                Self::TwoSided(AnyQueue::new(manner, spec["kind"].as_str()?, limit)?)
            }
            "res_pool" => Self::Resources(resources(hub, spec)?),
            _ => return None,
        })
    }

    /// The outcome of the op `state`.
    pub(super) fn state(&self) -> Value {
        match self {
            Self::TaskSet(Either::Group(group)) => json!({ "len": group.len(), "full": false }),
            Self::TaskSet(Either::Pool(pool)) => pool.state(),
            Self::Event(event) => json!({ "set": event.is_set() }),
            Self::Result(result) => result.state(),
            Self::Semaphore(semaphore) => {
                let counter = semaphore.counter();
                json!({ "counter": counter, "locked": counter == 0 })
            }
            Self::RLock(lock) => lock.state(),
            Self::Queue(queue) => queue.state(),
            Self::Threads(threads) => threads.state(),
            Self::GreenPool(pool) => json!({
                "running": pool.running(),
                "free": pool.available(),
                "waiting": pool.waiting(),
                "size": pool.capacity(),
            }),
            Self::GreenPile(pile) => json!({
                "counter": pile.len(),
                "running": pile.pool().running(),
                "free": pile.pool().available(),
                "waiting": pile.pool().waiting(),
            }),
            Self::Sent(sent) => sent.borrow().state(),
            Self::Balanced(semaphore) => json!({
                "counter": semaphore.counter(),
                "balance": semaphore.balance(),
                "locked": semaphore.counter() == 0,
            }),
            Self::Capped(permits, room) => json!({
                "balance": permits.balance() - room.balance(),
                "locked": permits.counter() == 0,
                "bounded": room.counter() == 0,
            }),
            Self::TwoSided(queue) => queue.eventlet_state(),
            Self::Resources(pool) => json!({
                "free": pool.available(),
                "waiting": pool.waiting(),
                "size": pool.len(),
            }),
        }
    }

    /// Whether a task has barged in, or set a result again, where ours would refuse it.
    pub(super) fn has_quirk(&self) -> bool {
        match self {
            Self::TaskSet(Either::Pool(pool)) => pool.has_barged(),
            Self::Semaphore(semaphore) | Self::Balanced(semaphore) => semaphore.has_barged(),
            Self::Capped(permits, room) => permits.has_barged() || room.has_barged(),
            Self::RLock(lock) => lock.has_barged(),
            Self::Queue(queue) | Self::TwoSided(queue) => queue.has_barged(),
            Self::Result(result) => result.was_set_again(),
            Self::Threads(threads) => threads.has_quirk(),
            _ => false,
        }
    }
}

/// Its resources are 1, 2, 3, and so on.
fn resources(hub: &SimHub, spec: &Value) -> Option<ResourcePool<u64, Infallible>> {
    let made = AtomicU64::new(0);
    let create = move || ready(Ok(made.fetch_add(1, Relaxed) + 1));
    let mut pool = ResourcePool::builder(create)
        .min_size(count(spec, "min").unwrap_or(0))
        .max_size(count(spec, "max")?);
    if spec["stack"] == true {
        pool = pool.order_as_stack();
    }
    let pool = pool.build();
    hub.block_on(pool.fill()).expect("no create fails");
    Some(pool)
}

fn count(spec: &Value, key: &str) -> Option<usize> {
    spec[key].as_u64().and_then(|count| usize::try_from(count).ok())
}
