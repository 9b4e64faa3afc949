//! The promises of the texts: each public type says what it is.

use std::fmt::Debug;
use std::time::Duration;

use spinney_greenlet::{ContainerLimits, spawn_on};
use spinney_hub::{HubStats, LocalHub, ThreadParks, sleep};
use spinney_pool::Pool;
use spinney_trace::{
    Activity, Alarm, Delays, Dump, GreenletInfo, HubInfo, HubReport, PoolInfo, ThreadInfo,
    Timeline, Watchdog, WatchdogBuilder, dump, hubs, start,
};

fn starts(value: &impl Debug, with: &str) {
    let text = format!("{value:?}");
    assert!(text.starts_with(with), "{text}");
}

#[test]
fn debug_shows_each_type_by_name() {
    start().unwrap();
    let hub = LocalHub::new();
    hub.block_on(async {
        let pool = Pool::on(&hub, 1);
        let nap = pool.spawn(async { sleep(Duration::from_secs(3600)).await }).await;
        sleep(Duration::from_millis(1)).await;
        let dump: Dump = dump();
        starts(&dump, "Dump { greenlets: [GreenletInfo { id: ");
        let greenlet: &GreenletInfo =
            dump.greenlets.iter().find(|info| info.id == nap.id()).unwrap();
        starts(&greenlet.activity, "Waiting");
        let here: &HubInfo = dump.hubs.iter().find(|hub| Some(hub.number) == greenlet.hub).unwrap();
        let (stats, delays): (&HubStats, &Delays) = (&here.hub, &here.delays);
        starts(here, "HubInfo { number: ");
        starts(stats, "HubStats { name: \"local\", threads: None, ");
        starts(delays, "Delays { count: ");
        let thread: &ThreadInfo = &here.threads[0];
        starts(thread, "ThreadInfo { name: ");
        let pool_info: &PoolInfo =
            dump.pools.iter().find(|info| Some(info.number) == greenlet.pool).unwrap();
        starts(pool_info, "PoolInfo { number: ");
        let limits: &ContainerLimits = &pool_info.limits;
        starts(limits, "ContainerLimits { rates: [], key_rates: [], per_key: None");
        let reports: Vec<HubReport> = hubs();
        starts(&reports, "[HubReport { number: ");
        nap.kill().await;
    });
    starts(&Activity::Polled, "Polled");
    starts(&ThreadParks::current(), "ThreadParks(");
    starts(&Timeline::start(5).unwrap(), "Timeline { capacity: 5");
    let settings: WatchdogBuilder = Watchdog::builder();
    starts(&settings, "WatchdogBuilder { threshold: 100ms, queue_delay: 100ms, stuck_after: None");
    starts(&settings.on_alarm(|_: &Alarm| ()).start().unwrap(), "Watchdog { stop: ");
}

#[test]
fn parents_that_have_finished_are_named_by_id() {
    start().unwrap();
    let hub = LocalHub::new();
    let inner = hub.clone();
    hub.block_on(async {
        let parent = spawn_on(&hub, async move {
            spawn_on(&inner, sleep(Duration::from_secs(3600))).named("orphan").handle().clone()
        });
        let id = parent.id();
        let orphan = parent.await.unwrap();
        let text = dump().to_string();
        let line = text.lines().find(|line| line.contains("\"orphan\"")).unwrap();
        assert!(line.ends_with(&format!("of greenlet {id}")), "{line}");
        orphan.kill().await;
    });
}
