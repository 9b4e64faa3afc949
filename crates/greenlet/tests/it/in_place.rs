//! A task in place is a greenlet of its own, and kills of its parent reach it first.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use futures_lite::future::{or, poll_once};
use spinney_greenlet::{
    Greenlet, GreenletExit, Handle, InPlace, KillForwarder, Task, catch_exit, greenlet_local, pair,
    shield, spawn_on,
};
use spinney_hub::{LocalHub, Spawn, yield_now};
use spinney_sim::SimHub;
use spinney_sync::Event;
use spinney_test_support::{ByHand, Dropped, on_its_own_waker};

greenlet_local! {
    static WORD: &'static str = "none";
}

/// `future` to be polled in place, and its greenlet.
fn in_place<F: Future>(future: F) -> (InPlace<F>, Greenlet<F::Output>) {
    let (task, greenlet) = pair(future, ());
    (InPlace::new(task, greenlet.handle()), greenlet)
}

/// A greenlet as a task that the test polls.
fn by_hand<F: Future>(future: F) -> (ByHand<Task<F>>, Greenlet<F::Output>) {
    let (task, greenlet) = pair(future, ());
    (ByHand::of(task), greenlet)
}

/// Polls `task` until it is pending without having been woken, or has finished.
fn settle<F: Future>(task: &mut ByHand<F>) -> Poll<F::Output> {
    loop {
        let before = task.wakes();
        let polled = task.poll();
        if polled.is_ready() || task.wakes() == before {
            return polled;
        }
    }
}

/// Polls `task` to its end, as often as it is woken.
#[track_caller]
fn run<F: Future>(task: &mut ByHand<F>) -> F::Output {
    let Poll::Ready(output) = settle(task) else { panic!("a wake-up was lost") };
    output
}

/// A flag for the futures of one test.
type Flag = Rc<Event>;

/// Catches a kill, records its reason, and cleans up until `open` is set.
async fn clean_up(reasons: Rc<RefCell<Vec<String>>>, open: Flag) {
    let exit = catch_exit(pending::<()>()).await.unwrap_err();
    reasons.borrow_mut().push(exit.to_string());
    let cleaned = catch_exit(open.wait()).await;
    reasons.borrow_mut().push(format!("cleaned up: {}", cleaned.is_ok()));
    exit.resume::<()>().await;
}

#[test]
fn child_in_place_has_its_own_id_parent_and_locals() {
    LocalHub::new().block_on(async {
        let body = async {
            WORD.set("the parent's");
            let (child, greenlet) = in_place(async {
                let before = WORD.get();
                WORD.set("the child's");
                (before, Handle::current().unwrap())
            });
            let id = greenlet.id();
            child.await;
            let (before, handle) = greenlet.await.unwrap();
            assert_eq!((before, handle.id()), ("none", id));
            (WORD.get(), handle.parent(), Handle::current().unwrap().id())
        };
        let (task, parent) = pair(body, ());
        let id = parent.id();
        task.await;
        assert_eq!(parent.await.unwrap(), ("the parent's", Some(id), id));
    });
}

#[test]
fn child_in_place_opens_no_budget() {
    let set = Event::new();
    set.set();
    let endless = async {
        loop {
            set.wait().await;
        }
    };
    let (child, greenlet) = in_place(endless);
    // Without a budget of the poll around, 1,000 ready awaits of the child would never yield.
    let few = async {
        let mut child = child;
        assert!(poll_once(&mut child).await.is_none());
        // The budget of this poll is used up.
        poll_once(set.wait()).await.is_none()
    };
    let (mut task, parent) = by_hand(few);
    assert!(task.poll().is_ready());
    assert!(parent.try_get().unwrap().unwrap(), "the child had a budget of its own");
    assert!(greenlet.is_ready(), "dropped with its parent");
}

