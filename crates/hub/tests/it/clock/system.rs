//! The system's clock, on hubs and without any.

use std::cell::RefCell;
use std::future::pending;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::{Arc, Weak};
use std::task::{Context, Wake, Waker};
use std::thread;
use std::time::{Duration, Instant};

use async_channel::bounded;
use futures_lite::future::{block_on, poll_once};
use spinney_hub::{Clock, Hub, LocalHub, Sleep, Spawn, Within, sleep, sleep_until};
use spinney_test_support::{ByHand, NoWake};

const MOMENT: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);

/// A sleep that was polled on a hub and a thread that are gone.
fn begun_elsewhere() -> Sleep {
    let begin = || {
        let mut asleep = sleep(5 * MOMENT);
        LocalHub::new().block_on(poll_once(&mut asleep));
        asleep
    };
    thread::spawn(begin).join().unwrap()
}

/// A waker, and a reference that shows whether it still exists.
fn waker() -> (Waker, Weak<NoWake>) {
    let nobody = Arc::new(NoWake);
    let weak = Arc::downgrade(&nobody);
    (Waker::from(nobody), weak)
}

#[test]
fn sleeps_on_a_local_hub_end_in_order_and_not_early() {
    for slack in [Duration::ZERO, 20 * MOMENT] {
        // All tasks must be asleep before the first sleep is due, which may take a while on a busy
        // machine.
        let mut lead = MOMENT;
        while !sleepers_end_in_order(slack, lead) {
            lead *= 2;
        }
    }
}

/// Returns `false` if not all tasks were asleep after `lead`.
fn sleepers_end_in_order(slack: Duration, lead: Duration) -> bool {
    let hub = LocalHub::new().with_timer_slack(slack);
    let start = Instant::now() + lead;
    let ended = Rc::new(RefCell::new(Vec::new()));
    let mut random = fastrand::Rng::with_seed(3);
    for _ in 0..2000 {
        let ended = Rc::clone(&ended);
        let at = start + Duration::from_nanos(random.u64(0..20_000_000));
        hub.spawn(async move {
            sleep_until(at).await;
            assert!(Instant::now() >= at);
            ended.borrow_mut().push(at);
        });
    }
    let in_time = hub.block_on(async {
        // The tasks had their turns before this one.
        let now = Instant::now();
        while ended.borrow().len() < 2000 {
            sleep(MOMENT).await;
        }
        now < start
    });
    assert!(!in_time || ended.borrow().is_sorted());
    in_time
}

#[test]
fn slack_of_a_hub_is_that_of_its_clock() {
    let (slack, clock) = (MOMENT, || async { Clock::current() });
    let hubs = [Hub::builder().threads(1).timer_slack(slack).build().unwrap(), Hub::global()];
    let local = LocalHub::new().with_timer_slack(slack);
    let clocks = [hubs[0].block_on(clock()), local.block_on(clock()), hubs[1].block_on(clock())];
    let [own, local, global] = clocks.map(|clock| clock == Clock::default());
    assert!(!own && !local && global, "{own} {local} {global}");
    assert!(hubs[0].block_on(clock()) == Clock::default().with_timer_slack(slack));
}

#[test]
fn sleeps_end_on_all_threads_concurrently() {
    let sleepers = |seed| {
        let mut random = fastrand::Rng::with_seed(seed);
        let hub = LocalHub::new();
        let (done, all_done) = bounded::<()>(1);
        for _ in 0..500 {
            let (done, time) = (done.clone(), Duration::from_nanos(random.u64(0..5_000_000)));
            hub.spawn(async move {
                let start = Instant::now();
                sleep(time).await;
                assert!(start.elapsed() >= time);
                drop(done);
            });
        }
        drop(done);
        hub.block_on(all_done.recv()).unwrap_err();
    };
    thread::scope(|scope| {
        for seed in 0..20 {
            scope.spawn(move || sleepers(seed));
        }
    });
}

#[test]
fn endless_polls_do_not_end_a_sleep_early() {
    let at = Instant::now() + 2 * MOMENT;
    let mut asleep = ByHand::of(sleep_until(at));
    while asleep.poll_again().is_pending() {}
    assert!(Instant::now() >= at);
}

