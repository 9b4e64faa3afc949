//! A greenlet that is killed while it polls another in place.

use std::future::pending;

use spinney_greenlet::{InPlace, catch_exit, pair};

use crate::{Count, because, model, pause, reason, spawn};

#[test]
fn kill_reaches_the_child_in_place_once_and_then_the_parent() {
    model(|| {
        let (caught, after) = (Count::new(), Count::new());
        let (child, greenlet) = {
            let caught = caught.clone();
            let cleans_up = async move {
                if let Err(exit) = catch_exit(pending::<()>()).await {
                    caught.add();
                    // A second kill would be seen here.
                    if catch_exit(pause()).await.is_err() {
                        caught.add();
                    }
                    exit.resume::<()>().await;
                }
            };
            pair(cleans_up, ())
        };
        let in_place = InPlace::new(child, greenlet.handle());
        let (task, parent) = {
            let after = after.clone();
            pair(
                async move {
                    in_place.await;
                    after.add();
                },
                (),
            )
        };
        let runs = spawn(task);
        parent.kill_now_with(because("a whim"));
        runs.join().unwrap();
        assert_eq!(reason(parent.failure().as_ref()), "killed: a whim");
        assert_eq!(after.get(), 0, "the parent went on after its wait for the child");
        // A parent that was killed before its first poll has dropped its child, which never ran.
        assert!(caught.get() <= 1, "the kill was sent twice");
        let expected = if caught.get() == 1 { "killed: a whim" } else { "killed" };
        assert!(reason(greenlet.failure().as_ref()).starts_with(expected));
    });
}

#[test]
fn kill_as_the_child_ends_is_seen_by_the_parent() {
    model(|| {
        let (child, greenlet) = pair(pause(), ());
        let in_place = InPlace::new(child, greenlet.handle());
        let (task, parent) = pair(
            async move {
                in_place.await;
                pending::<()>().await;
            },
            (),
        );
        let runs = spawn(task);
        parent.kill_now();
        runs.join().unwrap();
        assert!(greenlet.is_ready() && parent.failure().unwrap().is_killed());
    });
}

#[test]
fn kill_of_the_child_in_place_wakes_the_parent() {
    model(|| {
        let (child, greenlet) = pair(pending::<()>(), ());
        let in_place = InPlace::new(child, greenlet.handle());
        let (task, parent) = pair(in_place, ());
        let runs = spawn(task);
        greenlet.kill_now();
        runs.join().unwrap();
        assert!(greenlet.failure().unwrap().is_killed() && parent.is_successful());
    });
}
