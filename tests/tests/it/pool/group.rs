//! The promises of groups, and of every task set: joining, killing, dropping.

use std::sync::{Arc, Mutex};

use futures_lite::future::poll_once;
use spinney::pool::InsideGroup;
use spinney::task::spawn_on;
use spinney::{Greenlet, Group, Pool};
use spinney_tests::tools::{Count, OnDrop, Why, behind, blow_up, gate, let_others_run, stuck};
use spinney_tests::{Dropped, hub, on_every_hub};

on_every_hub! {
    async fn join_of_an_empty_group_returns_immediately(hub) {
        assert_eq!(Group::on(hub).join().await, Ok(()));
    }

    async fn join_waits_for_all_members(hub) {
        let (group, open, ended) = (Group::on(hub), gate(), Count::to(5));
        for _ in 0..5 {
            let (open, ended) = (Arc::clone(&open), ended.clone());
            group.spawn(async move { behind(open, ended).await.add() }).detach();
        }
        let mut join = Box::pin(group.join());
        assert!(poll_once(&mut join).await.is_none());
        open.set();
        join.await.unwrap();
        assert_eq!(ended.get(), 5);
    }

    async fn join_ends_at_a_moment_of_emptiness(hub) {
        let (group, open) = (Group::on(hub), gate());
        let greenlet = group.spawn(behind(Arc::clone(&open), ()));
        let mut join = Box::pin(group.join());
        assert!(poll_once(&mut join).await.is_none());
        open.set();
        greenlet.await.unwrap();
        group.spawn(stuck(gate(), ())).detach();
        join.await.unwrap();
        group.kill_now();
    }

    async fn join_counts_from_the_call(hub) {
        let group = Group::on(hub);
        let greenlet = group.spawn(async {});
        let join = group.join();
        greenlet.await.unwrap();
        group.spawn(stuck(gate(), ())).detach();
        join.await.unwrap();
        group.kill_now();
    }

    async fn several_tasks_may_join_a_group(hub) {
        let (group, open) = (Group::on(hub), gate());
        group.spawn(behind(Arc::clone(&open), ())).detach();
        let joins: Vec<_> = (0..5)
            .map(|_| {
                let group = group.clone();
                spawn_on(hub, async move { group.join().await })
            })
            .collect();
        open.set();
        for join in joins {
            assert_eq!(join.await.unwrap(), Ok(()));
        }
    }

    async fn member_cannot_join_its_own_group(hub) {
        let group = Group::on(hub);
        let inside = group.clone();
        let member = group.spawn(async move { inside.join().await });
        assert_eq!(member.await.unwrap(), Err(InsideGroup));
    }

    async fn member_cannot_wait_for_its_own_idle_pool(hub) {
        let pool = Pool::on(hub, 2);
        let inside = pool.clone();
        let member = pool.spawn(async move { inside.wait_idle().await }).await;
        assert_eq!(member.await.unwrap(), Err(InsideGroup));
    }

    async fn member_may_join_another_group(hub) {
        let (group, other) = (Group::on(hub), Group::on(hub));
        let member = group.spawn(async move { other.join().await });
        assert_eq!(member.await.unwrap(), Ok(()));
    }

    async fn members_are_the_unfinished_greenlets(hub) {
        let group = Group::on(hub);
        let stays = group.spawn(stuck(gate(), ()));
        let ends = group.spawn(async {});
        ends.join().await;
        assert_eq!(group.members(), [stays.handle().clone()]);
        assert!(group.contains(&stays) && !group.contains(&ends));
    }

    async fn panic_of_a_member_does_not_affect_the_others(hub) {
        let (group, open) = (Group::on(hub), gate());
        let other = group.spawn(behind(Arc::clone(&open), 42));
        group.spawn(async { blow_up("no luck") }).await.unwrap_err();
        open.set();
        assert_eq!(other.await.unwrap(), 42);
        group.join().await.unwrap();
    }

    async fn kill_ends_every_member(hub) {
        let (group, dropped) = (Group::on(hub), Dropped::default());
        let members: Vec<_> =
            (0..5).map(|_| group.spawn(stuck(gate(), dropped.guard()))).collect();
        group.kill().await;
        assert_eq!(dropped.count(), 5);
        assert!(members.iter().all(|member| member.failure().unwrap().is_killed()));
    }

    async fn kill_ends_members_that_enter_meanwhile(hub) {
        let (group, dropped, started) = (Group::on(hub), Dropped::default(), gate());
        let (inside, guard) = (group.clone(), dropped.guard());
        let spawns = OnDrop::new(move || inside.spawn(stuck(gate(), guard)).detach());
        group.spawn(stuck(Arc::clone(&started), spawns)).detach();
        started.wait().await;
        group.kill().await;
        assert_eq!((group.len(), dropped.count()), (0, 1));
    }

    async fn kill_of_an_empty_group_returns_immediately(hub) {
        Group::on(hub).kill().await;
    }

    async fn member_may_kill_its_own_group(hub) {
        let group = Group::on(hub);
        let other = group.spawn(stuck(gate(), ()));
        let inside = group.clone();
        let member = group.spawn(async move { inside.kill().await });
        assert!(member.await.unwrap_err().is_killed());
        assert!(other.await.unwrap_err().is_killed());
    }

    async fn killed_group_stays_open(hub) {
        let group = Group::on(hub);
        group.spawn(stuck(gate(), ())).detach();
        group.kill().await;
        assert_eq!(group.spawn(async { 42 }).await.unwrap(), 42);
    }

    async fn waiter_is_admitted_to_a_killed_pool(hub) {
        let pool = Pool::on(hub, 1);
        pool.spawn(stuck(gate(), ())).await.detach();
        let mut spawn = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut spawn).await.is_none());
        pool.kill().await;
        assert_eq!(spawn.await.await.unwrap(), 42);
    }

    async fn waiter_is_admitted_during_a_kill(hub) {
        let pool = Pool::on(hub, 1);
        pool.spawn(stuck(gate(), ())).await.detach();
        let mut spawn = Box::pin(pool.spawn(async { 42 }));
        assert!(poll_once(&mut spawn).await.is_none());
        pool.kill_now();
        assert_eq!(spawn.await.await.unwrap(), 42);
    }

    async fn dropped_kill_of_a_group_goes_ahead(hub) {
        let (group, dropped) = (Group::on(hub), Dropped::default());
        group.spawn(stuck(gate(), dropped.guard())).detach();
        poll_once(group.kill()).await;
        group.join().await.unwrap();
        assert_eq!(dropped.count(), 1);
    }

    async fn dropped_last_handle_of_a_group_kills_the_members(hub) {
        let (group, dropped) = (Group::on(hub), Dropped::default());
        let member = group.spawn(stuck(gate(), dropped.guard()));
        drop(group);
        assert!(member.await.unwrap_err().is_killed());
        assert_eq!(dropped.count(), 1);
    }

    async fn dropped_handle_kills_no_member_if_others_remain(hub) {
        let (group, open) = (Group::on(hub), gate());
        let member = group.spawn(behind(Arc::clone(&open), 42));
        drop(group.clone());
        let_others_run().await;
        open.set();
        assert_eq!(member.await.unwrap(), 42);
    }

    async fn dropped_last_handle_of_a_pool_kills_the_members(hub) {
        let pool = Pool::on(hub, 2);
        let member = pool.spawn(stuck(gate(), ())).await;
        drop(pool);
        let killed = member.await.unwrap_err().why();
        assert_eq!(killed, "killed: the last handle of its group was dropped");
    }

    async fn group_has_no_limit(hub) {
        let (group, meeting) = (Group::on(hub), Count::to(200));
        for _ in 0..200 {
            let meeting = meeting.clone();
            group.spawn(async move { meeting.meet().await }).detach();
        }
        group.join().await.unwrap();
    }
}

#[test]
fn member_that_enters_during_the_kills_is_spared() {
    let hub = hub(1);
    let (group, heirs) = (Group::on(&hub), Arc::new(Mutex::new(Vec::new())));
    let testators = (0..100).map(|_| {
        let (of_group, heirs) = (group.clone(), Arc::clone(&heirs));
        let last_will =
            OnDrop::new(move || heirs.lock().unwrap().push(of_group.spawn(async { 42 })));
        // Not started, so that the kill itself drops it.
        let testator = Greenlet::new(stuck(gate(), last_will));
        assert!(group.add(&testator));
        testator
    });
    let testators: Vec<_> = testators.collect();
    group.kill_now();
    assert!(testators.iter().all(|testator| testator.is_ready()));
    let heirs = std::mem::take(&mut *heirs.lock().unwrap());
    assert_eq!(heirs.len(), 100);
    for heir in heirs {
        assert_eq!(hub.block_on(heir).unwrap(), 42);
    }
}