#[test]
fn kill_of_the_parent_reaches_the_child_first_and_once() {
    let (reasons, open) = (Rc::default(), Flag::default());
    let (child, greenlet) = in_place(clean_up(Rc::clone(&reasons), Rc::clone(&open)));
    let after = Rc::new(Cell::new(false));
    let seen = Rc::clone(&after);
    let (mut task, parent) = by_hand(async move {
        child.await;
        seen.set(true);
    });
    assert!(task.poll().is_pending());
    parent.kill_now_with(GreenletExit::because("too late"));
    assert!(task.wakes() > 0);
    for _ in 0..3 {
        // The child has caught the kill, and is not killed again while it cleans up.
        assert!(task.poll().is_pending());
        assert!(!parent.is_ready() && !greenlet.is_ready());
        assert_eq!(*reasons.borrow(), ["killed: too late"]);
    }
    open.set();
    run(&mut task);
    assert_eq!(*reasons.borrow(), ["killed: too late", "cleaned up: true"]);
    for failure in [greenlet.failure(), parent.failure()] {
        assert!(failure.unwrap().to_string().contains("killed: too late"));
    }
    assert!(!after.get(), "the parent went on after the await of the child");
}

#[test]
fn kill_of_the_parent_is_seen_if_the_child_caught_it() {
    let (child, greenlet) = in_place(async {
        let exit = catch_exit(pending::<()>()).await.unwrap_err();
        yield_now().await;
        exit.to_string()
    });
    let (mut task, parent) = by_hand(catch_exit(child));
    assert!(task.poll().is_pending());
    parent.kill_now_with(GreenletExit::because("too late"));
    run(&mut task);
    assert_eq!(greenlet.try_get().unwrap().unwrap(), "killed: too late");
    let caught = parent.try_get().unwrap().unwrap().unwrap_err();
    assert_eq!(caught.to_string(), "killed: too late");
}

#[test]
fn kill_of_the_parent_waits_for_the_shield_of_the_child() {
    let open = Flag::default();
    let opened = Rc::clone(&open);
    let (child, greenlet) = in_place(async move { shield(opened.wait()).await });
    let (mut task, parent) = by_hand(child);
    assert!(task.poll().is_pending());
    parent.kill_now();
    assert!(task.poll().is_pending() && task.poll().is_pending());
    assert!(!parent.is_ready() && !greenlet.is_ready());
    open.set();
    run(&mut task);
    assert!(parent.failure().unwrap().is_killed() && greenlet.failure().unwrap().is_killed());
}

#[test]
fn kill_before_the_wait_ends_the_child_before_it_runs() {
    let (child, greenlet) = in_place(async { panic!("it ran") });
    let (mut task, parent) = by_hand(async {
        Handle::current().unwrap().kill_now();
        child.await;
    });
    run(&mut task);
    assert!(parent.failure().unwrap().is_killed() && greenlet.failure().unwrap().is_killed());
}

#[test]
fn second_kill_of_the_parent_reaches_the_next_child() {
    let (first, one) = in_place(pending::<()>());
    let (second, two) = in_place(pending::<()>());
    let (mut task, parent) = by_hand(async {
        catch_exit(first).await.unwrap_err();
        second.await;
    });
    assert!(task.poll().is_pending());
    parent.kill_now();
    assert!(settle(&mut task).is_pending());
    assert!(one.failure().unwrap().is_killed() && !two.is_ready());
    parent.kill_now_with(GreenletExit::because("again"));
    run(&mut task);
    assert!(two.failure().unwrap().to_string().contains("killed: again"));
}

#[test]
fn kill_of_the_child_ends_it_alone() {
    let (child, greenlet) = in_place(pending::<()>());
    let (mut task, parent) = by_hand(on_its_own_waker(async {
        child.await;
        "went on"
    }));
    assert!(task.poll().is_pending());
    greenlet.kill_now();
    assert_eq!(task.wakes(), 1);
    assert!(task.poll().is_ready());
    assert!(greenlet.failure().unwrap().is_killed());
    assert_eq!(parent.try_get().unwrap().unwrap(), "went on");
}

#[test]
fn shield_of_the_parent_spares_the_child() {
    let (child, greenlet) = in_place(async {
        yield_now().await;
        yield_now().await;
        42
    });
    let (mut task, parent) = by_hand(async {
        shield(child).await;
        "went on"
    });
    assert!(task.poll().is_pending());
    parent.kill_now();
    run(&mut task);
    assert_eq!(greenlet.try_get().unwrap().unwrap(), 42);
    assert!(parent.failure().unwrap().is_killed());
}

