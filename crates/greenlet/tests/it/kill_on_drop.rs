//! `kill_on_drop`: a greenlet that is killed when its owner is dropped.

use std::future::pending;

use spinney_greenlet::{Greenlet, Handle, catch_exit, spawn_on};
use spinney_hub::{LocalHub, yield_now};

/// A greenlet that waits for ever once it has been polled, and its handle.
fn stuck(hub: &LocalHub) -> (Greenlet<()>, Handle) {
    let greenlet = spawn_on(hub, pending::<()>()).kill_on_drop();
    let handle = greenlet.handle().clone();
    (greenlet, handle)
}

#[test]
fn greenlet_with_kill_on_drop_is_killed_when_dropped() {
    let hub = LocalHub::new();
    for polled in [false, true] {
        let (greenlet, handle) = stuck(&hub);
        if polled {
            hub.block_on(yield_now());
        }
        drop(greenlet);
        hub.block_on(handle.join());
        assert!(handle.failure().unwrap().is_killed());
    }
}

#[test]
fn greenlet_with_kill_on_drop_is_killed_with_its_wait() {
    let hub = LocalHub::new();
    let (greenlet, handle) = stuck(&hub);
    let waits = spawn_on(&hub, greenlet);
    hub.block_on(async {
        yield_now().await;
        waits.kill().await;
        handle.join().await;
    });
    assert!(handle.failure().unwrap().is_killed());
}

#[test]
fn detach_cancels_kill_on_drop() {
    let hub = LocalHub::new();
    let (greenlet, handle) = stuck(&hub);
    hub.block_on(yield_now());
    greenlet.detach();
    hub.block_on(yield_now());
    assert!(!handle.is_ready() && handle.exit().is_none());
}

#[test]
fn kill_on_drop_after_the_end_is_a_no_op() {
    let hub = LocalHub::new();
    let greenlet = spawn_on(&hub, async { 42 }).kill_on_drop();
    let handle = greenlet.handle().clone();
    hub.block_on(greenlet.join());
    drop(greenlet);
    assert!(handle.is_successful());
    let awaited = spawn_on(&hub, async { 42 }).kill_on_drop();
    assert_eq!(hub.block_on(awaited).unwrap(), 42);
}

#[test]
fn try_get_of_a_living_greenlet_keeps_kill_on_drop() {
    let hub = LocalHub::new();
    let (greenlet, handle) = stuck(&hub);
    let greenlet = greenlet.try_get().unwrap_err();
    assert!(!handle.is_ready());
    drop(greenlet);
    assert!(handle.failure().unwrap().is_killed());
}

#[test]
fn kill_on_drop_may_be_caught() {
    let hub = LocalHub::new();
    let greenlet = spawn_on(&hub, catch_exit(pending::<()>())).kill_on_drop();
    let handle = greenlet.handle().clone();
    hub.block_on(yield_now());
    drop(greenlet);
    hub.block_on(handle.join());
    assert!(handle.is_successful());
}
