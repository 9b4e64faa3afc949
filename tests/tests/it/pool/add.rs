//! The promises to greenlets that join a group or a pool after they were created, and leave it
//! before they finish.

use std::sync::Arc;

use futures_lite::future::poll_once;
use spinney::task::spawn_on;
use spinney::{Greenlet, Group, Handle, Pool};
use spinney_tests::on_every_hub;
use spinney_tests::tools::{behind, blow_up, gate, let_others_run, stuck};

on_every_hub! {
    async fn added_greenlet_is_a_member_until_it_finishes(hub) {
        let (group, open) = (Group::on(hub), gate());
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), 42));
        assert!(group.add(&greenlet));
        assert!(group.contains(&greenlet) && group.len() == 1);
        let mut join = Box::pin(group.join());
        assert!(poll_once(&mut join).await.is_none());
        open.set();
        join.await.unwrap();
        assert!(!group.contains(&greenlet) && group.is_empty());
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn added_greenlet_has_left_before_its_waiter_is_woken(hub) {
        let pool = Pool::on(hub, 1);
        for _ in 0..100 {
            let open = gate();
            let greenlet = spawn_on(hub, behind(Arc::clone(&open), ()));
            assert!(pool.add(&greenlet).await);
            assert_eq!((pool.len(), pool.available()), (1, 0));
            open.set();
            let handle = greenlet.handle().clone();
            greenlet.await.unwrap();
            assert!(!pool.contains(&handle));
            assert_eq!((pool.len(), pool.available()), (0, 1));
        }
    }

    async fn added_greenlet_is_killed_with_the_others(hub) {
        let group = Group::on(hub);
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        assert!(group.add(&greenlet));
        group.kill().await;
        assert!(greenlet.await.unwrap_err().is_killed());
    }

    async fn added_greenlet_is_inside_the_pool(hub) {
        let (group, open) = (Group::on(hub), gate());
        let (inside, opened) = (group.clone(), Arc::clone(&open));
        let greenlet = spawn_on(hub, async move {
            opened.wait().await;
            (inside.is_inside(), inside.join().await.is_err())
        });
        assert!(group.add(&greenlet));
        open.set();
        assert_eq!(greenlet.await.unwrap(), (true, true));
    }

    async fn greenlet_added_twice_takes_one_slot(hub) {
        let (pool, open) = (Pool::on(hub, 3), gate());
        let greenlet = spawn_on(hub, behind(Arc::clone(&open), ()));
        assert!(pool.add(&greenlet).await);
        assert!(!pool.add(&greenlet).await);
        assert!(!pool.try_add(&greenlet).unwrap());
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        assert!(!pool.add(&member).await);
        assert_eq!((pool.len(), pool.members().len()), (2, 2));
        open.set();
        pool.join().await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 3));
    }

    async fn greenlet_added_twice_concurrently_takes_one_slot(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        let (mut one, mut two) = (Box::pin(pool.add(&greenlet)), Box::pin(pool.add(&greenlet)));
        assert!(poll_once(&mut one).await.is_none());
        assert!(poll_once(&mut two).await.is_none());
        pool.resize(2);
        open.set();
        member.await.unwrap();
        assert_eq!((one.await, two.await), (true, false));
        assert_eq!((pool.len(), pool.available()), (1, 1));
        greenlet.kill().await;
        assert_eq!((pool.len(), pool.available()), (0, 2));
    }

    async fn finished_greenlet_is_not_added(hub) {
        let (pool, group) = (Pool::on(hub, 1), Group::on(hub));
        let greenlet = spawn_on(hub, async { blow_up("before") });
        greenlet.join().await;
        assert!(!pool.add(&greenlet).await && !pool.try_add(&greenlet).unwrap());
        assert!(!group.add(&greenlet));
        assert_eq!((pool.len(), pool.available(), group.len()), (0, 1, 0));
        // It was not a member.
        pool.try_join().await.unwrap();
        group.try_join().await.unwrap();
        assert_eq!(pool.drain(std::time::Duration::ZERO).await.unwrap().failed, 0);
    }

    async fn add_waits_while_the_pool_is_full(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        let mut add = Box::pin(pool.add(&greenlet));
        assert!(poll_once(&mut add).await.is_none());
        let_others_run().await;
        assert!(poll_once(&mut add).await.is_none());
        assert!(pool.try_add(&greenlet).is_err());
        assert_eq!((pool.waiting(), pool.contains(&greenlet)), (1, false));
        open.set();
        member.await.unwrap();
        assert!(add.await && pool.contains(&greenlet));
    }

    async fn greenlet_that_finishes_during_add_takes_no_slot(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        let mut add = Box::pin(pool.add(&greenlet));
        assert!(poll_once(&mut add).await.is_none());
        greenlet.kill().await;
        open.set();
        member.await.unwrap();
        assert!(!add.await);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn dropped_add_passes_its_slot_on(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        let mut add = Box::pin(pool.add(&greenlet));
        let mut spawn = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut add).await.is_none());
        assert!(poll_once(&mut spawn).await.is_none());
        open.set();
        member.await.unwrap();
        drop(add);
        assert_eq!(spawn.await.await.unwrap(), 42);
        assert!(!pool.contains(&greenlet));
    }

    async fn start_adds_and_starts_an_unstarted_greenlet(hub) {
        let (pool, group) = (Pool::on(hub, 2), Group::on(hub));
        for n in 0..3 {
            let greenlet = Greenlet::new(async move { n });
            let started = match n {
                0 => pool.start(&greenlet).await,
                1 => pool.try_start(&greenlet).unwrap(),
                _ => { assert!(pool.add(&greenlet).await); greenlet.start_on(hub) }
            };
            assert!(started);
            assert_eq!(greenlet.await.unwrap(), n);
        }
        let greenlet = Greenlet::new(async { 42 });
        assert!(group.start(&greenlet) && !group.start(&greenlet));
        assert_eq!(greenlet.await.unwrap(), 42);
        assert_eq!((pool.len(), pool.available()), (0, 2));
    }

    async fn started_greenlet_is_not_started_again(hub) {
        let pools = [(); 2].map(|()| Pool::on(hub, 2));
        let group = Group::on(hub);
        let greenlet = spawn_on(hub, stuck(gate(), ()));
        assert!(!pools[0].start(&greenlet).await);
        assert!(!pools[1].try_start(&greenlet).unwrap());
        assert!(!group.start(&greenlet));
        // It is added anyway.
        assert!(pools.iter().all(|pool| pool.contains(&greenlet)));
        assert!(group.contains(&greenlet));
    }

    async fn start_waits_while_the_pool_is_full(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        let greenlet = Greenlet::new(async { 42 });
        assert!(pool.try_start(&greenlet).is_err());
        let mut start = Box::pin(pool.start(&greenlet));
        assert!(poll_once(&mut start).await.is_none());
        let_others_run().await;
        assert!(!greenlet.is_ready());
        open.set();
        member.await.unwrap();
        assert!(start.await);
        assert_eq!(greenlet.await.unwrap(), 42);
    }

    async fn member_killed_before_its_start_frees_its_slot(hub) {
        let pool = Pool::on(hub, 1);
        let greenlet = Greenlet::new(async {});
        assert!(pool.add(&greenlet).await);
        assert_eq!(pool.available(), 0);
        greenlet.kill().await;
        assert_eq!((pool.len(), pool.available()), (0, 1));
        let greenlet = Greenlet::new(async {});
        assert!(pool.add(&greenlet).await);
        drop(greenlet);
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn discarded_member_frees_its_slot_and_runs_on(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let member = pool.spawn(behind(Arc::clone(&open), 42)).await;
        let mut spawn = Box::pin(pool.spawn(stuck(gate(), ())));
        assert!(poll_once(&mut spawn).await.is_none());
        assert!(pool.discard(&member));
        assert!(!pool.contains(&member) && !member.is_ready());
        let next = spawn.await;
        assert_eq!(pool.members(), [next.handle().clone()]);
        open.set();
        assert_eq!(member.await.unwrap(), 42);
        assert_eq!((pool.len(), pool.available()), (1, 0));
        next.kill().await;
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn discard_of_a_non_member_frees_nothing(hub) {
        let pool = Pool::on(hub, 2);
        let stranger = spawn_on(hub, stuck(gate(), ()));
        let member = pool.spawn(stuck(gate(), ())).await;
        let other = pool.spawn(stuck(gate(), ())).await;
        assert!(!pool.discard(&stranger));
        assert_eq!(pool.available(), 0);
        assert!(pool.discard(&member) && !pool.discard(&member));
        assert_eq!(pool.available(), 1);
        member.kill().await;
        assert_eq!(pool.available(), 1);
        other.kill().await;
        assert!(!pool.discard(&other));
        assert_eq!((pool.len(), pool.available()), (0, 2));
    }

    async fn discarded_member_is_not_joined_killed_or_inside(hub) {
        let (group, open) = (Group::on(hub), gate());
        let (inside, opened) = (group.clone(), Arc::clone(&open));
        let member = group.spawn(async move {
            opened.wait().await;
            (inside.is_inside(), inside.join().await)
        });
        assert!(group.discard(&member));
        group.join().await.unwrap();
        group.kill().await;
        open.set();
        assert_eq!(member.await.unwrap(), (false, Ok(())));
    }

    async fn discarded_member_may_be_added_again(hub) {
        let (pool, open) = (Pool::on(hub, 1), gate());
        let member = pool.spawn(behind(Arc::clone(&open), ())).await;
        for _ in 0..3 {
            assert!(pool.discard(&member));
            assert!(pool.add(&member).await);
            assert_eq!((pool.len(), pool.available()), (1, 0));
        }
        open.set();
        member.await.unwrap();
        assert_eq!((pool.len(), pool.available()), (0, 1));
    }

    async fn one_greenlet_may_be_in_two_groups(hub) {
        let (one, two, open) = (Pool::on(hub, 1), Group::on(hub), gate());
        let greenlet = one.spawn(behind(Arc::clone(&open), ())).await;
        assert!(two.add(&greenlet));
        let mut joins = [Box::pin(one.join()), Box::pin(two.join())];
        for join in &mut joins {
            assert!(poll_once(join).await.is_none());
        }
        open.set();
        for join in joins {
            join.await.unwrap();
        }
        assert_eq!((one.available(), two.len()), (1, 0));
        // A greenlet that is killed through one leaves both.
        let greenlet = two.spawn(stuck(gate(), ()));
        assert!(one.add(&greenlet).await);
        two.kill_now();
        greenlet.join().await;
        let handle: &Handle = greenlet.handle();
        assert!(!two.contains(handle));
        assert!(!one.contains(handle) && one.available() == 1);
    }
}
