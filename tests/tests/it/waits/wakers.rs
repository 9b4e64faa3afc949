//! Wakers are foreign code: a panicking waker strands no waiter behind it, and a waker that uses
//! the pool when it is dropped finds no lock held.

use std::future::pending;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::sync::atomic::Ordering::SeqCst;
use std::task::{Context, Poll, Wake, Waker};

use spinney::task::spawn_on;
use spinney::{LocalHub, Pool};
use spinney_tests::tools::{OnDrop, blow_up};

/// Counts its wake-ups, then panics, unless that would abort the process.
struct Panics(AtomicUsize);

impl Wake for Panics {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
        if !std::thread::panicking() {
            blow_up("a waker");
        }
    }
}

/// Calls a function when its last clone is dropped.
struct Watched<F: FnOnce()>(OnDrop<F>);

impl<F: FnOnce() + Send + Sync> Wake for Watched<F> {
    fn wake(self: Arc<Self>) {}
}

/// Polls each of `waits` with its own panicking waker; returns those wakers.
fn polled<F: Future>(waits: &mut [Pin<Box<F>>]) -> Vec<Arc<Panics>> {
    let poll = |wait: &mut Pin<Box<F>>| {
        let panics = Arc::new(Panics(AtomicUsize::new(0)));
        let waker = Waker::from(Arc::clone(&panics));
        assert!(wait.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
        panics
    };
    waits.iter_mut().map(poll).collect()
}

/// Asserts that `wakes` wakes each of three waits, although all wakers panic.
#[track_caller]
fn assert_all_woken<F: Future>(wait: impl Fn() -> F, wakes: impl FnOnce()) {
    let mut waits = [(); 3].map(|()| Box::pin(wait()));
    let woken = polled(&mut waits);
    wakes();
    let woken: Vec<_> = woken.iter().map(|woken| woken.0.load(SeqCst)).collect();
    assert!(woken.iter().all(|count| *count > 0), "{woken:?}");
}

/// A pool on `hub` whose only slot is taken for ever.
fn full(hub: &LocalHub) -> Pool<LocalHub> {
    let pool = Pool::on(hub, 1);
    hub.block_on(pool.spawn(pending::<()>())).detach();
    pool
}

#[test]
fn resize_wakes_the_waiters_behind_a_panicking_waker() {
    let hub = LocalHub::new();
    let pool = full(&hub);
    assert_all_woken(|| pool.spawn(async {}), || pool.resize(4));
}

#[test]
fn close_wakes_the_waiters_behind_a_panicking_waker() {
    let hub = LocalHub::new();
    let pool = full(&hub);
    assert_all_woken(|| pool.spawn(async {}), || _ = pool.close());
    // The feeder of a map waits at another gate.
    assert!(hub.block_on(pool.map(|()| async {}, [()])).is_err());
}

#[test]
fn last_member_wakes_all_joins_behind_a_panicking_waker() {
    let hub = LocalHub::new();
    let pool = full(&hub);
    let member = pool.members().remove(0);
    assert_all_woken(|| pool.join(), || hub.block_on(member.kill()));
}

#[test]
fn finished_member_wakes_all_despite_a_panicking_waker() {
    let hub = LocalHub::new();
    let pool = full(&hub);
    let (mut spawn, mut join) = ([Box::pin(pool.spawn(async {}))], [Box::pin(pool.join())]);
    let member = pool.members().remove(0);
    let (spawns, joins) = (polled(&mut spawn), polled(&mut join));
    hub.block_on(member.kill());
    assert_eq!((spawns[0].0.load(SeqCst), joins[0].0.load(SeqCst)), (1, 1));
}

#[test]
fn kill_reaches_the_members_behind_a_panicking_waker() {
    let hub = LocalHub::new();
    let pool = Pool::on(&hub, 3);
    let greenlets = [(); 3].map(|()| {
        let (task, greenlet) = spinney_greenlet::pair(pending::<()>(), ());
        assert!(hub.block_on(pool.add(greenlet.handle())));
        (Box::pin(task), greenlet)
    });
    let (mut tasks, greenlets): (Vec<_>, Vec<_>) = greenlets.into_iter().unzip();
    let woken = polled(&mut tasks);
    pool.kill_now();
    assert!(woken.iter().all(|woken| woken.0.load(SeqCst) == 1));
    assert!(greenlets.iter().all(|greenlet| greenlet.handle().exit().is_some()));
}

/// Polls a wait with a waker whose drop calls `look`, then with another, and drops it; then drops
/// another wait that waits with such a waker.
fn replaced_and_dropped<F: Future>(
    wait: impl Fn() -> F,
    look: impl Fn() + Send + Sync + Clone + 'static,
) {
    for replaced in [true, false] {
        let mut waiting = pin!(Some(wait()));
        let mut poll = |waker: Waker| {
            let waiting = waiting.as_mut().as_pin_mut().unwrap();
            matches!(waiting.poll(&mut Context::from_waker(&waker)), Poll::Pending)
        };
        let look = look.clone();
        assert!(poll(Waker::from(Arc::new(Watched(OnDrop::new(look))))));
        if replaced {
            assert!(poll(Waker::noop().clone()));
        }
        waiting.set(None);
    }
}

#[test]
fn waker_that_uses_the_pool_is_dropped_unlocked() {
    let hub = spinney_tests::hub(1);
    let pool = Pool::on(&hub, 1);
    hub.block_on(pool.spawn(pending::<()>())).detach();
    let looked = Arc::new(AtomicUsize::new(0));
    let look = {
        let (pool, looked) = (pool.clone(), Arc::clone(&looked));
        move || {
            looked.fetch_add(pool.members().len() + pool.waiting() + pool.len(), SeqCst);
        }
    };
    let stranger = spawn_on(&hub, pending::<()>());
    replaced_and_dropped(|| pool.spawn(async {}), look.clone());
    replaced_and_dropped(|| pool.add(stranger.handle()), look.clone());
    replaced_and_dropped(|| pool.wait_available(), look.clone());
    replaced_and_dropped(|| pool.join(), look.clone());
    replaced_and_dropped(|| pool.wait_idle(), look.clone());
    let (map, inner) = (pool.clone(), pool.clone());
    replaced_and_dropped(move || map.map(|()| async {}, [()]), look.clone());
    // A member waits at another place.
    let member = Pool::on(&hub, 1);
    let (inside, looks) = (member.clone(), look.clone());
    let waits = member.clone();
    let run = async move {
        let _stays = inner;
        let waits = &waits;
        replaced_and_dropped(|| waits.wait_available(), looks.clone());
        replaced_and_dropped(|| waits.map(|()| pending::<()>(), [()]), looks);
    };
    hub.block_on(async { inside.spawn(run).await.await.unwrap() });
    assert!(looked.load(SeqCst) >= 16);
}
