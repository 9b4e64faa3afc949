//! The cost of many scopes or links in one greenlet: each test has so many that it takes a second
//! or two, and would take minutes if each step visited all others.

use std::collections::VecDeque;
use std::future::pending;

use futures_lite::future::poll_once;
use spinney::task::{Iwait, spawn_on};
use spinney::{LocalHub, catch_exit, shield, yield_now};
use spinney_greenlet::pair;
use spinney_tests::tools::gate;

const MANY: usize = 100_000;

/// A greenlet with `MANY` futures of `open` side by side, which is killed; then each is closed.
fn killed_amid<F: Future + 'static>(open: fn() -> F) {
    let (hub, killed) = (LocalHub::new(), gate());
    hub.block_on(async {
        let goes_on = killed.clone();
        let greenlet = spawn_on(&hub, async move {
            let mut scopes = VecDeque::new();
            for _ in 0..MANY {
                let mut scope = Box::pin(open());
                assert!(poll_once(&mut scope).await.is_none());
                scopes.push_back(scope);
            }
            goes_on.wait().await;
            // The kill is not due before all are closed.
            while let Some(scope) = scopes.pop_front() {
                drop(scope);
            }
            pending::<()>().await;
        });
        yield_now().await;
        greenlet.kill_now();
        killed.set();
        assert!(greenlet.await.unwrap_err().is_killed());
    });
}

#[test]
fn many_shields_side_by_side_close_under_a_kill() {
    killed_amid(|| shield(pending::<()>()));
}

#[test]
fn many_catchers_side_by_side_close_under_a_kill() {
    killed_amid(|| catch_exit(pending::<()>()));
}

#[test]
fn many_finished_greenlets_are_removed_from_a_set() {
    LocalHub::new().block_on(async {
        let mut set = Iwait::new();
        let mut handles = Vec::new();
        for _ in 0..MANY {
            let (task, greenlet) = pair(async {}, ());
            task.await;
            handles.push(greenlet.handle().clone());
            set.push(greenlet);
        }
        for handle in handles.iter().rev() {
            assert!(set.remove(handle).is_some());
        }
        assert!(set.is_empty() && set.try_next().is_none());
    });
}

#[test]
fn many_joins_of_one_greenlet_are_dropped_in_any_order() {
    LocalHub::new().block_on(async {
        let (_task, greenlet) = pair(pending::<()>(), ());
        let mut joins = Vec::new();
        for _ in 0..3 * MANY {
            let mut join = greenlet.join();
            assert!(poll_once(&mut join).await.is_none());
            joins.push(join);
        }
        let mut random = 1_usize;
        while !joins.is_empty() {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            drop(joins.swap_remove((random >> 33) % joins.len()));
        }
    });
}