#[test]
fn earlier_sleep_does_not_wait_for_a_later_one() {
    let long = ByHand::waiting(sleep(HOUR));
    block_on(sleep(MOMENT));
    let longer = ByHand::waiting(sleep(2 * HOUR));
    LocalHub::new().block_on(async {
        sleep(2 * MOMENT).within(HOUR).await.unwrap();
        sleep(MOMENT).within(HOUR).await.unwrap();
    });
    assert_eq!((long.wakes(), longer.wakes()), (0, 0));
}

#[test]
fn sleep_ends_after_its_first_hub_is_gone() {
    block_on(begun_elsewhere());
    LocalHub::new().block_on(begun_elsewhere());
    Hub::builder().threads(1).build().unwrap().block_on(begun_elsewhere());
}

#[test]
fn sleep_ends_on_the_hub_of_its_last_poll() {
    let mut asleep = begun_elsewhere();
    let (send, receive) = bounded(1);
    let hub = Hub::builder().threads(2).build().unwrap();
    LocalHub::new().block_on(poll_once(&mut asleep));
    hub.spawn(async move {
        asleep.await;
        send.send(()).await.unwrap();
    });
    block_on(receive.recv()).unwrap();
}

#[test]
fn sleep_ends_while_its_hub_is_blocked() {
    LocalHub::new().block_on(async {
        let mut asleep = sleep(MOMENT);
        assert!(poll_once(&mut asleep).await.is_none());
        block_on(asleep);
        block_on(sleep(MOMENT));
    });
}

#[test]
fn sleep_dropped_on_another_thread_leaves_no_waker() {
    let (waker, alive) = waker();
    let mut asleep = sleep(HOUR);
    assert!(Pin::new(&mut asleep).poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    assert_eq!(alive.strong_count(), 1);
    thread::spawn(|| drop(asleep)).join().unwrap();
    assert_eq!(alive.strong_count(), 0);
}

#[test]
fn only_the_waker_of_the_last_poll_is_kept() {
    let mut asleep = sleep(HOUR);
    let wakers = [waker(), waker(), waker()];
    for (waker, _) in &wakers {
        for _ in 0..3 {
            assert!(Pin::new(&mut asleep).poll(&mut Context::from_waker(waker)).is_pending());
        }
    }
    let alive = wakers.map(|(_, alive)| alive);
    assert_eq!(alive.map(|alive| alive.strong_count()), [0, 0, 1]);
}

#[test]
fn panicking_waker_keeps_no_other_sleep_pending() {
    struct Panics;
    impl Wake for Panics {
        fn wake(self: Arc<Self>) {
            panic!("a waker of this test's");
        }
    }
    let at = Instant::now() + 2 * MOMENT;
    let waker = Waker::from(Arc::new(Panics));
    let mut before = sleep_until(at);
    assert!(Pin::new(&mut before).poll(&mut Context::from_waker(&waker)).is_pending());
    let mut asleep: Vec<_> = (0..10).map(|_| sleep_until(at)).collect();
    block_on(async {
        for asleep in &mut asleep {
            asleep.await;
        }
    });
    assert!(ByHand::of(before).poll().is_ready());
}

#[test]
fn large_burst_of_sleeps_ends() {
    const MANY: usize = 5000;
    let hub = LocalHub::new();
    let at = Instant::now() + MOMENT;
    let (done, all_done) = bounded::<()>(1);
    for _ in 0..MANY {
        let done = done.clone();
        hub.spawn(async move {
            sleep_until(at).await;
            drop(done);
        });
    }
    drop(done);
    hub.block_on(all_done.recv()).unwrap_err();
}

#[test]
fn dropped_limits_do_not_delay_the_others() {
    LocalHub::new().block_on(async {
        for _ in 0..10_000 {
            assert_eq!(async { 42 }.within(HOUR).await, Ok(42));
            assert_eq!(poll_once(pending::<()>().within(HOUR)).await, None);
        }
        pending::<()>().within(MOMENT).await.unwrap_err();
    });
}
