//! Members that spawn into their own full pool: they go on, and bodies never exceed slots.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;

use futures_lite::future::{poll_once, zip};
use spinney::pool::Reentry;
use spinney::{Event, Handle, Queue, Spawn, yield_now};
use spinney_sim::SimHub;

use super::{Bodies, Pool, Stop, assert_whole, at_any_time, call, nest};
use crate::{LONG, work};

/// A pool of `capacity` slots whose members spawn `depth` deep, and finish.
fn members_nest(sim: &SimHub, pool: &Pool, members: usize, depth: usize) {
    let (bodies, capacity) = (Bodies::default(), pool.capacity().unwrap());
    for _ in 0..members {
        let inner = bodies.clone();
        call(sim, pool, |pool| async move {
            let leaf = Box::pin(async move { inner.body(2).await });
            assert_eq!(nest(pool, depth, leaf).await, depth);
        });
    }
    sim.run_until_idle();
    assert!(bodies.most() <= capacity);
    assert_eq!(pool.stats().succeeded, members * depth);
    assert_whole(pool, capacity);
}

/// A member of a full pool whose child takes an item that the member puts once it has the child's
/// greenlet: the child needs a slot, which another member frees.
fn fed_child(sim: &SimHub, pool: &Pool) {
    let other = pool.try_spawn(work(2)).unwrap();
    let food = Rc::new(Queue::bounded(1));
    call(sim, pool, |pool| async move {
        let inside = pool.clone();
        let member = pool.spawn(async move {
            let eats = Rc::clone(&food);
            let child = inside.spawn(async move { eats.get().await.unwrap() }).await;
            food.put(42).await.unwrap();
            child.await.unwrap()
        });
        assert_eq!(member.await.await.unwrap(), 42);
    });
    sim.run_until_idle();
    assert!(other.is_successful());
}

/// A member of `pool` is discarded, and `act` is called, at any time while it waits for its child.
fn discarded_parent_goes_on(sim: &SimHub, pool: &Pool, act: impl Fn(&Pool) + 'static) {
    let inside = pool.clone();
    let member = pool.try_spawn(async move { inside.spawn(work(3)).await.await }).unwrap();
    let (discards, acts, handle) = (pool.clone(), pool.clone(), member.handle().clone());
    at_any_time(sim, move || act(&acts));
    at_any_time(sim, move || _ = discards.discard(&handle));
    let result = sim.block_on(member).unwrap();
    assert!(result.is_ok() || pool.is_closed(), "{result:?}");
    sim.run_until_idle();
    assert_whole(pool, 1);
}

/// The child of a discarded member is stopped at any time, and no slot comes.
fn resting_child_ends(sim: &SimHub, stop: Stop) {
    let (pool, child) = (Pool::on(sim, 1), Rc::new(Event::new()));
    let (inside, begins) = (pool.clone(), Rc::clone(&child));
    let member = pool
        .try_spawn(async move {
            let greenlet = inside
                .spawn(async move {
                    begins.set();
                    std::future::pending::<()>().await;
                })
                .await;
            assert!(greenlet.is_ready());
        })
        .unwrap();
    pool.resize(0);
    let (discards, handle, begun) = (pool.clone(), member.handle().clone(), Rc::clone(&child));
    sim.spawn(async move {
        begun.wait().await;
        discards.discard(&handle);
    });
    let (stops, own) = (pool.clone(), member.handle().clone());
    sim.spawn(async move {
        child.wait().await;
        let child = stops.members().into_iter().find(|greenlet| *greenlet != own).unwrap();
        match stop {
            Stop::Abort => child.abort(),
            _ => child.kill_now(),
        }
        child.join().await;
    });
    sim.run_until_idle();
    assert!(member.is_successful());
    pool.resize(1);
    assert_whole(&pool, 1);
}

/// Members that spawn one another in place, and their actions.
#[derive(Clone)]
struct Chain {
    pool: Pool,
    bodies: Bodies,
    members: Rc<RefCell<Vec<Handle>>>,
    /// Set when the innermost runs.
    is_deep: Rc<Event>,
}

