//! The promises of `joinall` with a timeout, and of kills that do not wait.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::poll_once;
use spinney::task::joinall;
use spinney::task::{
    GreenletExit, Iwait, inherit_locals, iwait, killall, killall_now, killall_now_with, spawn_on,
    try_joinall,
};
use spinney::{Greenlet, Within, shield, yield_now};
use spinney_greenlet::pair;
use spinney_tests::tools::{Why, behind, gate, polled};
use spinney_tests::{SimHub, on_every_hub};

const SHORT: Duration = Duration::from_millis(5);
const LONG: Duration = Duration::from_secs(3600);

fn ids<T>(greenlets: &[Greenlet<T>]) -> Vec<u64> {
    greenlets.iter().map(|greenlet| greenlet.id()).collect()
}

on_every_hub! {
    async fn joinall_timeout_returns_the_ready_and_the_rest(hub) {
        let open = gate();
        let never = |_| spawn_on(hub, pending());
        let mut greenlets: Vec<Greenlet<u32>> = (0..3).map(never).collect();
        greenlets.push(spawn_on(hub, async { 1 }));
        greenlets.push(spawn_on(hub, behind(Arc::clone(&open), 2)));
        let made = ids(&greenlets);
        greenlets[3].join().await;
        open.set();
        greenlets[4].join().await;
        let joined = joinall(greenlets).timeout(SHORT).await;
        assert_eq!((ids(&joined.ready), ids(&joined.rest)), (made[3..].to_vec(), made[..3].to_vec()));
        let mut sum = 0;
        for greenlet in joined.ready {
            sum += greenlet.await.unwrap();
        }
        assert_eq!(sum, 3);
        killall(joined.rest).await;
    }

    async fn joinall_timeout_returns_once_all_have_finished(hub) {
        let greenlets: Vec<_> = (0..3).map(|n| spawn_on(hub, async move { n })).collect();
        let joined = joinall(greenlets).timeout(LONG).await;
        assert_eq!((joined.ready.len(), joined.rest.len()), (3, 0));
    }

    async fn joinall_timeout_of_zero_returns_the_ready(hub) {
        let (done, stuck) = (spawn_on(hub, async {}), spawn_on(hub, pending()));
        done.join().await;
        let mut joined = joinall([done, stuck]).timeout(Duration::ZERO).await;
        while joined.ready.is_empty() {
            // Its links may still be running, on a thread of the hub.
            yield_now().await;
            joined = joinall(joined.rest).timeout(Duration::ZERO).await;
        }
        assert_eq!((joined.ready.len(), joined.rest.len()), (1, 1));
        joined.rest[0].kill_now();
    }

    async fn joinall_timeout_with_a_count_returns_the_others(hub) {
        let greenlets: Vec<_> = (0..5).map(|_| spawn_on(hub, async {})).collect();
        let joined = joinall(greenlets).count(2).timeout(LONG).await;
        assert_eq!((joined.ready.len(), joined.rest.len()), (2, 3));
    }

    async fn joinall_goes_on_after_a_timeout(hub) {
        let open = gate();
        let greenlets = [spawn_on(hub, async { 1 }), spawn_on(hub, behind(Arc::clone(&open), 2))];
        let mut all = joinall(greenlets);
        assert!((&mut all).within(SHORT).await.is_err());
        open.set();
        assert_eq!(all.await.len(), 2);
    }

    async fn killall_timeout_returns_the_survivors(hub) {
        let (open, started) = (gate(), gate());
        let saves = polled(Arc::clone(&started), behind(Arc::clone(&open), ()));
        let greenlets = [spawn_on(hub, shield(saves)), spawn_on(hub, pending())];
        started.wait().await;
        let joined = killall(greenlets).timeout(SHORT).await;
        assert_eq!((joined.ready.len(), joined.rest.len()), (1, 1));
        open.set();
        joinall(joined.rest).await;
    }

    async fn killall_now_kills_without_waiting(hub) {
        let started = gate();
        let open = gate();
        let saves = polled(Arc::clone(&started), behind(Arc::clone(&open), ()));
        let greenlets = [spawn_on(hub, shield(saves)), spawn_on(hub, pending())];
        started.wait().await;
        killall_now_with(&greenlets, GreenletExit::because("too late"));
        killall_now(&greenlets);
        assert!(poll_once(greenlets[0].join()).await.is_none());
        open.set();
        for greenlet in greenlets {
            assert_eq!(greenlet.await.unwrap_err().why(), "killed: too late");
        }
    }
}

#[test]
fn deadlock_names_the_line_that_waits_for_greenlets() {
    let sim = SimHub::new();
    let (_task, never) = pair(pending::<()>(), ());
    let mut told = Vec::new();
    macro_rules! waits {
        ($what:literal, |$never:ident| $wait:expr) => {{
            let $never = never.handle().clone();
            let line = line!();
            let greenlet = spawn_on(&sim, async move { _ = $wait.await });
            told.push(format!("{} waits for {} at {}:{line}:", greenlet.handle(), $what, file!()));
            greenlet.detach();
        }};
    }
    waits!("Iwait", |never| StreamExt::next(&mut iwait([never])));
    waits!("Iwait", |never| StreamExt::next(&mut Iwait::from_iter([never])));
    waits!("Iwait::next", |never| iwait([never]).next());
    waits!("joinall", |never| joinall([never]));
    waits!("joinall", |never| joinall([never]).timeout(Duration::MAX));
    waits!("try_joinall", |never| try_joinall([never]));
    waits!("Greenlet::join", |never| inherit_locals(never.join()));
    waits!("Greenlet::join", |never| shield(never.join()));
    waits!("Greenlet::join", |_never| pair(pending::<()>(), ()).1.get());
    let text = sim.try_block_on(pending::<()>()).unwrap_err().to_string();
    for told in told {
        assert!(text.contains(&told), "{told:?} is missing in:\n{text}");
    }
}

#[test]
fn deadlock_names_the_line_that_waits_for_a_kill() {
    let sim = SimHub::new();
    let refuses = spawn_on(&sim, shield(pending::<()>()));
    let (one, all) = (refuses.handle().clone(), refuses.handle().clone());
    let started = spawn_on(&sim, async { yield_now().await });
    sim.block_on(started).unwrap();
    let one = (line!(), spawn_on(&sim, async move { one.kill().await }));
    let all = (line!(), spawn_on(&sim, async move { drop(killall([all]).await) }));
    let text = sim.try_block_on(pending::<()>()).unwrap_err().to_string();
    for ((line, greenlet), what) in [(one, "Greenlet::join"), (all, "killall")] {
        let told = format!("{} waits for {what} at {}:{line}:", greenlet.handle(), file!());
        assert!(text.contains(&told), "{told:?} is missing in:\n{text}");
    }
}
