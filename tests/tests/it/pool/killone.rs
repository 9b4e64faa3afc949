//! The promises of killing one member, and of killing for a reason.

use std::sync::Arc;

use futures_lite::future::poll_once;
use spinney::Group;
use spinney::gevent::GroupExt as _;
use spinney::task::{GreenletExit, spawn_on};
use spinney_greenlet::catch_exit;
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Why, behind, gate, let_others_run, stuck};

on_every_hub! {
    async fn killone_has_a_reason(hub) {
        let group = Group::on(hub);
        let one = group.spawn(stuck(gate(), ()));
        group.kill_with(GreenletExit::because("too late")).await;
        let two = group.spawn(stuck(gate(), ()));
        group.kill_now_with(GreenletExit::because("too late"));
        let three = group.spawn(stuck(gate(), ()));
        assert!(group.killone_with(&three, GreenletExit::because("too late")).await);
        for killed in [one, two, three] {
            assert_eq!(killed.await.unwrap_err().why(), "killed: too late");
        }
    }

    async fn killone_ends_one_member_and_waits(hub) {
        let group = Group::on(hub);
        let (one, other) = (group.spawn(stuck(gate(), ())), group.spawn(stuck(gate(), ())));
        assert!(group.killone(&one).await);
        assert!(one.is_ready() && !group.contains(&one));
        assert!(!other.is_ready() && group.contains(&other));
        assert!(!group.killone(&one).await);
    }

    async fn killone_spares_non_members(hub) {
        let (group, open) = (Group::on(hub), gate());
        let stranger = spawn_on(hub, behind(Arc::clone(&open), 42));
        assert!(!group.killone(&stranger).await);
        open.set();
        assert_eq!(stranger.await.unwrap(), 42);
    }

    async fn killone_goes_ahead_without_a_waiter(hub) {
        let group = Group::on(hub);
        let member = group.spawn(stuck(gate(), ()));
        drop(group.killone(&member));
        assert!(member.await.unwrap_err().is_killed());
    }

    async fn second_killone_only_waits_for_the_cleanup(hub) {
        let (group, started, tidy, open) = (Group::on(hub), gate(), gate(), gate());
        let (set, tidying, opened) = (Arc::clone(&started), Arc::clone(&tidy), Arc::clone(&open));
        let member = group.spawn(async move {
            let caught = catch_exit(stuck(set, ())).await;
            tidying.set();
            opened.wait().await;
            caught
        });
        started.wait().await;
        let mut first = Box::pin(group.killone(&member));
        tidy.wait().await;
        assert!(poll_once(&mut first).await.is_none());
        let mut second = Box::pin(group.killone(&member));
        let mut all = Box::pin(group.kill());
        group.kill_now();
        assert!(poll_once(&mut second).await.is_none());
        assert!(poll_once(&mut all).await.is_none());
        let_others_run().await;
        assert!(!member.is_ready(), "the member was killed twice");
        open.set();
        assert!(first.await && second.await);
        all.await;
        assert!(member.await.unwrap().is_err(), "the member did not see the kill");
    }
}
