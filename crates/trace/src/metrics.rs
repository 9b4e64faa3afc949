//! [`publish_metrics`]: the numbers of hubs and pools, for the crate metrics.

use metrics::{counter, gauge};

use crate::{Activity, Dump, HubInfo, PoolInfo, dump, hubs};

/// Publishes the numbers of hubs, pools and greenlets through the crate metrics, to whatever
/// recorder the program has installed: call it before the numbers are read, for example in the
/// handler of a Prometheus page. Without a recorder it is a no-op.
///
/// | metric | labels | |
/// |---|---|---|
/// | `spinney_greenlets` | `state` | gauge: those that live |
/// | `spinney_hub_threads`, `spinney_hub_threads_running` | `hub` | gauges |
/// | `spinney_hub_polls_total`, `spinney_hub_wakes_total` | `hub` | counters |
/// | `spinney_hub_queue_delay_seconds` | `hub`, `quantile` | gauge: from wake-up to poll, since the start |
/// | `spinney_pool_capacity`, `spinney_pool_running`, `spinney_pool_waiting` | `pool`, `kind` | gauges |
/// | `spinney_pool_tasks_total` | `pool`, `kind`, `outcome` | counter |
///
/// The label `hub` is the hub's name, and `pool` is the line that created the pool, so that they
/// stay the same from one run of the program to the next. Pools that one line creates share their
/// labels: the last one counts.
pub fn publish_metrics() {
    let dump = dump();
    greenlets(&dump);
    dump.hubs.iter().for_each(hub);
    dump.pools.iter().for_each(pool);
    for report in hubs() {
        let name = report.hub.name;
        counter!("spinney_hub_polls_total", "hub" => name.clone()).absolute(report.polls);
        counter!("spinney_hub_wakes_total", "hub" => name).absolute(report.wakes);
    }
}

fn greenlets(dump: &Dump) {
    let states = [
        (Activity::Unstarted, "unstarted"),
        (Activity::Queued, "queued"),
        (Activity::Polled, "polled"),
        (Activity::Waiting, "waiting"),
    ];
    for (activity, state) in states {
        let count = dump.greenlets.iter().filter(|greenlet| greenlet.activity == activity).count();
        gauge!("spinney_greenlets", "state" => state).set(number(count));
    }
}

fn hub(info: &HubInfo) {
    let name = &info.hub.name;
    if let Some(threads) = info.hub.threads {
        gauge!("spinney_hub_threads", "hub" => name.clone()).set(number(threads));
        let running = gauge!("spinney_hub_threads_running", "hub" => name.clone());
        running.set(number(info.hub.running));
    }
    for (share, quantile) in [(0.5, "0.5"), (0.9, "0.9"), (0.99, "0.99")] {
        let labels = [("hub", name.clone()), ("quantile", quantile.to_owned())];
        let delay = info.delays.percentile(share).as_secs_f64();
        gauge!("spinney_hub_queue_delay_seconds", &labels).set(delay);
    }
}

fn pool(info: &PoolInfo) {
    let labels = [("pool", info.created_at.to_string()), ("kind", info.kind.to_owned())];
    let report = info.report;
    if let Some(capacity) = info.capacity {
        gauge!("spinney_pool_capacity", &labels).set(number(capacity));
    }
    gauge!("spinney_pool_running", &labels).set(number(report.running));
    gauge!("spinney_pool_waiting", &labels).set(number(report.waiting));
    let outcomes = [
        ("succeeded", report.succeeded),
        ("failed", report.failed),
        ("killed", report.killed),
        ("aborted", report.aborted),
    ];
    for (outcome, count) in outcomes {
        let [pool, kind] = labels.clone();
        let labels = [pool, kind, ("outcome", outcome.to_owned())];
        counter!("spinney_pool_tasks_total", &labels).absolute(count as u64);
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of tasks is below 2^52")]
fn number(count: usize) -> f64 {
    count as f64
}
