//! The promises of `try_join`: which failures it reports, and how often.

use spinney::pool::{Failures, JoinError};
use spinney::{Group, Pool};
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Why, blow_up, gate, stuck};

/// The failures of `try_join`.
fn failures(joined: Result<(), JoinError>) -> Failures {
    match joined {
        Err(JoinError::Failed(failures)) => failures,
        other => panic!("no failures: {other:?}"),
    }
}

on_every_hub! {
    async fn try_join_without_failures_succeeds(hub) {
        let group = Group::on(hub);
        group.spawn(async {}).detach();
        group.try_join().await.unwrap();
    }

    async fn try_join_sees_earlier_failures(hub) {
        let group = Group::on(hub);
        group.spawn(async { blow_up("first") }).join().await;
        group.spawn(async { blow_up("second") }).join().await;
        group.spawn(async { blow_up("third") }).detach();
        let failures = failures(group.try_join().await);
        let texts: Vec<_> = failures.first().iter().map(Why::why).collect();
        assert_eq!(texts, ["panicked: first", "panicked: second", "panicked: third"]);
        assert_eq!(failures.count(), 3);
        let text = format!("3 members failed, the first: {}", failures.first()[0]);
        assert_eq!(failures.to_string(), text);
    }

    async fn failures_are_reported_once(hub) {
        let group = Group::on(hub);
        group.spawn(async { blow_up("no luck") }).join().await;
        assert_eq!(failures(group.try_join().await).count(), 1);
        group.try_join().await.unwrap();
        group.spawn(async { blow_up("again") }).join().await;
        let failures = failures(group.try_join().await);
        assert_eq!(failures.to_string(), failures.first()[0].to_string());
        assert_eq!(failures.first()[0].why(), "panicked: again");
    }

    async fn join_does_not_take_the_failures(hub) {
        let group = Group::on(hub);
        group.spawn(async { blow_up("no luck") }).detach();
        group.join().await.unwrap();
        drop(group.try_join());
        assert_eq!(failures(group.try_join().await).count(), 1);
    }

    async fn killed_member_is_not_a_failure(hub) {
        let group = Group::on(hub);
        group.spawn(stuck(gate(), ())).detach();
        group.kill().await;
        group.spawn(stuck(gate(), ())).kill().await;
        group.try_join().await.unwrap();
    }

    async fn stored_failures_never_exceed_the_limit(hub) {
        for kept in [0, 2] {
            let pool = Pool::builder().keep_failures(kept).pool_on(hub, 1);
            for _ in 0..5 {
                pool.spawn(async { blow_up("no luck") }).await.join().await;
            }
            let failures = failures(pool.try_join().await);
            assert_eq!((failures.count(), failures.first().len()), (5, kept));
        }
    }

    async fn panicked_item_is_not_a_failure_of_the_pool(hub) {
        let pool = Pool::on(hub, 1);
        pool.map(|_: u32| async { blow_up("no luck") }, 0..1).await.map(|_: Vec<()>| ()).unwrap_err();
        pool.try_join().await.unwrap();
    }

    async fn member_cannot_try_to_join(hub) {
        let group = Group::on(hub);
        let inside = group.clone();
        let member = group.spawn(async move { inside.try_join().await });
        assert!(matches!(member.await.unwrap(), Err(JoinError::Inside(_))));
    }
}
