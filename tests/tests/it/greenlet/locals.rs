//! The promises of `Local`: each greenlet has its own value, for as long as it lives.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use spinney::task::{inherit_locals, spawn_on};
use spinney::{block_on, greenlet_local, spawn, yield_now};
use spinney_greenlet::{InPlace, pair};
use spinney_tests::tools::{Log, OnDrop, Why, blow_up, gate, stuck};
use spinney_tests::{DropGuard, Dropped, hub, on_every_hub};

/// The value of a local whose drop matters.
type Kept = Option<Box<dyn std::any::Any + Send + Sync>>;

/// A value that comes back.
struct Again;

impl Drop for Again {
    fn drop(&mut self) {
        SET_AGAIN.set(Some(Self));
    }
}

static NEXT: AtomicUsize = AtomicUsize::new(0);

greenlet_local! {
    static WORD: &'static str = "nothing";
    static OTHER_WORD: &'static str = "nothing";
    static NUMBER: usize = NEXT.fetch_add(1, SeqCst);
    static LENGTH: usize = WORD.with(|word| word.len());
    static ONE_THAT_SETS_ITSELF: u32 = {
        ONE_THAT_SETS_ITSELF.set(1);
        2
    };
    static SHARED: Arc<DropGuard> = Arc::new(Dropped::default().guard());
    static KEPT: Kept = None;
    static ALSO_KEPT: Kept = None;
    static SET_AGAIN: Option<Again> = None;
}

