//! The promises of maps on their items: each is a greenlet of its own.

use std::sync::Arc;
use std::time::Duration;

use spinney::gevent::GroupExt as _;
use spinney::pool::{PoolBuilder, SpawnHook};
use spinney::sync::RLock;
use spinney::task::{Inherited, Owner, State, named, spawn_on};
use spinney::{Greenlet, Handle, Pool, Retry, greenlet_local, sleep, yield_now};
use spinney_tests::tools::{Count, Log, behind, blow_up, gate, let_others_run, polled, stuck};
use spinney_tests::{Dropped, SimHub, on_every_hub};

greenlet_local!(
    static USER: &'static str = "anonymous";
    static GUARD: Option<Arc<dyn Send + Sync>> = None;
);

/// The item, after it has yielded once.
async fn me(_: u32) -> Handle {
    let me = Handle::current().unwrap();
    yield_now().await;
    assert_eq!(Handle::current().unwrap(), me);
    me
}

fn hooked(hook: impl SpawnHook + 'static) -> PoolBuilder {
    Pool::builder().hook(hook)
}

on_every_hub! {
    async fn local_of_an_item_is_unseen_by_the_next(hub) {
        let first_is_alice = |n: u32| async move {
            if n == 0 { USER.set("alice"); }
            yield_now().await;
            USER.get()
        };
        let pool = Pool::on(hub, 1);
        let seen = pool.map(first_is_alice, 0..4).await.unwrap();
        assert_eq!(seen, ["alice", "anonymous", "anonymous", "anonymous"]);
    }

    async fn local_is_dropped_when_its_item_finishes(hub) {
        let (pool, dropped) = (Pool::on(hub, 1), Dropped::default());
        let count = dropped.clone();
        let keep = move |n: usize| {
            let (guard, count) = (count.guard(), count.clone());
            async move {
                GUARD.set(Some(Arc::new(std::sync::Mutex::new(guard))));
                assert_eq!(count.count(), n);
            }
        };
        let mut results = pool.imap(keep, 0..3);
        for n in 1..4 {
            results.next().await.unwrap().unwrap();
            assert!(dropped.count() >= n);
        }
        assert!(results.next().await.is_none());
        assert_eq!(dropped.count(), 3);
    }

    async fn each_item_has_an_id_and_the_caller_as_parent(hub) {
        let pool = Pool::on(hub, 2);
        let caller = spawn_on(hub, async move { pool.map(me, 0..5).await.unwrap() });
        let id = caller.id();
        let items = caller.await.unwrap();
        for (n, item) in items.iter().enumerate() {
            assert_eq!((item.parent(), item.state()), (Some(id), State::Successful));
            assert!(items[..n].iter().all(|other| other.id() != item.id()));
        }
    }

    async fn items_inherit_the_locals_of_the_caller_on_request(hub) {
        let pool = Pool::on(hub, 1);
        let member = async move {
            USER.set("alice");
            let user = |n: u32| async move { if n == 0 { USER.set("bob"); } USER.get() };
            pool.mapper().inherit_locals().map(user, 0..3).await.unwrap()
        };
        assert_eq!(spawn_on(hub, member).await.unwrap(), ["bob", "alice", "alice"]);
    }

    async fn kill_of_a_finished_item_affects_no_other(hub) {
        let (pool, first) = (Pool::on(hub, 1), Log::default());
        let items = first.clone();
        let kill_the_one_before = move |n: usize| {
            let items = items.clone();
            async move {
                for before in items.take() { Handle::kill_now(&before); }
                items.add(Handle::current().unwrap());
                yield_now().await;
                n
            }
        };
        assert_eq!(pool.map(kill_the_one_before, 0..5).await.unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(first.take().len(), 1);
    }

    async fn kill_of_an_item_ends_that_item_alone(hub) {
        let (pool, started) = (Pool::on(hub, 1), gate());
        let start = Arc::clone(&started);
        let second_waits = move |n: u32| {
            let stuck = stuck(Arc::clone(&start), ());
            async move { if n == 1 { stuck.await; } n }
        };
        let mut results = pool.imap(second_waits, 0..3);
        started.wait().await;
        let members = pool.members();
        assert_eq!(members.len(), 1);
        assert!(pool.killone(&members[0]).await);
        assert!(members[0].failure().unwrap().is_killed() && !pool.contains(&members[0]));
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        let error = results.next().await.unwrap().unwrap_err();
        assert_eq!((error.index(), error.killed().is_some()), (1, true));
        assert_eq!(results.next().await.unwrap().unwrap(), 2);
        assert!(results.next().await.is_none());
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn link_of_an_item_is_called_when_the_item_ends(hub) {
        let (pool, log) = (Pool::on(hub, 1), Log::default());
        let steps = log.clone();
        let linked = move |n: u32| {
            let (link, steps) = (steps.clone(), steps.clone());
            async move {
                Handle::current().unwrap().link(move |_| link.add(("ended", n)));
                yield_now().await;
                steps.add(("ran", n));
            }
        };
        pool.map(linked, 0..3).await.unwrap();
        let in_turn = (0..3).flat_map(|n| [("ran", n), ("ended", n)]);
        assert!(log.take().into_iter().eq(in_turn));
    }

    async fn hook_starts_once_for_each_item(hub) {
        struct Starts(Log<u64>);
        impl SpawnHook for Starts {
            fn started(&self, greenlet: &Handle) {
                USER.set("the hook's");
                self.0.add(greenlet.id());
            }
        }
        let log = Log::default();
        let pool = hooked(Starts(log.clone())).pool_on(hub, 1);
        let ids = |n| async move { (me(n).await.id(), USER.get()) };
        let seen = pool.map(ids, 0..4).await.unwrap();
        assert!(seen.iter().all(|(_, user)| *user == "the hook's"));
        assert!(log.take().into_iter().eq(seen.into_iter().map(|(id, _)| id)));
    }

    async fn hook_that_panics_wraps_the_next_try_as_well(hub) {
        struct Panics(Count);
        impl SpawnHook for Panics {
            fn running(&self, _: &Handle, run: &mut dyn FnMut()) {
                run();
                self.0.add();
                if self.0.get() == 1 {
                    blow_up("a hook");
                }
            }
        }
        let polls = Count::to(2);
        let pool = hooked(Panics(polls.clone())).pool_on(hub, 1);
        let retries = pool.mapper().retry(Retry::times(1).delays([Duration::ZERO]));
        let tried = retries.try_map(|n: u32| async move { Ok::<_, ()>(n) }, [7]).await;
        assert_eq!(tried.unwrap(), [7]);
        polls.reached().await;
    }

    async fn lock_of_an_item_excludes_the_next(hub) {
        let (pool, lock) = (Pool::on(hub, 1), Arc::new(RLock::new()));
        let shared = Arc::clone(&lock);
        let keep = move |n: u32| {
            let lock = Arc::clone(&shared);
            async move {
                let held = lock.try_acquire(Owner::current());
                let is_first = held.is_some();
                std::mem::forget(held);
                assert_eq!(is_first, n == 0);
            }
        };
        pool.map(keep, 0..3).await.unwrap();
        assert!(lock.is_locked());
    }

    async fn name_of_an_item_is_unseen_by_the_next(hub) {
        let pool = Pool::on(hub, 1);
        let name = |n: u32| {
            let named = named(format!("item {n}"), async { Handle::current().unwrap().name() });
            let plain = async { Handle::current().unwrap().name() };
            async move { if n == 1 { named.await } else { plain.await } }
        };
        let names = pool.map(name, 0..3).await.unwrap();
        let names: Vec<_> = names.iter().map(Option::as_deref).collect();
        assert_eq!(names, [None, Some("item 1"), None]);
    }

    async fn discarded_item_finishes_and_its_map_goes_on(hub) {
        let (pool, waits, open) = (Pool::on(hub, 1), gate(), gate());
        let (queued, opened) = (Arc::clone(&waits), Arc::clone(&open));
        let map = move |n: u32| {
            let wait = polled(Arc::clone(&queued), behind(Arc::clone(&opened), ()));
            async move { if n == 0 { wait.await; } n }
        };
        let mut results = pool.imap_unordered(map, 0..3);
        waits.wait().await;
        let item = pool.members().remove(0);
        assert!(pool.discard(&item));
        // Its slot is free for the others.
        assert_eq!(results.next().await.unwrap().unwrap(), 1);
        assert_eq!(results.next().await.unwrap().unwrap(), 2);
        open.set();
        assert_eq!(results.next().await.unwrap().unwrap(), 0);
        assert!(results.next().await.is_none() && item.is_successful());
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn item_that_discards_itself_maps_over_its_pool(hub) {
        let pool = Pool::on(hub, 1);
        let inside = pool.clone();
        let leave = move |n: u32| {
            let pool = inside.clone();
            async move {
                assert!(pool.discard(&Handle::current().unwrap()));
                pool.map(move |m: u32| async move { m + n }, 0..3).await.unwrap()
            }
        };
        let lists = pool.map(leave, [10, 20]).await.unwrap();
        assert_eq!(lists, [[10, 11, 12], [20, 21, 22]]);
        pool.wait_idle().await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn input_runs_in_no_item(hub) {
        let (pool, log) = (Pool::on(hub, 1), Log::default());
        let seen = log.clone();
        let items = (0..3).inspect(move |_| seen.add(USER.get()));
        let set = |_| async { USER.set("alice"); };
        let map = pool.map(set, items);
        map.await.unwrap();
        assert_eq!(log.take(), ["anonymous"; 3]);
    }
}

#[test]
fn unasked_item_shares_nothing() {
    let sim = SimHub::new();
    let pool = Pool::on(&sim, 1);
    sim.block_on(async {
        let ask = |n: u32| async move {
            sleep(Duration::from_millis(1)).await;
            if n % 2 == 0 { Handle::current().map(|me| me.id()) } else { None }
        };
        let ids = pool.map(ask, 0..6).await.unwrap();
        let ids: Vec<u64> = ids.into_iter().flatten().collect();
        assert!(ids.len() == 3 && ids.is_sorted_by(|one, next| one < next));
    });
}

#[test]
fn item_is_a_member_while_it_runs() {
    SimHub::check(0..50, |sim| {
        let pool = Pool::on(sim, 2);
        sim.block_on(async {
            let inside = pool.clone();
            let is_member = move |n: u32| {
                let pool = inside.clone();
                async move {
                    let me = me(n).await;
                    assert!(pool.contains(&me) && pool.members().contains(&me));
                    me
                }
            };
            let mut results = pool.imap(is_member, 0..10);
            while let Some(item) = results.next().await {
                assert!(!pool.contains(&item.unwrap()));
            }
        });
    });
}

#[test]
fn captured_locals_outlive_their_greenlet() {
    let sim = SimHub::new();
    let inherited = sim.block_on(async {
        let owner: Greenlet<Inherited> = spawn_on(&sim, async {
            USER.set("alice");
            Inherited::capture()
        });
        owner.await.unwrap()
    });
    let user = async move {
        inherited.apply();
        USER.get()
    };
    assert_eq!(sim.block_on(spawn_on(&sim, user)).unwrap(), "alice");
    sim.block_on(let_others_run());
}
