//! Scopes of a pool: they refuse like a pool, and a greenlet may be a member of several.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::poll_once;
use spinney::gevent::GroupExt as _;
use spinney::pool::{Reentry, SlotError};
use spinney::task::spawn_on;
use spinney::{Failure, Greenlet, Group, Pool};
use spinney_tests::tools::{behind, gate, let_others_run, stuck};
use spinney_tests::{AnyHub, Dropped, on_every_hub};

/// Whether the greenlet was refused because the pool or the scope was closed.
fn is_refused(failure: &Failure) -> bool {
    let Failure::Killed(exit) = failure else { return false };
    exit.reason().is_some_and(<dyn Error + Send + Sync>::is::<SlotError>)
}

/// Applies itself `depth` levels deep; returns the largest length of `scope`.
fn nested_len(scope: Pool<AnyHub>, depth: usize) -> Pin<Box<dyn Future<Output = usize> + Send>> {
    Box::pin(async move {
        let len = scope.len();
        if depth == 0 {
            return len;
        }
        len.max(scope.apply(nested_len(scope.clone(), depth - 1)).await.unwrap())
    })
}

on_every_hub! {
    async fn len_of_a_scope_counts_slots_by_weight(hub) {
        let pool = Pool::on(hub, 5);
        let scope = pool.scope();
        let heavy = scope.slot().weight(3).spawn(stuck(gate(), ())).await;
        let other = scope.spawn(stuck(gate(), ())).await;
        assert_eq!((pool.len(), scope.len()), (4, 4));
        scope.discard(&heavy);
        assert_eq!((pool.len(), scope.len()), (1, 1));
        other.kill().await;
        assert_eq!((pool.len(), scope.len()), (0, 0));
        heavy.kill().await;
    }

    async fn len_of_a_scope_counts_a_shared_slot_once(hub) {
        let pool = Pool::on(hub, 1);
        let scope = pool.scope();
        assert_eq!(scope.apply(nested_len(scope.clone(), 300)).await.unwrap(), 1);
        assert_eq!((pool.len(), scope.len()), (0, 0));
    }

    async fn held_slot_of_a_scope_counts_in_the_pool_alone(hub) {
        let pool = Pool::on(hub, 2);
        let scope = pool.scope();
        let slot = scope.slot().await.unwrap();
        assert_eq!((pool.len(), pool.available(), scope.available()), (1, 1, 1));
        assert_eq!((scope.len(), scope.is_empty(), pool.is_empty()), (0, true, false));
        let task = slot.spawn(stuck(gate(), ()));
        assert_eq!((pool.len(), scope.len()), (1, 1));
        task.kill().await;
    }

    async fn closed_scope_refuses_although_a_slot_is_free(hub) {
        let pool = Pool::on(hub, 3);
        let (scope, dropped) = (pool.scope(), Dropped::default());
        scope.close();
        assert!(scope.is_closed() && !pool.is_closed());
        assert_eq!(scope.slot().await.unwrap_err(), SlotError::Closed);
        assert_eq!(scope.try_slot().unwrap_err(), SlotError::Closed);
        assert!(is_refused(&scope.spawn(stuck(gate(), dropped.guard())).await.await.unwrap_err()));
        assert!(is_refused(&scope.apply(stuck(gate(), dropped.guard())).await.unwrap_err()));
        assert!(is_refused(&scope.apply_async(stuck(gate(), dropped.guard())).await.unwrap_err()));
        assert_eq!(dropped.count(), 3);
        assert!(scope.try_spawn(async {}).unwrap_err().is_closed());
        assert!(scope.spawn_within(Duration::MAX, async {}).await.unwrap_err().is_closed());
        let stranger = Group::on(hub).spawn(stuck(gate(), ()));
        assert!(!scope.add(&stranger).await);
        assert!(scope.try_add(&stranger).unwrap_err().is_closed());
        assert!(!scope.start(&Greenlet::new(async {})).await);
        assert_eq!(scope.wait_available().await, 0);
        assert!(is_refused(&scope.map(|n: u32| async move { n }, 0..3).await.unwrap_err()));
        assert_eq!((scope.stats().refused, pool.available()), (0, 3));
        assert!(pool.spawn(async {}).await.await.is_ok());
    }

    async fn waiters_of_a_closed_scope_pass_their_slots_on(hub) {
        let pool = Pool::on(hub, 1);
        let (scope, open) = (pool.scope(), gate());
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        let mut served = Box::pin(scope.slot());
        let mut queued = Box::pin(scope.slot());
        let mut other = Box::pin(pool.slot());
        assert!(poll_once(&mut served).await.is_none());
        assert!(poll_once(&mut queued).await.is_none());
        assert!(poll_once(&mut other).await.is_none());
        open.set();
        member.await.unwrap();
        // The first holds the slot already.
        assert_eq!((pool.len(), pool.waiting(), scope.waiting()), (1, 2, 2));
        assert_eq!(scope.close().refused, 2);
        assert_eq!(served.await.unwrap_err(), SlotError::Closed);
        assert_eq!(queued.await.unwrap_err(), SlotError::Closed);
        assert!(other.await.is_ok());
        assert_eq!((pool.available(), scope.stats().refused), (1, 2));
    }

    async fn slot_of_a_scope_starts_nothing_in_a_closed_pool(hub) {
        let pool = Pool::on(hub, 2);
        let (scope, dropped) = (pool.scope(), Dropped::default());
        let slot = scope.slot().await.unwrap();
        pool.close();
        let refused = slot.spawn(stuck(gate(), dropped.guard())).await;
        assert!(is_refused(&refused.unwrap_err()));
        assert_eq!((dropped.count(), pool.available(), scope.stats().started), (1, 2, 0));
    }

    async fn reader_of_no_map_is_not_a_waiter_of_a_scope(hub) {
        let pool = Pool::on(hub, 1);
        let scope = pool.scope();
        let results = scope.mapper().maxsize(0).imap(|n: usize| async move { n }, 0..);
        let_others_run().await;
        assert_eq!(scope.waiting(), 0);
        assert_eq!(scope.close().refused, 0);
        drop(results);
    }

    async fn greenlet_of_two_scopes_is_a_member_of_both(hub) {
        let pool = Pool::on(hub, 2);
        let (one, two, three) = (pool.scope(), pool.scope(), pool.scope());
        let (first, second, third) = (one.clone(), two.clone(), three.clone());
        let (go, ran, left) = (gate(), gate(), gate());
        let (gone, runs, leaves) = (Arc::clone(&go), Arc::clone(&ran), Arc::clone(&left));
        let greenlet = spawn_on(hub, async move {
            gone.wait().await;
            let mut sum = 0;
            // The pool is full: each runs in place, because in each scope the greenlet holds a
            // slot.
            for scope in [&first, &second, &third] {
                sum += scope.spawn(async { 1 }).await.await.unwrap();
            }
            runs.set();
            leaves.wait().await;
            for scope in [&first, &second, &third] {
                sum += scope.spawn(async { 10 }).await.await.unwrap();
            }
            sum
        });
        assert!(one.add(&greenlet).await && two.add(&greenlet).await);
        assert_eq!((one.len(), two.len(), pool.available()), (1, 1, 0));
        go.set();
        ran.wait().await;
        // The later scope is left, and its slot taken by another member.
        assert!(two.discard(&greenlet));
        let other = pool.try_spawn(stuck(gate(), ())).unwrap();
        assert_eq!(pool.available(), 0);
        left.set();
        assert_eq!(greenlet.await.unwrap(), 33);
        other.kill_now();
    }

    async fn member_of_a_scope_with_reentry_wait_waits(hub) {
        let pool = Pool::builder().reentry(Reentry::Wait).pool_on(hub, 1);
        let scope = pool.scope();
        let inside = scope.clone();
        let member = scope.spawn(async move { inside.spawn(async {}).await.await }).await;
        while scope.waiting() == 0 {
            spinney::yield_now().await;
        }
        let_others_run().await;
        assert!(!member.is_ready());
        assert_eq!(scope.close().refused, 1);
        assert!(is_refused(&member.await.unwrap().unwrap_err()));
    }
}
