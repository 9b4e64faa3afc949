//! The promises of dumps.

use std::future::{pending, poll_fn};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::mpsc;
use std::task::Poll;
use std::time::{Duration, Instant};

use spinney_greenlet::{Greenlet, Handle, named, spawn_on};
use spinney_hub::{LocalHub, block_on, sleep, yield_now};
use spinney_pool::{Group, Pool, Rate};
use spinney_sim::SimHub;
use spinney_sync::Event;
use spinney_threadpool::ThreadPool;
use spinney_trace::{Activity, dump, dump_on_signal_to, start};

use crate::{Block, dump_when, hub, spawned_between};

#[test]
fn dump_shows_where_each_greenlet_waits() {
    let hub = hub(1);
    let from = line!();
    let event = Arc::new(Event::new());
    let opened = Arc::clone(&event);
    let (waits, line) = (async move { opened.wait().await }, line!());
    let greenlet = spawn_on(&hub, waits).named("reader");
    let here = |dump: &_| spawned_between(dump, file!(), from, line + 2);
    let dump = dump_when(|dump| here(dump)[0].wait.is_some());
    let info = &here(&dump)[0];
    let wait = info.wait.unwrap();
    assert_eq!((wait.what(), wait.at().line()), ("Event::wait", line));
    assert_eq!((info.id, info.activity), (greenlet.id(), Activity::Waiting));
    assert_eq!((info.name.as_deref(), info.parent, info.polls), (Some("reader"), None, 1));
    let text = dump.to_string();
    assert!(text.contains(&format!("1 greenlet waits for Event::wait at {}", wait.at())), "{text}");
    assert!(text.contains(&format!("greenlet {} \"reader\"", info.id)), "{text}");
    event.set();
    block_on(greenlet).unwrap();
    assert!(here(&spinney_trace::dump()).is_empty());
}

#[test]
fn hundred_at_one_line_are_one_entry() {
    let hub = hub(2);
    let group = Group::on(&hub);
    let line = line!() + 1;
    (0..100).for_each(|_| group.spawn(async { sleep(Duration::from_secs(3600)).await }).detach());
    let text = format!("100 greenlets wait for sleep at {}:{line}:", file!());
    let dump = dump_when(|dump| dump.to_string().contains(&text));
    assert!(dump.to_string().contains("and 95 more"));
    block_on(group.kill());
}

#[test]
fn dump_of_two_deadlocked_pools_names_both_lines() {
    let hub = hub(2);
    let pools = [Pool::on(&hub, 1), Pool::on(&hub, 1)];
    let both = Arc::new(spinney_sync::Barrier::new(2));
    let mut lines = Vec::new();
    let members = [0, 1].map(|n| {
        let (other, both) = (pools[1 - n].clone(), Arc::clone(&both));
        lines.push(line!() + 3);
        let member = async move {
            both.wait().await;
            other.spawn(async {}).await.detach();
        };
        block_on(pools[n].spawn(member)).handle().clone()
    });
    let waits = |dump: &spinney_trace::Dump| {
        let ours = dump.greenlets.iter().filter(|info| members.iter().any(|m| m.id() == info.id));
        ours.filter_map(|info| info.wait).filter(|wait| wait.what() == "a slot of a pool").count()
    };
    let dump = dump_when(|dump| waits(dump) == 2);
    let text = dump.to_string();
    for (line, pool) in lines.iter().zip(&members) {
        assert!(text.contains(&format!("a slot of a pool at {}:{line}:", file!())), "{text}");
        assert!(text.contains(&format!("greenlet {}", pool.id())), "{text}");
    }
    let full = dump.pools.iter().filter(|pool| {
        pool.created_at.file() == file!() && (pool.report.running, pool.report.waiting) == (1, 1)
    });
    assert_eq!(full.count(), 2);
    for pool in pools {
        block_on(pool.kill());
    }
}

#[test]
fn dump_works_while_all_threads_are_blocked() {
    let (hub, block) = (hub(1), Block::new());
    let held = Arc::clone(&block);
    let line = line!() + 1;
    let greenlet = spawn_on(&hub, named("holder", async move { held.wait() }));
    let here = |dump: &_| spawned_between(dump, file!(), line, line + 1);
    let dump = dump_when(|dump| here(dump)[0].activity == Activity::Polled);
    let polls =
        |info: &spinney_trace::ThreadInfo| info.polls.iter().any(|poll| poll.0 == greenlet.id());
    let hub_info = dump.hubs.iter().find(|hub| hub.threads.iter().any(polls)).unwrap();
    assert_eq!((hub_info.hub.name.as_str(), hub_info.hub.threads), ("traced", Some(1)));
    let text = dump.to_string();
    let polled = format!("thread \"traced-0\" polls greenlet {} \"holder\"", greenlet.id());
    assert!(text.contains(&polled), "{text}");
    block.open();
    block_on(greenlet).unwrap();
}