impl Chain {
    /// Spawns `left` deep. The innermost runs a body, and so does the outermost once its child has
    /// a slot.
    fn go(self, left: usize) -> Pin<Box<dyn Future<Output = ()>>> {
        Box::pin(async move {
            let level = self.members.borrow().len();
            self.members.borrow_mut().push(Handle::current().unwrap());
            if left == 0 {
                self.is_deep.set();
                return self.bodies.body(LONG).await;
            }
            if level == 1 {
                // Another caller enters the queue before the next child.
                yield_now().await;
            }
            let child = self.pool.spawn(self.clone().go(left - 1)).await;
            if level == 0 && !child.is_ready() {
                self.bodies.body(LONG).await;
            }
            child.await.unwrap();
        })
    }
}

/// The member at `depth` of a chain that is too deep to be in place is discarded at any time, while
/// slots come for others.
fn deep_member_is_discarded(sim: &SimHub, depth: usize) {
    let (pool, bodies) = (Pool::on(sim, 1), Bodies::default());
    let (members, is_deep) = (Rc::default(), Rc::new(Event::new()));
    let chain = Chain { pool: pool.clone(), bodies: bodies.clone(), members, is_deep };
    let member = pool.try_spawn(chain.clone().go(260)).unwrap();
    let own = bodies.clone();
    call(sim, &pool, |pool| async move {
        pool.apply(async move { own.body(LONG).await }).await.unwrap();
    });
    let (resizes, deep) = (pool.clone(), Rc::clone(&chain.is_deep));
    sim.spawn(async move {
        deep.wait().await;
        resizes.resize(2);
        yield_now().await;
        let middle = chain.members.borrow()[depth].clone();
        resizes.discard(&middle);
    });
    sim.run_until_idle();
    assert!(bodies.most() <= 2, "{} bodies in two slots", bodies.most());
    // The child of a discarded member needs a slot, behind the members above it.
    pool.resize(300);
    sim.run_until_idle();
    assert!(member.is_successful());
    assert_whole(&pool, 300);
}

