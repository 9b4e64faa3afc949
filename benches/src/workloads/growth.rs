//! growth: operations that take the same time among one and among a million, repeated, on one
//! thread. They are named after the operations; the list of std shows the effect of memory alone.

use std::future::pending;
use std::rc::Rc;

use futures_lite::StreamExt;
use futures_lite::future::{poll_once, yield_now};
use spinney::catch_exit;
use spinney::gevent::GroupExt as _;
use spinney::sync::RLock;
use spinney::task::Owner;
use spinney::task::{iwait, spawn_on};
use spinney::{Event, GreenPile, GreenPool, Group, LocalHub, Pool};

use crate::load::Load;
use crate::on;
use crate::workload::Workload;
use crate::workloads::limits;

/// The name of [`workload`].
pub(crate) const ID: &str = "growth";

pub(super) fn workload() -> Workload {
    let load = Load { items: 40_000, slots: usize::MAX };
    Workload::new(ID, "operations that should not cost more among many", load, u64::from)
        .rival("a list of std, removed at random", list_of_std)
        .ours("Group: add, contains, discard", local(add_and_discard))
        .ours("Group: killone", local(kill_in_turn))
        .ours("Pool: a member applies, the pool is full", local(apply_of_a_member))
        .ours("Pool: members spawn, the pool is full", local(spawns_of_members))
        .ours("Pool: slot waits dropped at random", local(waits_dropped_at_random))
        .ours("Pool: a member maps, no slot is free", local(map_in_place))
        .ours("Pool: slots under a rate, keys, priorities", local(slots_under_limits))
        .ours("Pool: waits under these dropped at random", local(limited_waits_dropped_at_random))
        .ours("RLock: hand-over", local(hand_over))
        .ours("catch_exit: scopes of one greenlet, then a kill", local(scopes))
        .ours("iwait: remove after the end", local(removes))
        .ours("join: joins of one greenlet dropped at random", local(joins_dropped_at_random))
        .ours("GreenPile: readers", local(readers))
}

/// `run` on a `LocalHub`, as a rival with as many operations as items.
fn local(run: impl AsyncFn(&LocalHub, usize) + 'static) -> impl Fn(Load) -> u64 {
    move |load| {
        on::local_hub(async |hub| run(&hub, load.items as usize).await);
        load.items.into()
    }
}

async fn add_and_discard(hub: &LocalHub, n: usize) {
    let group = Group::on(hub);
    let all: Vec<_> = (0..n).map(|_| spawn_on(hub, pending::<()>())).collect();
    assert!(all.iter().all(|one| group.add(one)));
    assert!(all.iter().all(|one| group.contains(one)));
    assert!(all.iter().all(|one| group.discard(one)));
}

async fn kill_in_turn(hub: &LocalHub, n: usize) {
    let group = Group::on(hub);
    let all: Vec<_> = (0..n).map(|_| group.spawn(pending::<()>())).collect();
    for one in &all {
        assert!(group.killone(one).await);
    }
}

async fn apply_of_a_member(hub: &LocalHub, n: usize) {
    let pool = Pool::on(hub, 1);
    let inside = pool.clone();
    let member = async move {
        for _ in 0..n {
            inside.apply(async {}).await.expect("it does not fail");
        }
    };
    pool.apply(member).await.expect("it does not fail");
}

async fn spawns_of_members(hub: &LocalHub, n: usize) {
    let pool = Pool::on(hub, n);
    let member = |_| {
        let inside = pool.clone();
        pool.try_spawn(async move { inside.spawn(yield_now()).await.await })
            .expect("there is a slot for each member")
    };
    for member in (0..n).map(member).collect::<Vec<_>>() {
        member.await.and_then(|child| child).expect("it does not fail");
    }
}

async fn waits_dropped_at_random(hub: &LocalHub, n: usize) {
    let pool = Pool::on(hub, 0);
    let mut waits: Vec<_> = (0..n).map(|_| Box::pin(pool.slot())).collect();
    for wait in &mut waits {
        assert!(poll_once(wait).await.is_none());
    }
    drop_at_random(waits);
}

async fn slots_under_limits(hub: &LocalHub, n: usize) {
    let pool = limits::limits().pool_on(hub, 1);
    let held = pool.slot().await;
    let waiter = |n: u64| {
        let pool = pool.clone();
        spawn_on(hub, async move {
            drop(pool.slot().key(&(n % limits::KEYS)).priority(limits::priority(n)).await);
        })
    };
    let waiters: Vec<_> = (0..n as u64).map(waiter).collect();
    while pool.waiting() < n {
        yield_now().await;
    }
    drop(held);
    for waiter in waiters {
        waiter.await.expect("it does not fail");
    }
}