on_every_hub! {
    async fn each_greenlet_has_its_own_local(hub) {
        WORD.set("outer");
        let greenlet = spawn_on(hub, async {
            let before = WORD.get();
            WORD.set("inner");
            yield_now().await;
            (before, WORD.get())
        });
        assert_eq!(greenlet.await.unwrap(), ("nothing", "inner"));
        assert_eq!(WORD.get(), "outer");
    }

    async fn local_is_initialised_once_in_each_greenlet(hub) {
        let numbers = [(), ()].map(|()| spawn_on(hub, async {
            let first = NUMBER.get();
            yield_now().await;
            assert_eq!(NUMBER.get(), first);
            first
        }));
        let [one, two] = numbers;
        assert_ne!(one.await.unwrap(), two.await.unwrap());
    }

    async fn locals_of_one_type_are_independent(hub) {
        let words = spawn_on(hub, async {
            WORD.set("one");
            OTHER_WORD.set("two");
            (WORD.get(), OTHER_WORD.get())
        });
        assert_eq!(words.await.unwrap(), ("one", "two"));
    }

    async fn initial_value_may_use_another_local(hub) {
        let length = spawn_on(hub, async {
            WORD.set("three");
            LENGTH.get()
        });
        assert_eq!(length.await.unwrap(), 5);
    }

    async fn initial_value_may_be_set_during_initialisation(hub) {
        assert_eq!(spawn_on(hub, async { ONE_THAT_SETS_ITSELF.get() }).await.unwrap(), 2);
    }

    async fn value_set_during_with_is_seen_by_the_next_with(hub) {
        let seen = spawn_on(hub, async {
            WORD.with(|before| {
                WORD.set("changed");
                let inside = WORD.with(|word| OTHER_WORD.with(|other| (*word, *other)));
                (*before, inside)
            })
        });
        assert_eq!(seen.await.unwrap(), ("nothing", ("changed", "nothing")));
    }

    async fn replaced_value_is_dropped(hub) {
        let dropped = Dropped::default();
        let count = dropped.clone();
        let greenlet = spawn_on(hub, async move {
            KEPT.set(Some(Box::new(count.guard())));
            KEPT.with(|_| {
                KEPT.set(None);
                assert_eq!(count.count(), 0, "the value was dropped while borrowed");
            });
            count.count()
        });
        assert_eq!(greenlet.await.unwrap(), 1);
    }

    async fn panic_during_with_keeps_the_value(hub) {
        let greenlet = spawn_on(hub, async {
            WORD.set("kept");
            let look = || WORD.with(|_| blow_up("no luck"));
            assert!(std::panic::catch_unwind(look).is_err());
            WORD.get()
        });
        assert_eq!(greenlet.await.unwrap(), "kept");
    }

    async fn local_is_dropped_before_waiters_are_woken(hub) {
        let (dropped, log, open) = (Dropped::default(), Log::default(), gate());
        let (guard, opened) = (dropped.guard(), Arc::clone(&open));
        let greenlet = spawn_on(hub, async move {
            KEPT.set(Some(Box::new(guard)));
            opened.wait().await;
        });
        let (count, seen) = (dropped.clone(), log.clone());
        greenlet.link(move |_| seen.add(count.count()));
        open.set();
        greenlet.await.unwrap();
        assert_eq!(log.take(), [1]);
    }

    async fn local_is_dropped_after_a_kill(hub) {
        let (dropped, started) = (Dropped::default(), gate());
        let (guard, start) = (dropped.guard(), Arc::clone(&started));
        let greenlet = spawn_on(hub, async move {
            KEPT.set(Some(Box::new(guard)));
            stuck(start, ()).await;
        });
        started.wait().await;
        greenlet.kill().await;
        assert_eq!(dropped.count(), 1);
    }

    async fn destructors_of_the_future_see_the_local(hub) {
        let (log, started) = (Log::default(), gate());
        let (seen, start) = (log.clone(), Arc::clone(&started));
        let greenlet = spawn_on(hub, async move {
            WORD.set("set");
            stuck(start, OnDrop::new(move || seen.add(WORD.get()))).await;
        });
        started.wait().await;
        greenlet.kill().await;
        assert_eq!(log.take(), ["set"]);
    }

    async fn destructor_of_a_local_may_create_locals(hub) {
        let (dropped, log, open) = (Dropped::default(), Log::default(), gate());
        let (count, opened) = (dropped.clone(), Arc::clone(&open));
        let greenlet = spawn_on(hub, async move {
            let guard = count.guard();
            let revive = OnDrop::new(move || {
                ALSO_KEPT.with(|also| assert!(also.is_none()));
                ALSO_KEPT.set(Some(Box::new(guard)));
            });
            KEPT.set(Some(Box::new(revive)));
            opened.wait().await;
        });
        let (count, seen) = (dropped.clone(), log.clone());
        greenlet.link(move |_| seen.add(count.count()));
        open.set();
        greenlet.await.unwrap();
        assert_eq!(log.take(), [1]);
        ALSO_KEPT.with(|also| assert!(also.is_none(), "the value of another greenlet is seen"));
    }

    async fn panicking_destructor_makes_the_end_a_panic(hub) {
        let greenlet = spawn_on(hub, async {
            KEPT.set(Some(Box::new(OnDrop::new(|| blow_up("the destructor")))));
        });
        assert_eq!(greenlet.await.unwrap_err().why(), "panicked: the destructor");
    }

    async fn successive_panicking_destructors_are_contained(hub) {
        let greenlet = spawn_on(hub, async {
            KEPT.set(Some(Box::new(OnDrop::new(|| {
                let second = OnDrop::new(|| blow_up("the second"));
                ALSO_KEPT.set(Some(Box::new(second)));
                blow_up("the first")
            }))));
        });
        assert_eq!(greenlet.await.unwrap_err().why(), "panicked: the first");
        assert_eq!(spawn_on(hub, async { 42 }).await.unwrap(), 42);
    }

    async fn two_locals_with_panicking_destructors_are_contained(hub) {
        let greenlet = spawn_on(hub, async {
            KEPT.set(Some(Box::new(OnDrop::new(|| blow_up("the first")))));
            ALSO_KEPT.set(Some(Box::new(OnDrop::new(|| blow_up("the second")))));
        });
        assert_eq!(greenlet.await.unwrap_err().why(), "panicked: the first");
    }

    async fn locals_set_by_destructors_reach_no_other_greenlet(hub) {
        let outer = spawn_on(hub, async {
            let (task, inner) = pair(async {
                let third = || WORD.set("leaked");
                let second = move || ALSO_KEPT.set(Some(Box::new(OnDrop::new(third))));
                KEPT.set(Some(Box::new(OnDrop::new(second))));
            }, ());
            WORD.set("the caller's");
            task.await;
            inner.await.unwrap();
            WORD.get()
        });
        assert_eq!(outer.await.unwrap(), "the caller's");
    }

    async fn destructor_of_a_local_sees_the_later_ones(hub) {
        let log = Log::default();
        let seen = log.clone();
        let greenlet = spawn_on(hub, async move {
            KEPT.set(Some(Box::new(OnDrop::new(move || seen.add(WORD.get())))));
            WORD.set("set");
        });
        greenlet.await.unwrap();
        assert_eq!(log.take(), ["set"]);
    }

    async fn local_that_is_always_set_again_delays_no_end(hub) {
        assert!(spawn_on(hub, async { SET_AGAIN.set(Some(Again)) }).await.is_ok());
        SET_AGAIN.with(|again| assert!(again.is_none()));
    }

    async fn inherit_locals_captures_the_values_at_the_call(hub) {
        let words = spawn_on(hub, async {
            WORD.set("the parent's");
            let child = inherit_locals(async {
                let before = WORD.get();
                WORD.set("the child's");
                (before, WORD.get())
            });
            WORD.set("later");
            (spawn(child).await.unwrap(), WORD.get())
        });
        assert_eq!(words.await.unwrap(), (("the parent's", "the child's"), "later"));
    }

    async fn inherited_values_are_shared_and_dropped_once(hub) {
        let dropped = Dropped::default();
        let guard = Arc::new(dropped.guard());
        let greenlet = spawn_on(hub, async move {
            SHARED.set(Arc::clone(&guard));
            let child = spawn(inherit_locals(async { SHARED.get() }));
            Arc::ptr_eq(&child.await.unwrap(), &guard)
        });
        assert!(greenlet.await.unwrap());
        assert_eq!(dropped.count(), 1);
    }

    async fn unstarted_child_drops_its_inherited_locals(hub) {
        let dropped = Dropped::default();
        let guard = dropped.guard();
        let greenlet = spawn_on(hub, async move {
            KEPT.set(Some(Box::new(guard)));
            let (task, child) = pair(inherit_locals(async {}), ());
            child.kill_now();
            drop(task);
            child.is_ready()
        });
        assert!(greenlet.await.unwrap());
        assert_eq!(dropped.count(), 1);
    }

    async fn task_in_place_has_its_own_locals(hub) {
        let words = spawn_on(hub, async {
            WORD.set("the caller's");
            let (task, inner) = pair(async {
                let before = WORD.get();
                WORD.set("the work's");
                before
            }, ());
            InPlace::new(task, inner.handle()).await;
            (inner.await.unwrap(), WORD.get())
        });
        assert_eq!(words.await.unwrap(), ("nothing", "the caller's"));
    }

    async fn greenlet_polled_inside_another_has_its_own_locals(hub) {
        let words = spawn_on(hub, async {
            WORD.set("the caller's");
            let (task, inner) = pair(async { WORD.get() }, ());
            task.await;
            (inner.await.unwrap(), WORD.get())
        });
        assert_eq!(words.await.unwrap(), ("nothing", "the caller's"));
    }
}