#[test]
fn items_are_shown_with_pool_index_and_parent() {
    start().unwrap();
    let hub = LocalHub::new();
    hub.block_on(async {
        let pool = Pool::on(&hub, 2);
        let line = line!() - 1;
        let inside = pool.clone();
        let parent = spawn_on(
            &hub,
            named("mapper", async move { inside.map(|_| pending::<()>(), 0..10).await.map(drop) }),
        );
        let (pool_number, items) = loop {
            sleep(Duration::from_millis(1)).await;
            let dump = dump();
            let pool = dump.pools.iter().find(|pool| pool.created_at.line() == line);
            let number = pool.map(|pool| pool.number);
            let items = dump.greenlets.iter().filter(|info| info.pool == number);
            let items: Vec<_> = items.filter(|info| info.item.is_some()).cloned().collect();
            if number.is_some() && items.iter().filter(|info| info.polls == 1).count() == 2 {
                let text = dump.to_string();
                let chain = format!("(item 1), {:.1?} old, of greenlet", items[1].age);
                assert!(text.contains(&chain), "{text}");
                break (number, items);
            }
        };
        assert!(pool_number.is_some());
        let indices: Vec<_> = items.iter().map(|info| info.item).collect();
        assert_eq!(indices, [Some(0), Some(1)]);
        assert!(items.iter().all(|info| info.parent == Some(parent.id())));
        parent.kill().await;
        pool.kill().await;
    });
}

#[test]
fn closures_of_thread_pools_are_shown() {
    start().unwrap();
    let (pool, block) = (ThreadPool::new(1), Block::new());
    let closures = [0, 1].map(|_| {
        let block = Arc::clone(&block);
        pool.submit(move || block.wait())
    });
    let activities = |dump: &spinney_trace::Dump| {
        let mut ours = spawned_between(dump, file!(), line!() - 4, line!());
        ours.sort_by_key(|info| info.id);
        ours.iter().map(|info| info.activity).collect::<Vec<_>>()
    };
    dump_when(|dump| activities(dump) == [Activity::Polled, Activity::Queued]);
    block.open();
    for closure in closures {
        closure.wait().unwrap();
    }
}

#[test]
fn limits_of_a_pool_are_shown() {
    start().unwrap();
    let sim = SimHub::new();
    sim.block_on(async {
        let line = line!() + 1;
        let pool = Pool::on(&sim, 4);
        pool.set_rates([Rate::per(50, Duration::from_secs(1)).burst(5)]);
        pool.set_key_rates([Rate::per(10, Duration::from_secs(60))]);
        pool.set_per_key(Some(1));
        pool.set_max_waiting(Some(10));
        pool.slot().key(&"a").spawn(pending::<()>()).await.detach();
        pool.pause_for(Duration::from_secs(30));
        let waiters = [7, 0, 7].map(|priority| {
            let pool = pool.clone();
            let wait = async move { pool.slot().priority(priority).await.map(drop) };
            spawn_on(&sim, wait)
        });
        sleep(Duration::from_secs(10)).await;
        let dump = dump();
        let info = dump.pools.iter().find(|pool| pool.created_at.line() == line).unwrap();
        assert_eq!(info.limits.waiting, [(7, 2), (0, 1)]);
        let expected = "  starts 50 per 1s, burst 5; starts of a key 10 per 60s; 1 of a key at \
            once; keys in use: 1; at most 10 wait; 2 wait with priority 7; 1 wait with priority 0; \
            paused for 20.0s more\n";
        assert!(dump.to_string().contains(expected), "{dump}");
        for waiter in waiters {
            waiter.kill().await;
        }
        pool.kill().await;
    });
}

#[test]
fn unstarted_greenlet_is_shown_as_such() {
    start().unwrap();
    let greenlet = Greenlet::new(async {});
    let dump = dump();
    let info = dump.greenlets.iter().find(|info| info.id == greenlet.id()).unwrap();
    assert_eq!((info.activity, info.hub), (Activity::Unstarted, None));
    greenlet.kill_now();
    let dump = spinney_trace::dump();
    assert!(dump.greenlets.iter().all(|info| info.id != greenlet.id()));
}

#[test]
fn times_of_a_simulation_are_virtual() {
    start().unwrap();
    let sim = SimHub::new();
    sim.block_on(async {
        let sleeper = spawn_on(&sim, async {
            sleep(Duration::from_secs(10)).await;
            Handle::current().unwrap().set_name("rested");
            sleep(Duration::from_secs(50)).await;
        });
        sleep(Duration::from_secs(30)).await;
        let dump = dump();
        let info = dump.greenlets.iter().find(|info| info.id == sleeper.id()).unwrap();
        assert_eq!((info.age, info.since), (Duration::from_secs(30), Duration::from_secs(20)));
        assert_eq!(info.name.as_deref(), Some("rested"));
        sleeper.kill().await;
    });
}