async fn limited_waits_dropped_at_random(hub: &LocalHub, n: usize) {
    let pool = limits::limits().pool_on(hub, 0);
    let wait =
        |n: u64| Box::pin(pool.slot().key(&(n % limits::KEYS)).priority(limits::priority(n)));
    let mut waits: Vec<_> = (0..n as u64).map(wait).collect();
    for wait in &mut waits {
        assert!(poll_once(wait).await.is_none());
    }
    drop_at_random(waits);
}

async fn map_in_place(hub: &LocalHub, n: usize) {
    let pool = Pool::on(hub, 1);
    let inside = pool.clone();
    let member = async move { inside.imap(|n: usize| async move { n }, 0..n).count().await };
    assert_eq!(pool.apply(member).await.expect("it does not fail"), n);
}

async fn hand_over(hub: &LocalHub, n: usize) {
    let lock = Rc::new(RLock::new());
    let holder = |_| {
        let lock = Rc::clone(&lock);
        spawn_on(hub, async move {
            let _held = lock.acquire(Owner::current()).await;
            yield_now().await;
        })
    };
    for holder in (0..n).map(holder).collect::<Vec<_>>() {
        holder.await.expect("it does not fail");
    }
}

async fn scopes(hub: &LocalHub, n: usize) {
    let killed = spawn_on(hub, async move {
        let mut scopes: Vec<_> = (0..n).map(|_| Box::pin(catch_exit(pending::<()>()))).collect();
        for scope in &mut scopes {
            assert!(poll_once(scope).await.is_none());
        }
        pending::<()>().await;
    });
    yield_now().await;
    // A scope that is not polled defers the kill; so the greenlet is aborted at the end.
    killed.kill_now();
    killed.abort();
    assert!(killed.await.is_err());
}

async fn removes(hub: &LocalHub, n: usize) {
    let all: Vec<_> = (0..n).map(|_| spawn_on(hub, async {})).collect();
    let mut iwait = iwait(&all);
    yield_now().await;
    for one in &all {
        iwait.remove(one);
    }
}

async fn joins_dropped_at_random(hub: &LocalHub, n: usize) {
    let joined = spawn_on(hub, pending::<()>());
    let mut joins: Vec<_> = (0..n).map(|_| Box::pin(joined.join())).collect();
    for join in &mut joins {
        assert!(poll_once(join).await.is_none());
    }
    drop_at_random(joins);
}

async fn readers(hub: &LocalHub, n: usize) {
    let pile = Rc::new(GreenPile::on(&GreenPool::on(hub, n)));
    let gate = Rc::new(Event::new());
    for number in 0..n {
        let gate = Rc::clone(&gate);
        let passes = async move {
            gate.wait().await;
            number
        };
        pile.spawn(passes).await;
    }
    let reader = |_| {
        let pile = Rc::clone(&pile);
        spawn_on(hub, async move { pile.next().await })
    };
    let readers: Vec<_> = (0..n).map(reader).collect();
    yield_now().await;
    gate.set();
    for reader in readers {
        assert!(reader.await.expect("it does not fail").is_some());
    }
}

/// Nodes of the size of a wait in a list, whose neighbours refer to each other.
fn list_of_std(load: Load) -> u64 {
    struct Node {
        neighbours: [Option<usize>; 2],
        _rest: [u64; 32],
    }
    let n = load.items as usize;
    let neighbours = |at: usize| [at.checked_sub(1), Some(at + 1).filter(|next| *next < n)];
    let node = |at| Some(Box::new(Node { neighbours: neighbours(at), _rest: [0; 32] }));
    let mut list: Vec<_> = (0..n).map(node).collect();
    for at in at_random(0..n) {
        let [before, after] = list[at].take().expect("each node is removed once").neighbours;
        for (end, neighbour) in [(1, before), (0, after)] {
            if let Some(node) = neighbour.and_then(|neighbour| list[neighbour].as_mut()) {
                node.neighbours[end] = [before, after][end];
            }
        }
    }
    load.items.into()
}

fn drop_at_random<T>(all: Vec<T>) {
    at_random(all).into_iter().for_each(drop);
}

/// The same order each time.
fn at_random<T>(all: impl IntoIterator<Item = T>) -> Vec<T> {
    let mut all = Vec::from_iter(all);
    fastrand::Rng::with_seed(1).shuffle(&mut all);
    all
}