#[test]
fn abort_of_the_parent_ends_a_shielded_child() {
    let dropped = Dropped::default();
    let guard = dropped.guard();
    let (child, greenlet) = in_place(shield(async move {
        let _guard = guard;
        pending::<()>().await;
    }));
    let (mut task, parent) = by_hand(shield(child));
    assert!(task.poll().is_pending());
    parent.abort();
    assert!(task.poll().is_ready());
    assert!(parent.failure().unwrap().is_aborted());
    assert!(greenlet.failure().unwrap().is_killed());
    assert_eq!(dropped.count(), 1);
}

#[test]
fn abort_of_the_child_ends_it_alone() {
    let (child, greenlet) = in_place(shield(pending::<()>()));
    let (mut task, parent) = by_hand(child);
    assert!(task.poll().is_pending());
    greenlet.abort();
    assert!(task.wakes() == 1 && task.poll().is_ready());
    assert!(greenlet.failure().unwrap().is_aborted() && parent.is_successful());
}

#[test]
fn dropped_wait_ends_a_shielded_child() {
    let (child, greenlet) = in_place(shield(pending::<()>()));
    let open = Flag::default();
    let opened = Rc::clone(&open);
    let (mut task, parent) = by_hand(async move {
        or(child, opened.wait()).await;
        "went on"
    });
    assert!(task.poll().is_pending());
    open.set();
    assert!(task.poll().is_ready());
    assert!(greenlet.failure().unwrap().is_killed());
    assert_eq!(parent.try_get().unwrap().unwrap(), "went on");
}

#[test]
fn dropped_wait_lets_the_parent_see_its_kill() {
    let (child, greenlet) = in_place(shield(pending::<()>()));
    let open = Flag::default();
    let opened = Rc::clone(&open);
    let (mut task, parent) = by_hand(async move {
        or(child, opened.wait()).await;
        pending::<()>().await;
    });
    assert!(task.poll().is_pending());
    parent.kill_now();
    assert!(task.poll().is_pending(), "the child shields it");
    open.set();
    assert!(task.poll().is_ready());
    assert!(parent.failure().unwrap().is_killed() && greenlet.is_ready());
}

#[test]
fn unpolled_wait_lets_a_kill_through() {
    let (child, greenlet) = in_place(pending::<()>());
    let (mut task, parent) = by_hand(async move {
        let mut child = child;
        assert!(poll_once(&mut child).await.is_none());
        // Kept, while the parent waits for something else.
        pending::<()>().await;
        drop(child);
    });
    assert!(task.poll().is_pending());
    parent.kill_now();
    run(&mut task);
    assert!(parent.failure().unwrap().is_killed() && greenlet.failure().unwrap().is_killed());
}

#[test]
fn lapsed_wait_defers_later_kills() {
    let (child, greenlet) = in_place(catch_exit(pending::<()>()));
    let (mut task, parent) = by_hand(async move {
        let mut child = child;
        assert!(poll_once(&mut child).await.is_none());
        assert!(catch_exit(pending::<()>()).await.is_err());
        child.await;
        yield_now().await;
    });
    assert!(task.poll().is_pending());
    parent.kill_now();
    assert!(settle(&mut task).is_pending() && !greenlet.is_ready());
    parent.kill_now();
    run(&mut task);
    assert!(greenlet.is_successful() && parent.failure().unwrap().is_killed());
}

#[test]
fn panic_of_a_child_in_place_fails_the_child() {
    let (child, greenlet) = in_place(async { panic!("no luck") });
    let (mut task, parent) = by_hand(child);
    assert!(task.poll().is_ready());
    assert!(greenlet.failure().unwrap().is_panic() && parent.is_successful());
}

/// Starts `body` in place of a greenlet on `hub`, and moves it to the hub after one poll.
fn moved<F: Future<Output = ()> + 'static>(hub: &LocalHub, body: F) -> Greenlet<()> {
    let (child, greenlet) = in_place(body);
    let to = hub.clone();
    let parent = async move {
        let mut child = child;
        assert!(poll_once(&mut child).await.is_none());
        to.spawn(child.into_task());
    };
    hub.block_on(spawn_on(hub, parent)).unwrap();
    assert!(!greenlet.is_ready());
    greenlet
}