#[test]
#[cfg(unix)]
fn signal_writes_a_dump() {
    struct Lines(mpsc::Sender<u8>);
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            Ok(bytes.iter().filter(|byte| self.0.send(**byte).is_ok()).count())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (written, bytes) = mpsc::channel();
    dump_on_signal_to(Lines(written)).unwrap();
    let group = Group::on(&hub(1));
    group.spawn(named("signalled", pending::<()>())).detach();
    dump_when(|dump| dump.to_string().contains("signalled"));
    let pid = std::process::id().to_string();
    let kill = std::process::Command::new("kill").args(["-USR1", &pid]).status();
    assert!(kill.unwrap().success());
    let mut text = Vec::new();
    while !String::from_utf8_lossy(&text).contains("\"signalled\"") {
        text.push(bytes.recv_timeout(Duration::from_secs(60)).unwrap());
    }
    block_on(group.kill());
}

#[test]
fn late_wake_of_a_finished_greenlet_reaches_no_other() {
    start().unwrap();
    let hub = LocalHub::new();
    hub.block_on(async {
        let stale = spawn_on(&hub, poll_fn(|cx| Poll::Ready(cx.waker().clone()))).await.unwrap();
        let line = line!();
        let waits: Vec<_> = (0..10).map(|_| spawn_on(&hub, pending::<()>())).collect();
        yield_now().await;
        stale.wake();
        let seen = spawned_between(&dump(), file!(), line, line + 2);
        let activities: Vec<_> = seen.iter().map(|info| info.activity).collect();
        assert_eq!(activities, [Activity::Waiting; 10]);
        assert!(seen.iter().all(|info| info.polls == 1));
        drop(waits);
    });
}

#[test]
fn finished_greenlets_are_gone_and_new_ones_start_anew() {
    start().unwrap();
    let hub = LocalHub::new();
    hub.block_on(async {
        let line = line!();
        for _ in 0..1000 {
            let waits = spawn_on(&hub, async { sleep(Duration::from_secs(3600)).await });
            yield_now().await;
            let seen = spawned_between(&dump(), file!(), line, line + 10);
            let polls: Vec<_> = seen.iter().map(|info| (info.id, info.polls)).collect();
            assert_eq!(polls, [(waits.id(), 1)]);
            waits.kill().await;
        }
    });
}

#[test]
fn items_that_are_asked_for_are_shown_once() {
    start().unwrap();
    let hub = LocalHub::new();
    let pool = Pool::on(&hub, 2);
    // Between two items, another greenlet of the thread finishes.
    let mut others: Vec<_> = (0..500).map(|_| Greenlet::new(async {})).collect();
    let input = (0..500).inspect(move |_| drop(others.pop()));
    let item = |n: usize| async move {
        yield_now().await;
        let _asked = Handle::current();
        if n >= 498 { pending().await } else { n }
    };
    let line = line!() + 1;
    let results = pool.map(item, input);
    let reader = spawn_on(&hub, async { results.await.map(drop) });
    dump_when(|dump| {
        hub.block_on(yield_now());
        let items = spawned_between(dump, file!(), line, line + 1).into_iter();
        let mut items: Vec<_> = items.filter_map(|info| info.item).collect();
        items.sort_unstable();
        assert!(items.windows(2).all(|pair| pair[0] < pair[1]), "{items:?}");
        items == [498, 499]
    });
    drop(reader);
}

/// The promise of the cost: printed by `cargo test -p spinney-trace --release -- --nocapture`.
#[test]
fn dump_of_many_names_each_and_leaves_none_out() {
    let many = if cfg!(debug_assertions) { 10_000 } else { 100_000 };
    start().unwrap();
    let hub = LocalHub::new();
    hub.block_on(async {
        let pool = Pool::on(&hub, many);
        let line = line!() - 1;
        for _ in 0..many {
            pool.spawn(async { sleep(Duration::from_secs(3600)).await }).await.detach();
        }
        sleep(Duration::from_millis(1)).await;
        let began = Instant::now();
        let dump = dump();
        let data = began.elapsed();
        let text = dump.to_string();
        println!("a dump of {many}: data {data:?}, with text {:?}", began.elapsed());
        let pool_info = dump.pools.iter().find(|info| info.created_at.line() == line).unwrap();
        let here = dump.greenlets.iter().filter(|info| info.pool == Some(pool_info.number));
        assert_eq!((here.count(), pool_info.report.running), (many, many));
        assert!(text.contains(&format!("{many} greenlets wait for sleep at")));
        pool.kill().await;
    });
}
