//! The promises of timelines: the files parse and hold what ran.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use spinney_greenlet::{joinall, spawn_on};
use spinney_hub::{LocalHub, block_on, sleep, yield_now};
use spinney_pool::Pool;
use spinney_sim::SimHub;
use spinney_trace::{Timeline, start};

use crate::hub;

/// The events of `json` that `wanted` accepts.
fn events(json: &str, wanted: impl Fn(&Value) -> bool) -> Vec<Value> {
    let parsed: Value = serde_json::from_str(json).unwrap();
    parsed["traceEvents"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|event| wanted(event))
        .cloned()
        .collect()
}

fn is(event: &Value, phase: &str, greenlet: u64) -> bool {
    event["ph"] == phase && event["name"].as_str().unwrap() == format!("greenlet {greenlet}")
}

#[test]
fn trace_holds_each_poll_and_wake() {
    let timeline = Timeline::start(1_000_000).unwrap();
    let hub = hub(2);
    let greenlets = (0..20).map(|n| {
        spawn_on(&hub, async move {
            for _ in 0..n {
                yield_now().await;
            }
        })
    });
    let greenlets: Vec<_> = greenlets.collect();
    let ids: Vec<u64> = greenlets.iter().map(|greenlet| greenlet.id()).collect();
    block_on(joinall(greenlets));
    let json = timeline.to_json();
    for (n, id) in ids.into_iter().enumerate() {
        assert_eq!(events(&json, |event| is(event, "X", id)).len(), n + 1);
        for phase in ["s", "f"] {
            let flow = |event: &Value| event["ph"] == phase && event["args"]["greenlet"] == id;
            assert_eq!(events(&json, flow).len(), n);
        }
    }
}

#[test]
fn page_survives_names_that_are_markup() {
    let timeline = Timeline::start(100).unwrap();
    let sim = SimHub::new();
    let nap = async { sleep(Duration::from_millis(1)).await };
    sim.block_on(spawn_on(&sim, nap).named("<!--<script></script>")).unwrap();
    let page = timeline.to_html();
    assert_eq!((page.matches("<script").count(), page.matches("<!--").count()), (1, 0));
    assert!(page.contains("\\u003c!--\\u003cscript>"));
}

#[test]
fn each_slot_has_a_track_with_its_members() {
    start().unwrap();
    let sim = SimHub::new();
    let timeline = Timeline::start(1_000_000).unwrap();
    let json = sim.block_on(async {
        let pool = Pool::on(&sim, 2);
        let nap = |n: u64| async move { sleep(Duration::from_secs(n)).await };
        pool.map(nap, [1, 2, 3]).await.unwrap();
        timeline.to_json()
    });
    let slots = events(&json, |event| event["cat"] == "slot" && event["dur"].as_f64() > Some(9e5));
    let of_slot = |slot: u64| {
        let here = slots.iter().filter(move |event| event["tid"] == slot);
        let mut times: Vec<f64> = here.map(|event| event["dur"].as_f64().unwrap()).collect();
        times.sort_by(f64::total_cmp);
        times.iter().map(|micros| (micros / 1e6).round()).collect::<Vec<_>>()
    };
    assert_eq!([of_slot(1), of_slot(2)], [vec![1.0, 3.0], vec![2.0]], "{slots:?}");
}

#[test]
fn each_item_has_a_bar_though_nothing_asks_for_it() {
    let timeline = Timeline::start(1_000_000).unwrap();
    let hub = LocalHub::new();
    let line = line!() + 1;
    hub.block_on(async { Pool::on(&hub, 2).map(|n: u32| async move { n }, 0..100).await.unwrap() });
    let here = format!("{}:{line}:", file!());
    let bars = |category: &str| {
        let of_map = |event: &Value| {
            let at = &event["args"]["spawned at"];
            let at = if at.is_null() { &event["args"]["spawned"]["spawned at"] } else { at };
            event["cat"] == category && at.as_str().is_some_and(|at| at.starts_with(&here))
        };
        events(&timeline.to_json(), of_map)
    };
    let (slots, polls) = (bars("slot"), bars("poll"));
    let polled: BTreeSet<&str> = polls.iter().map(|bar| bar["name"].as_str().unwrap()).collect();
    assert_eq!((slots.len(), polled.len()), (100, 100));
}

#[test]
fn full_timeline_keeps_the_last_events() {
    let timeline = Timeline::start(10).unwrap();
    let hub = hub(1);
    let long = spawn_on(&hub, async {
        for _ in 0..100 {
            yield_now().await;
        }
    });
    let id = long.id();
    block_on(long).unwrap();
    assert_eq!(timeline.len(), 10);
    let polls = events(&timeline.to_json(), |event| is(event, "X", id));
    assert!(polls.len() <= 5);
    let none = Timeline::start(0).unwrap();
    block_on(spawn_on(&hub, async {})).unwrap();
    assert!(none.is_empty());
}

#[test]
fn timeline_of_a_failed_seed_is_saved() {
    let path = std::env::temp_dir().join(format!("spinney-seed-{}.json", std::process::id()));
    let failed = std::panic::catch_unwind(|| {
        SimHub::check(0..10, |sim| {
            let _timeline = Timeline::start(1000).unwrap().save_on_panic(&path);
            sim.block_on(async {
                spawn_on(sim, yield_now()).named("culprit").await.unwrap();
                panic!("no luck");
            });
        });
    });
    assert!(failed.is_err());
    let saved = std::fs::read_to_string(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    let named =
        |event: &Value| event["name"].as_str().is_some_and(|name| name.ends_with("culprit"));
    assert_eq!(events(&saved, |event| event["ph"] == "X" && named(event)).len(), 2);
}

/// Runs the page in headless Chromium where that is installed.
#[test]
fn page_draws_its_bars() {
    let timeline = Timeline::start(100_000).unwrap();
    let hub = hub(2);
    let pool = Pool::on(&hub, 3);
    block_on(pool.map(|n: u64| sleep(Duration::from_millis(n)), 0..9)).unwrap();
    let html = timeline.to_html();
    assert!(html.contains("pool ") && !html.contains("/* rows */"));
    let chromium = Path::new("/usr/bin/chromium");
    if !chromium.exists() {
        return;
    }
    let folder = std::env::temp_dir().join(format!("spinney-trace-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let page = folder.join("timeline.html");
    std::fs::write(&page, html).unwrap();
    let flags = "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run \
        --disable-background-networking --disable-component-update --disable-sync --dump-dom";
    let output = Command::new(chromium)
        .args(flags.split_whitespace())
        .arg(format!("--user-data-dir={}", folder.join("profile").display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let drawn = String::from_utf8_lossy(&output.stdout);
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(drawn.matches("class=\"bar\"").count() >= 9, "{drawn}");
    assert!(drawn.contains(", slot 3</text>") && drawn.contains("traced-0</text>"));
}
