//! The promises of spawn hooks: which calls, in which greenlet, and how often.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;

use futures_lite::StreamExt;
use spinney::gevent::GroupExt as _;
use spinney::pool::SpawnHook;
use spinney::task::spawn_on;
use spinney::{Greenlet, Group, Handle, Pool, yield_now};
use spinney_tests::on_every_hub;
use spinney_tests::tools::{Log, blow_up};

/// Logs its calls.
#[derive(Clone, Default)]
struct Notes {
    log: Log<(&'static str, u64)>,
}

impl SpawnHook for Notes {
    fn started(&self, greenlet: &Handle) {
        assert_eq!(Handle::current().as_ref(), Some(greenlet));
        self.log.add(("started", greenlet.id()));
    }

    fn running(&self, greenlet: &Handle, run: &mut dyn FnMut()) {
        self.log.add(("running", greenlet.id()));
        run();
        self.log.add(("waiting", greenlet.id()));
        // A second call is a no-op.
        run();
    }
}

/// Panics in the second greenlet that it sees.
#[derive(Default)]
struct Panics {
    seen: AtomicUsize,
    when_running: bool,
}

impl SpawnHook for Panics {
    fn started(&self, _: &Handle) {
        if self.seen.fetch_add(1, SeqCst) == 1 && !self.when_running {
            blow_up("started");
        }
    }

    fn running(&self, _: &Handle, run: &mut dyn FnMut()) {
        run();
        if self.when_running && self.seen.load(SeqCst) == 2 {
            blow_up("running");
        }
    }
}

/// Skips every other call of `run`.
#[derive(Default)]
struct Forgets(AtomicUsize);

impl SpawnHook for Forgets {
    fn running(&self, _: &Handle, run: &mut dyn FnMut()) {
        if self.0.fetch_add(1, SeqCst) % 2 == 1 {
            run();
        }
    }
}

on_every_hub! {
    async fn hook_is_called_at_the_start_and_for_each_poll(hub) {
        let notes = Notes::default();
        let pool = Pool::builder().hook(notes.clone()).pool_on(hub, 1);
        let log = notes.log.clone();
        let greenlet = pool.spawn(async move {
            log.add(("work", 0));
            yield_now().await;
            log.add(("work", 1));
        }).await;
        let id = greenlet.id();
        greenlet.await.unwrap();
        let expected = [
            ("started", id), ("running", id), ("work", 0), ("waiting", id),
            ("running", id), ("work", 1), ("waiting", id),
        ];
        assert_eq!(notes.log.take(), expected);
    }

    async fn every_spawning_verb_applies_the_hook(hub) {
        let notes = Notes::default();
        let group = Group::builder().hook(notes.clone()).group_on(hub);
        let pool = Pool::builder().hook(notes.clone()).pool_on(hub, 1);
        let starts = || notes.log.take().iter().filter(|(what, _)| *what == "started").count();
        group.spawn(async {}).await.unwrap();
        group.apply(async {}).await.unwrap();
        pool.apply_async(async {}).await.unwrap();
        pool.try_spawn(async {}).unwrap().await.unwrap();
        assert_eq!(starts(), 4);
        let open = spinney_tests::tools::gate();
        let holder = pool.spawn(spinney_tests::tools::behind(Arc::clone(&open), ())).await;
        let late = pool.apply_async(async {});
        open.set();
        holder.await.unwrap();
        late.await.unwrap();
        assert_eq!(starts(), 2);
    }

    async fn items_of_maps_have_the_hook(hub) {
        let notes = Notes::default();
        let pool = Pool::builder().hook(notes.clone()).pool_on(hub, 1);
        let ids = pool.map(|_: u32| async { Handle::current().unwrap().id() }, 0..3).await.unwrap();
        let log = notes.log.take();
        for id in ids {
            assert_eq!(log.iter().filter(|entry| **entry == ("started", id)).count(), 1);
        }
    }

    async fn added_or_unstarted_greenlet_has_no_hook(hub) {
        let notes = Notes::default();
        let pool = Pool::builder().hook(notes.clone()).pool_on(hub, 2);
        let greenlet = Greenlet::new(async {});
        assert!(pool.start(&greenlet).await);
        greenlet.await.unwrap();
        let stranger = spawn_on(hub, yield_now());
        pool.add(&stranger).await;
        stranger.await.unwrap();
        assert_eq!(notes.log.take(), []);
    }

    async fn panicking_hook_fails_its_greenlet_alone(hub) {
        for when_running in [false, true] {
            let hook = Panics { when_running, ..Panics::default() };
            let pool = Pool::builder().hook(hook).pool_on(hub, 1);
            for n in 0..3 {
                let ended = pool.spawn(async move { n }).await.await;
                assert_eq!(ended.is_err(), n == 1);
                assert_eq!(ended.map_or(1, |n| n), n);
                assert_eq!((pool.len(), pool.available()), (0, 1));
            }
        }
    }

    async fn panicking_hook_fails_its_item_and_the_map_goes_on(hub) {
        for when_running in [false, true] {
            let hook = Panics { when_running, ..Panics::default() };
            let pool = Pool::builder().hook(hook).pool_on(hub, 1);
            pool.spawn(async {}).await.await.unwrap();
            let item = |n: u32| async move {
                yield_now().await;
                n
            };
            let results: Vec<_> = pool.imap(item, 0..3).collect().await;
            let told = if when_running { "panicked: running" } else { "panicked: started" };
            let first = results[0].as_ref().unwrap_err().to_string();
            assert!(first.contains(told), "{first}");
            assert_eq!(results[1..].iter().map(|n| *n.as_ref().unwrap()).collect::<Vec<_>>(), [1, 2]);
            pool.wait_idle().await.unwrap();
            assert_eq!((pool.len(), pool.available()), (0, 1));
        }
    }

    async fn hook_that_does_not_call_run_delays_the_poll(hub) {
        let pool = Pool::builder().hook(Forgets::default()).pool_on(hub, 1);
        assert_eq!(pool.spawn(async { yield_now().await; 42 }).await.await.unwrap(), 42);
        assert_eq!(pool.map(|n: u32| async move { n }, 0..3).await.unwrap(), [0, 1, 2]);
    }
}