#[test]
fn child_moved_to_a_hub_goes_on_there() {
    let (hub, open) = (LocalHub::new(), Flag::default());
    let opened = Rc::clone(&open);
    let greenlet = moved(&hub, async move { opened.wait().await });
    open.set();
    hub.block_on(greenlet).unwrap();
}

#[test]
fn child_moved_to_a_hub_ends_with_it() {
    let hub = LocalHub::new();
    let greenlet = moved(&hub, pending());
    drop(hub);
    let failure = greenlet.failure().unwrap().to_string();
    assert!(failure.contains("killed: its hub was shut down"), "{failure}");
}

#[test]
fn child_moved_to_a_hub_opens_a_budget() {
    let hub = LocalHub::new();
    let greenlet = moved(&hub, async {
        yield_now().await;
        let set = Event::new();
        set.set();
        loop {
            set.wait().await;
        }
    });
    hub.block_on(async {
        for _ in 0..10 {
            yield_now().await;
        }
        greenlet.kill().await;
    });
    assert!(greenlet.failure().unwrap().is_killed());
}

#[test]
fn deputy_sends_a_kill_to_a_child_that_runs_elsewhere() {
    let hub = LocalHub::new();
    let child = spawn_on(&hub, async {
        let exit = catch_exit(pending::<()>()).await.unwrap_err();
        yield_now().await;
        exit.to_string()
    });
    let handle = child.handle().clone();
    let parent = spawn_on(&hub, async move {
        let (mut forwarder, mut join) = (KillForwarder::new(&handle), handle.join());
        poll_fn(|cx| {
            let joined = forwarder.poll(cx, |cx| Pin::new(&mut join).poll(cx));
            if joined.is_ready() && forwarder.finish(cx.waker()) { Poll::Pending } else { joined }
        })
        .await;
        "went on"
    });
    hub.block_on(async {
        yield_now().await;
        drop(parent.kill_with(GreenletExit::because("too late")));
        assert_eq!(child.await.unwrap(), "killed: too late");
        assert!(parent.await.unwrap_err().to_string().contains("killed: too late"));
    });
}

#[test]
fn deputy_outside_any_greenlet_polls_its_wait() {
    let (child, greenlet) = in_place(async { 42 });
    let mut child = ByHand::of(child);
    assert!(child.poll().is_ready() && child.poll().is_ready());
    assert_eq!(greenlet.try_get().unwrap().unwrap(), 42);
}

#[test]
fn deadlock_names_the_chain_of_greenlets_in_place() {
    let sim = SimHub::new();
    let never = Rc::new(Event::new());
    let waits = Rc::clone(&never);
    let line = line!() + 1;
    let (child, inner) = in_place(async move { waits.wait().await });
    let (child, _outer) = in_place(child);
    let parent = spawn_on(&sim, child).named("the parent");
    let other = spawn_on(&sim, async move { never.wait().await });
    let text = sim.try_block_on(pending::<()>()).unwrap_err().to_string();
    let chain = format!(
        "\n  {}, 2 deep in place of {} waits for Event::wait at {}:{line}:",
        inner.handle(),
        parent.handle(),
        file!()
    );
    assert!(text.contains(&chain), "{chain:?} is missing in:\n{text}");
    assert!(text.contains(&format!("\n  {} waits for Event::wait", other.handle())), "{text}");
}

#[test]
fn deadlock_forgets_a_greenlet_in_place_that_was_dropped() {
    let sim = SimHub::new();
    let gives_up = spawn_on(&sim, async {
        let (mut child, _greenlet) = in_place(pending::<()>());
        assert!(poll_once(&mut child).await.is_none());
    });
    let stuck = spawn_on(&sim, pending::<()>());
    let text = sim.try_block_on(pending::<()>()).unwrap_err().to_string();
    assert!(gives_up.is_successful());
    assert!(text.contains(&format!("\n  {} waits", stuck.handle())), "{text}");
}
