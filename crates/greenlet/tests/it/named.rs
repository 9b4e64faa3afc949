//! `named`: a task that has its name before it runs.

use std::future::{pending, ready};
use std::sync::Arc;

use spinney_greenlet::{Handle, named, pair, spawn_on};
use spinney_hub::Hub;
use spinney_test_support::{ByHand, Dropped};

fn my_name() -> Option<Arc<str>> {
    Handle::current()?.name()
}

#[test]
fn named_task_sees_its_name() {
    let hub = Hub::builder().threads(4).build().unwrap();
    let names: Vec<_> = (0..2000).map(|n| format!("fetch {n}")).collect();
    let tasks: Vec<_> = names
        .iter()
        .map(|name| spawn_on(&hub, named(name.as_str(), async { my_name() })))
        .collect();
    hub.block_on(async {
        for (task, name) in tasks.into_iter().zip(&names) {
            assert_eq!(task.await.unwrap().as_deref(), Some(name.as_str()));
        }
    });
}

#[test]
fn later_name_replaces_the_name_of_a_named_task() {
    let body = named("outer", async {
        let first = my_name();
        (first, named("inner", async { my_name() }).await)
    });
    let (task, greenlet) = pair(body, ());
    let greenlet = greenlet.named("before");
    assert!(ByHand::of(task).poll().is_ready());
    assert_eq!(greenlet.name().as_deref(), Some("inner"));
    let (first, second) = greenlet.try_get().unwrap().unwrap();
    assert_eq!((first.as_deref(), second.as_deref()), (Some("outer"), Some("inner")));
}

#[test]
fn named_task_sets_its_name_once() {
    let (task, greenlet) = pair(named("first", pending::<()>()), ());
    let mut task = ByHand::waiting(task);
    let greenlet = greenlet.named("second");
    assert!(task.poll().is_pending());
    assert_eq!(greenlet.name().as_deref(), Some("second"));
}

#[test]
fn named_future_outside_any_greenlet_runs_unnamed() {
    assert!(ByHand::of(named("anonymous", ready(1))).poll().is_ready());
    let dropped = Dropped::default();
    let guard = dropped.guard();
    drop(named("anonymous", async move { drop(guard) }));
    assert_eq!(dropped.count(), 1);
}
