//! Maps, and members that read maps of their own pool: every result comes once, and bodies never
//! exceed slots.

use std::cell::RefCell;
use std::rc::Rc;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use spinney::gevent::GroupExt as _;
use spinney::task::spawn_on;
use spinney::{Handle, Spawn, catch_exit, yield_now};
use spinney_sim::SimHub;

use super::{Bodies, Pool, Stop, assert_whole, at_any_time};
use crate::work;

/// Members that each read a map of `items` items of their own pool.
fn members_map(sim: &SimHub, pool: &Pool, members: usize, items: usize) {
    let (bodies, capacity) = (Bodies::default(), pool.capacity().unwrap());
    let members: Vec<_> = (0..members)
        .map(|_| {
            let (inside, inner) = (pool.clone(), bodies.clone());
            let item = move |n: usize| {
                let bodies = inner.clone();
                async move {
                    bodies.body(1).await;
                    n
                }
            };
            pool.apply_async(async move { inside.map(item, 0..items).await.unwrap() })
        })
        .collect();
    for member in members {
        assert!(sim.block_on(member).unwrap().into_iter().eq(0..items));
    }
    sim.run_until_idle();
    assert!(bodies.most() <= capacity, "{} bodies", bodies.most());
    assert_whole(pool, capacity);
}

/// The member of a pool of one slot that reads a map of it is stopped at any time.
fn reader_is_stopped(sim: &SimHub, stop: Stop) {
    let (pool, bodies) = (Pool::on(sim, 1), Bodies::default());
    let (inside, inner) = (pool.clone(), bodies.clone());
    let item = move |_: usize| {
        let bodies = inner.clone();
        async move { bodies.body(2).await }
    };
    let read = async move { inside.map(item, 0..2).await.map(drop).map_err(drop) };
    let member = pool.try_spawn(read).unwrap();
    let handle = member.handle().clone();
    at_any_time(sim, move || match stop {
        Stop::Abort => handle.abort(),
        _ => handle.kill_now(),
    });
    drop(sim.block_on(member));
    sim.run_until_idle();
    assert!(bodies.most() <= 1);
    assert_whole(&pool, 1);
}

/// A member reads its map `reads` times, drops each read, and spawns into its pool. The items that
/// it began finish once, in the slots that come.
fn reads_are_given_up(sim: &SimHub, reads: usize, detaches: bool) {
    let (pool, done) = (Pool::on(sim, 1), Rc::new(RefCell::new(Vec::new())));
    let (inside, finished) = (pool.clone(), Rc::clone(&done));
    let item = move |n: usize| {
        let finished = Rc::clone(&finished);
        async move {
            work(1).await;
            finished.borrow_mut().push(n);
        }
    };
    let member = async move {
        let mut results = inside.imap(item, 0..2);
        for _ in 0..reads {
            drop(poll_once(results.next()).await);
            yield_now().await;
        }
        inside.spawn(work(1)).await.await.unwrap();
        if detaches {
            results.detach();
        } else {
            assert_eq!(results.filter(Result::is_ok).count().await, 2);
        }
    };
    let member = pool.try_spawn(member).unwrap();
    sim.block_on(member).unwrap();
    sim.run_until_idle();
    assert_eq!(done.take(), [0, 1]);
    assert_whole(&pool, 1);
}

/// One item is killed at any time, through the handle of its entry.
fn one_item_is_killed(sim: &SimHub, inside: bool) {
    let pool = Pool::on(sim, 1);
    let maps = pool.clone();
    let read = async move {
        let results = maps.imap(
            |n: usize| async move {
                work(1).await;
                n
            },
            0..3,
        );
        results.collect::<Vec<_>>().await
    };
    let reader = if inside { pool.apply_async(read) } else { spawn_on(sim, read) };
    let (kills, own) = (pool.clone(), reader.handle().clone());
    let killed: Rc<RefCell<Option<Handle>>> = Rc::default();
    let victim = Rc::clone(&killed);
    at_any_time(sim, move || {
        let items = kills.members().into_iter().find(|item| *item != own);
        items.iter().for_each(Handle::kill_now);
        *victim.borrow_mut() = items;
    });
    let results = sim.block_on(reader).unwrap();
    sim.run_until_idle();
    assert_eq!(results.len(), 3);
    let failed = results.iter().filter(|result| result.is_err()).count();
    let was_killed = killed.take().is_some_and(|item| item.failure().is_some());
    assert_eq!(failed, usize::from(was_killed));
    assert_whole(&pool, 1);
}