#[test]
fn each_thread_has_its_own_locals_outside_greenlets() {
    let dropped = Dropped::default();
    WORD.set("this thread's");
    let guard = dropped.guard();
    let other = std::thread::spawn(move || {
        let before = WORD.get();
        WORD.set("the other thread's");
        KEPT.set(Some(Box::new(guard)));
        (before, WORD.get())
    });
    assert_eq!(other.join().unwrap(), ("nothing", "the other thread's"));
    assert_eq!((WORD.get(), dropped.count()), ("this thread's", 1));
}

#[test]
fn local_moves_between_threads_with_its_greenlet() {
    let hub = hub(4);
    let greenlets: Vec<_> = (0..50)
        .map(|_| {
            spawn_on(&hub, async {
                let number = NUMBER.get();
                for _ in 0..100 {
                    yield_now().await;
                    assert_eq!(NUMBER.get(), number);
                }
            })
        })
        .collect();
    hub.block_on(spinney_tests::in_time(async {
        for greenlet in greenlets {
            greenlet.await.unwrap();
        }
    }));
}

#[test]
fn greenlet_keeps_its_locals_over_a_nested_block_on() {
    let hub = hub(1);
    let own = hub.clone();
    let greenlet = spawn_on(&hub, async move {
        WORD.set("greenlet's");
        let other = spawn(async {
            let before = WORD.get();
            WORD.set("other's");
            before
        });
        let inside = own.block_on(async { (other.await.unwrap(), WORD.get()) });
        (inside, WORD.get())
    });
    assert_eq!(block_on(greenlet).unwrap(), (("nothing", "greenlet's"), "greenlet's"));
}