explore! {
    fn nested_spawns_end_in_a_pool_of_one(sim, 4) {
        members_nest(sim, &Pool::on(sim, 1), 2, 3);
    }

    fn nested_spawns_end_in_a_pool_of_two(sim, 3) {
        members_nest(sim, &Pool::on(sim, 2), 3, 3);
    }

    fn nested_spawns_end_among_resizes(sim, 4) {
        let pool = Pool::on(sim, 1);
        call(sim, &pool, |pool| async move {
            pool.resize(0);
            yield_now().await;
            pool.resize(2);
            yield_now().await;
            pool.resize(1);
        });
        let done = Rc::new(Cell::new(0));
        for _ in 0..2 {
            let done = Rc::clone(&done);
            call(sim, &pool, |pool| async move {
                let leaf = Box::pin(work(1));
                let depth = nest(pool, 2, leaf).await;
                done.set(done.get() + depth);
            });
        }
        sim.run_until_idle();
        assert_eq!(done.get(), 4);
        assert_whole(&pool, 1);
    }

    fn nested_spawns_end_inline(sim, 4) {
        members_nest(sim, &spinney::Pool::builder().reentry(Reentry::Inline).pool_on(sim, 1), 2, 3);
    }

    fn inline_child_never_leaves_its_parent(sim, 6) {
        let pool = spinney::Pool::builder().reentry(Reentry::Inline).pool_on(sim, 2);
        call(sim, &pool, |pool| async move { pool.apply(work(1)).await });
        call(sim, &pool, |pool| async move {
            let inside = pool.clone();
            let member = pool.spawn(async move {
                let was_full = inside.is_full();
                let child = inside.spawn(work(2)).await;
                assert!(child.is_ready() || !was_full);
                child.await.unwrap();
            });
            member.await.await.unwrap();
        });
        sim.run_until_idle();
        assert_whole(&pool, 2);
    }

    fn member_that_waits_by_choice_gets_the_next_slot(sim, 6) {
        let pool = spinney::Pool::builder().reentry(Reentry::Wait).pool_on(sim, 2);
        let (bodies, started) = (Bodies::default(), Rc::new(Cell::new(false)));
        call(sim, &pool, |pool| async move { pool.apply(work(2)).await });
        let (inner, begins) = (bodies.clone(), Rc::clone(&started));
        call(sim, &pool, |pool| async move {
            let inside = pool.clone();
            let member = pool.spawn(async move {
                let child = inside.spawn(async move {
                    begins.set(true);
                    inner.body(1).await;
                }).await;
                assert_eq!(inside.members().len(), inside.len(), "a member has no slot");
                child.await.unwrap();
            });
            member.await.await.unwrap();
        });
        sim.run_until_idle();
        assert!(started.get());
        assert_whole(&pool, 2);
    }

    fn child_is_fed_by_its_parent_once_it_has_a_slot(sim, 6) {
        let pool = Pool::on(sim, 2);
        fed_child(sim, &pool);
        assert_whole(&pool, 2);
    }

    fn child_moves_to_a_slot_of_a_resize(sim, 6) {
        let pool = Pool::on(sim, 1);
        let resizes = pool.clone();
        at_any_time(sim, move || resizes.resize(2));
        fed_child(sim, &pool);
        assert_whole(&pool, 2);
    }

    fn child_in_place_stands_in_the_queue_meanwhile(sim, 6) {
        let (pool, seated) = (Pool::on(sim, 2), Rc::new(Cell::new(false)));
        let queued = Rc::new(Event::new());
        let leaves = Rc::clone(&queued);
        let other = pool.try_spawn(async move { leaves.wait().await }).unwrap();
        let (inside, begins, seats) = (pool.clone(), Rc::clone(&queued), Rc::clone(&seated));
        let member = pool.try_spawn(async move {
            let fed = Rc::new(Event::new());
            let eats = Rc::clone(&fed);
            let child = inside.spawn(async move {
                begins.set();
                eats.wait().await;
            }).await;
            seats.set(true);
            fed.set();
            child.await.unwrap();
        }).unwrap();
        call(sim, &pool, |pool| async move {
            queued.wait().await;
            // Behind the child, which gets its slot before.
            pool.apply(async move { assert!(seated.get()) }).await.unwrap();
        });
        sim.run_until_idle();
        assert!(member.is_successful() && other.is_successful());
        assert_whole(&pool, 2);
    }

    fn two_waits_of_one_member_take_turns(sim, 5) {
        let (pool, bodies) = (Pool::on(sim, 1), Bodies::default());
        for _ in 0..2 {
            let bodies = bodies.clone();
            call(sim, &pool, |pool| async move {
                let inside = pool.clone();
                let member = pool.spawn(async move {
                    let body = |turns| {
                        let bodies = bodies.clone();
                        async move { bodies.body(turns).await }
                    };
                    let both = zip(inside.spawn(body(1)), inside.spawn(body(2)));
                    let (one, two) = both.await;
                    zip(one, two).await
                });
                let (one, two) = member.await.await.unwrap();
                assert!(one.is_ok() && two.is_ok());
            });
        }
        sim.run_until_idle();
        assert_eq!(bodies.most(), 1);
        assert_whole(&pool, 1);
    }

    /// A dropped wait, in its turn or before, leaves the next one its turn.
    fn dropped_wait_passes_its_turn_on(sim, 5) {
        let (pool, bodies) = (Pool::on(sim, 1), Bodies::default());
        let cancel = crate::Cancel::at_any_time(sim);
        let (inside, inner) = (pool.clone(), bodies.clone());
        let member = pool.try_spawn(async move {
            let spawn = |turns| {
                let bodies = inner.clone();
                inside.spawn(async move { bodies.body(turns).await })
            };
            let (first, (second, third)) =
                zip(cancel.or(spawn(3)), zip(spawn(1), cancel.or(spawn(1)))).await;
            second.await.unwrap();
            assert!(first.is_none_or(|child| child.is_ready()));
            assert!(third.is_none_or(|child| child.is_ready()));
        }).unwrap();
        sim.run_until_idle();
        assert!(member.is_successful());
        assert_eq!(bodies.most(), 1);
        assert_whole(&pool, 1);
    }

    /// The member drops its wait, and spawns again.
    fn wait_dropped_at_any_time_leaves_the_pool_whole(sim, 4) {
        let (pool, bodies) = (Pool::on(sim, 2), Bodies::default());
        let cancel = crate::Cancel::at_any_time(sim);
        for _ in 0..2 {
            let (cancel, bodies) = (cancel.clone(), bodies.clone());
            call(sim, &pool, |pool| async move {
                let inside = pool.clone();
                let member = pool.spawn(async move {
                    let (first, second) = (bodies.clone(), bodies);
                    let spawn = inside.spawn(async move { first.body(2).await });
                    if let Some(child) = cancel.or(spawn).await {
                        child.await.unwrap();
                    }
                    inside.spawn(async move { second.body(1).await }).await.await.unwrap();
                });
                member.await.await.unwrap();
            });
        }
        sim.run_until_idle();
        assert!(bodies.most() <= 2);
        assert_whole(&pool, 2);
    }

    fn apply_dropped_in_place_ends_its_task(sim, 5) {
        let (pool, ended) = (Pool::on(sim, 1), Rc::new(Cell::new(false)));
        let cancel = crate::Cancel::at_any_time(sim);
        let (inside, ends) = (pool.clone(), Rc::clone(&ended));
        let member = pool.try_spawn(async move {
            let applied = inside.apply(async move {
                work(2).await;
                ends.set(true);
            });
            cancel.or(applied).await.is_some()
        }).unwrap();
        call(sim, &pool, |pool| async move { pool.apply(work(1)).await.unwrap() });
        assert_eq!(sim.block_on(member).unwrap(), ended.get());
        sim.run_until_idle();
        assert_whole(&pool, 1);
    }

    /// The member polls a spawn once, and moves it to a non-member, which waits for a slot: the
    /// child goes on in the member's slot, or in one that comes.
    fn wait_that_changes_hands_waits_for_a_slot(sim, 5) {
        let (pool, bodies) = (Pool::on(sim, 1), Bodies::default());
        let hands = Rc::new(Queue::bounded(1));
        let (inside, gives, inner) = (pool.clone(), Rc::clone(&hands), bodies.clone());
        let member = pool.try_spawn(async move {
            let mut spawn = Box::pin(async move {
                let child = inside.spawn(async move { inner.body(2).await });
                child.await.await.unwrap();
            });
            if poll_once(&mut spawn).await.is_none() {
                gives.put(spawn).await.unwrap();
            }
            yield_now().await;
        }).unwrap();
        sim.spawn(async move { hands.get().await.unwrap().await });
        let other = bodies.clone();
        call(sim, &pool, |pool| async move {
            pool.apply(async move { other.body(1).await }).await.unwrap();
        });
        sim.run_until_idle();
        assert!(member.is_successful());
        assert_eq!(pool.stats().succeeded, 3);
        assert_whole(&pool, 1);
    }

    /// The non-member waits for a slot, and does not keep the member's turn meanwhile.
    fn wait_that_changes_hands_gives_its_turn_up(sim, 5) {
        let (pool, hands) = (Pool::on(sim, 1), Rc::new(Queue::bounded(1)));
        let (inside, gives) = (pool.clone(), Rc::clone(&hands));
        let member = pool.try_spawn(async move {
            let own = inside.clone();
            let mut spawn = Box::pin(async move { own.spawn(work(2)).await.await.unwrap() });
            assert!(poll_once(&mut spawn).await.is_none());
            gives.put(spawn).await.unwrap();
            inside.spawn(work(1)).await.await.unwrap();
        }).unwrap();
        sim.spawn(async move { hands.get().await.unwrap().await });
        sim.run_until_idle();
        assert!(member.is_successful());
        assert_whole(&pool, 1);
    }

    /// No slot would ever come for the child: it goes on with its parent.
    fn member_of_a_closed_pool_discarded_meanwhile_goes_on(sim, 8) {
        discarded_parent_goes_on(sim, &Pool::on(sim, 1), |pool| _ = pool.close());
    }

    fn inline_member_discarded_meanwhile_goes_on(sim, 8) {
        let pool = spinney::Pool::builder().reentry(Reentry::Inline).pool_on(sim, 1);
        discarded_parent_goes_on(sim, &pool, |_| {});
    }

    /// The child is parked, and defers the kill of neither.
    fn member_is_killed_while_a_stranger_has_its_wait(sim, 5) {
        let (pool, hands) = (Pool::on(sim, 1), Rc::new(Queue::bounded(1)));
        let (inside, gives) = (pool.clone(), Rc::clone(&hands));
        let member = pool.try_spawn(async move {
            let mut spawn = Box::pin(async move { inside.spawn(work(2)).await.await.unwrap() });
            assert!(poll_once(&mut spawn).await.is_none());
            gives.put(spawn).await.unwrap();
            std::future::pending::<()>().await;
        }).unwrap();
        let kills = member.handle().clone();
        sim.spawn(async move {
            if let Ok(wait) = hands.get().await {
                kills.kill_now();
                wait.await;
            }
        });
        sim.run_until_idle();
        assert!(member.is_ready());
        assert_whole(&pool, 1);
    }

    fn discarded_member_is_killed_while_its_child_rests(sim, 8) {
        let pool = Pool::on(sim, 1);
        let inside = pool.clone();
        let member = pool.try_spawn(async move { inside.apply(work(2)).await }).unwrap();
        pool.resize(0);
        let (discards, handle) = (pool.clone(), member.handle().clone());
        at_any_time(sim, move || _ = discards.discard(&handle));
        Stop::Kill.later(sim, member.handle());
        sim.run_until_idle();
        assert!(member.is_ready());
        pool.resize(1);
        assert_whole(&pool, 1);
    }

    fn resting_child_is_killed_at_any_time(sim, 6) {
        resting_child_ends(sim, Stop::Kill);
    }

    fn resting_child_is_aborted_at_any_time(sim, 6) {
        resting_child_ends(sim, Stop::Abort);
    }

    /// The slots are the member's, and the child's after the member goes on; the members beyond the
    /// depth share one or the other.
    fn member_amid_a_deep_chain_is_discarded_at_any_time(sim, 1) {
        for depth in [1, 129] {
            deep_member_is_discarded(sim, depth);
        }
    }

    /// A caller is before it in the queue, and gets the slot that the member freed.
    fn child_of_a_member_that_it_discards_waits_for_a_slot(sim, 4) {
        let (pool, done) = (Pool::on(sim, 1), Rc::new(Cell::new(false)));
        let (inside, was_first) = (pool.clone(), Rc::clone(&done));
        let member = pool.try_spawn(async move {
            while inside.waiting() == 0 {
                yield_now().await;
            }
            let (parent, own) = (Handle::current().unwrap(), inside.clone());
            let child = inside.spawn(async move {
                assert!(own.discard(&parent));
                own.apply(async move { assert!(was_first.get()) }).await.unwrap();
            });
            child.await.await.unwrap();
        }).unwrap();
        call(sim, &pool, |pool| async move {
            let first = async move {
                work(2).await;
                done.set(true);
            };
            pool.apply(first).await.unwrap();
        });
        sim.run_until_idle();
        assert!(member.is_successful());
        assert_whole(&pool, 1);
    }

    /// It is a non-member from then on: its child is parked until a slot comes.
    fn member_discarded_meanwhile_waits_for_a_slot(sim, 5) {
        let (pool, turns) = (Pool::on(sim, 1), Rc::new(Cell::new(0)));
        let (inside, takes_turns) = (pool.clone(), Rc::clone(&turns));
        let member = pool.try_spawn(async move {
            let child = inside.spawn(async move {
                for _ in 0..3 {
                    yield_now().await;
                    takes_turns.set(takes_turns.get() + 1);
                }
            });
            child.await.await.unwrap();
        }).unwrap();
        let (discards, handle) = (pool.clone(), member.handle().clone());
        at_any_time(sim, move || {
            discards.discard(&handle);
            assert!(!discards.contains(&handle));
        });
        call(sim, &pool, |pool| async move {
            let alone = async move {
                let before = turns.get();
                work(4).await;
                assert_eq!(turns.get(), before, "a child ran without a slot");
            };
            pool.apply(alone).await.unwrap();
        });
        sim.run_until_idle();
        assert!(member.is_successful());
        assert_whole(&pool, 1);
    }

    fn discarded_child_goes_on_and_takes_no_slot(sim, 5) {
        let (pool, done) = (Pool::on(sim, 1), Rc::new(Cell::new(false)));
        let (inside, does) = (pool.clone(), Rc::clone(&done));
        let member = pool.try_spawn(async move {
            let child = inside.spawn(async move {
                work(3).await;
                does.set(true);
            });
            child.await.await.unwrap();
        }).unwrap();
        let discards = pool.clone();
        let own = member.handle().clone();
        at_any_time(sim, move || {
            let child = discards.members().into_iter().find(|greenlet| *greenlet != own);
            assert!(child.is_none_or(|child| discards.discard(&child)));
        });
        call(sim, &pool, |pool| async move { pool.apply(work(1)).await.unwrap() });
        sim.run_until_idle();
        assert!(member.is_successful() && done.get());
        assert_whole(&pool, 1);
    }

    fn scopes_and_their_pool_run_children_in_place(sim, 4) {
        let pool = Pool::on(sim, 1);
        let (one, two) = (pool.scope(), pool.scope());
        let done = Rc::new(Cell::new(0));
        for (outer, inner) in [(&one, &pool), (&two, &one), (&pool, &two)] {
            let (inner, done) = (inner.clone(), Rc::clone(&done));
            call(sim, outer, |outer| async move {
                let member = outer.spawn(async move { inner.apply(work(1)).await.unwrap() });
                member.await.await.unwrap();
                done.set(done.get() + 1);
            });
        }
        sim.run_until_idle();
        assert_eq!(done.get(), 3);
        for pool in [&one, &two, &pool] {
            assert_whole(pool, 1);
        }
    }

    fn scope_closed_meanwhile_spares_the_child_in_place(sim, 4) {
        let pool = Pool::on(sim, 1);
        let scope = pool.scope();
        let (inside, ended) = (scope.clone(), Rc::new(Cell::new(false)));
        let ends = Rc::clone(&ended);
        let member = pool.try_spawn(async move {
            let was_closed = inside.is_closed();
            let child = inside.spawn(async move {
                work(2).await;
                ends.set(true);
            }).await;
            let result = child.await;
            assert!(result.is_ok() != was_closed, "{result:?}");
        }).unwrap();
        let closes = scope.clone();
        at_any_time(sim, move || _ = closes.close());
        call(sim, &pool, |pool| async move { pool.apply(work(1)).await.unwrap() });
        sim.run_until_idle();
        assert!(member.is_successful());
        assert_eq!(scope.stats().succeeded, usize::from(ended.get()));
        assert_whole(&scope, 1);
        assert_whole(&pool, 1);
    }

    fn member_of_two_pools_runs_in_place_in_both(sim, 5) {
        let (one, two) = (Pool::on(sim, 1), Pool::on(sim, 1));
        let (first, second, third, other) = (one.clone(), two.clone(), one.clone(), two.clone());
        let member = one.try_spawn(async move {
            assert!(other.add(&Handle::current().unwrap()).await);
            let innermost = async move { third.apply(work(1)).await.unwrap() };
            let inner = async move { second.apply(innermost).await.unwrap() };
            first.apply(inner).await.unwrap();
        }).unwrap();
        for pool in [&one, &two] {
            call(sim, pool, |pool| async move { pool.apply(work(1)).await.unwrap() });
        }
        sim.run_until_idle();
        assert!(member.is_successful());
        assert_whole(&one, 1);
        assert_whole(&two, 1);
    }

    fn map_of_a_member_ends_in_a_pool_of_one(sim, 4) {
        let pool = Pool::on(sim, 1);
        for n in 1..3 {
            call(sim, &pool, |pool| async move {
                let inside = pool.clone();
                let member = pool.spawn(async move {
                    let double = |n| async move {
                        yield_now().await;
                        2 * n
                    };
                    inside.map(double, 0..n).await.unwrap()
                });
                let doubled = member.await.await.unwrap();
                assert!(doubled.into_iter().eq((0..n).map(|n| 2 * n)));
            });
        }
        sim.run_until_idle();
        assert_whole(&pool, 1);
    }

    fn stream_of_a_member_dropped_at_any_time_frees_its_slots(sim, 3) {
        let pool = Pool::on(sim, 2);
        let cancel = crate::Cancel::at_any_time(sim);
        let inside = pool.clone();
        let member = pool.try_spawn(async move {
            let mut items = inside.imap(|n| async move { inside_item(n).await }, 0..3);
            let mut read = 0;
            while let Some(Some(item)) = cancel.or(items.next()).await {
                assert_eq!(item.unwrap(), read);
                read += 1;
            }
        }).unwrap();
        call(sim, &pool, |pool| async move { pool.apply(work(1)).await.unwrap() });
        sim.run_until_idle();
        assert!(member.is_successful());
        assert_whole(&pool, 2);
    }

    fn stranger_is_stopped_while_members_nest(sim, 3) {
        let pool = Pool::on(sim, 1);
        let inside = pool.clone();
        let stopped = Stop::Drop.at_any_time(sim, async move { inside.apply(work(1)).await });
        members_nest_beside(sim, &pool);
        assert!(stopped.is_ready());
        assert_whole(&pool, 1);
    }
}

async fn inside_item(n: usize) -> usize {
    yield_now().await;
    n
}

fn members_nest_beside(sim: &SimHub, pool: &Pool) {
    for _ in 0..2 {
        call(sim, pool, |pool| async move {
            assert_eq!(nest(pool, 2, Box::pin(work(1))).await, 2);
        });
    }
    sim.run_until_idle();
}