/// The pool is closed at any time: a started map has all results.
fn started_map_goes_on(sim: &SimHub, inside: bool) {
    let pool = Pool::on(sim, 1);
    let maps = pool.clone();
    let read = async move {
        let map = maps.map(
            |n: usize| async move {
                work(1).await;
                n
            },
            0..3,
        );
        (!maps.is_closed()).then_some(map.await)
    };
    let reader = if inside { pool.try_spawn(read).unwrap() } else { spawn_on(sim, read) };
    let closes = pool.clone();
    at_any_time(sim, move || _ = closes.close());
    let results = sim.block_on(reader).unwrap();
    assert!(results.is_none_or(|results| results.unwrap() == [0, 1, 2]));
    sim.run_until_idle();
    assert_whole(&pool, 1);
}

/// The pool is closed and its members are killed at any time: its maps end.
fn killed_maps_end(sim: &SimHub) {
    let pool = Pool::on(sim, 1);
    let maps = pool.clone();
    let reader = spawn_on(sim, async move {
        let results = maps.imap(|_: usize| work(1), 0..);
        results.filter(Result::is_err).count().await
    });
    let ends = pool.clone();
    sim.spawn(async move {
        ends.close();
        ends.kill().await;
    });
    let failed = sim.block_on(reader).unwrap();
    assert!((1..=2).contains(&failed), "{failed} failed");
    sim.run_until_idle();
    assert_whole(&pool, 1);
}

/// The same for a map that a member reads, whose items clean up after a kill.
fn killed_maps_of_members_end(sim: &SimHub) {
    let pool = Pool::on(sim, 1);
    let maps = pool.clone();
    let item = |_: usize| async {
        drop(catch_exit(work(2)).await);
        work(2).await;
    };
    let read = async move { maps.imap(item, 0..2).filter(Result::is_err).count().await };
    let reader = pool.try_spawn(read).unwrap();
    let ends = pool.clone();
    at_any_time(sim, move || {
        ends.close();
        ends.kill_now();
    });
    drop(sim.block_on(reader));
    sim.run_until_idle();
    assert_whole(&pool, 1);
}

explore! {
    fn member_that_maps_over_its_pool_goes_on(sim, 3) {
        members_map(sim, &Pool::on(sim, 1), 1, 2);
    }

    fn two_members_that_map_over_a_pool_of_one_go_on(sim, 2) {
        members_map(sim, &Pool::on(sim, 1), 2, 2);
    }

    fn two_members_that_map_over_a_pool_of_two_go_on(sim, 2) {
        members_map(sim, &Pool::on(sim, 2), 2, 2);
    }

    fn killed_reader_leaves_no_slot_taken(sim, 2) {
        reader_is_stopped(sim, Stop::Kill);
    }

    fn aborted_reader_leaves_no_slot_taken(sim, 2) {
        reader_is_stopped(sim, Stop::Abort);
    }

    fn read_given_up_leaves_its_item_in_the_map(sim, 3) {
        reads_are_given_up(sim, 1, false);
    }

    fn reads_given_up_leave_their_items_in_the_map(sim, 3) {
        reads_are_given_up(sim, 2, false);
    }

    fn detached_map_finishes_the_item_of_a_read(sim, 3) {
        reads_are_given_up(sim, 2, true);
    }

    fn kill_hits_the_item_whose_handle_it_had(sim, 2) {
        one_item_is_killed(sim, false);
    }

    fn kill_hits_the_item_in_place_whose_handle_it_had(sim, 2) {
        one_item_is_killed(sim, true);
    }

    fn started_map_goes_on_after_a_close(sim, 2) {
        started_map_goes_on(sim, false);
    }

    fn started_map_of_a_member_goes_on_after_a_close(sim, 2) {
        started_map_goes_on(sim, true);
    }

    fn maps_end_when_a_closed_pool_is_killed(sim, 2) {
        killed_maps_end(sim);
    }

    fn map_of_a_member_ends_when_a_closed_pool_is_killed(sim, 2) {
        killed_maps_of_members_end(sim);
    }
}
