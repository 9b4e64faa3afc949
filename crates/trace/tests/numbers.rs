//! The promise of the metrics: they say what happened.
#![cfg(feature = "metrics")]

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex};

use metrics::{Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit};
use spinney_hub::LocalHub;
use spinney_pool::Pool;
use spinney_trace::publish_metrics;

/// Keeps the last value of each metric.
#[derive(Default)]
struct Kept(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

impl Kept {
    fn cell(&self, key: &Key) -> Arc<AtomicU64> {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        let name = key.name().to_owned() + &labels.collect::<String>();
        Arc::clone(self.0.lock().unwrap().entry(name).or_default())
    }

    fn value(&self, name: &str, label: &str) -> Vec<u64> {
        let kept = self.0.lock().unwrap();
        let here = kept.iter().filter(|(key, _)| key.starts_with(name) && key.contains(label));
        here.map(|(_, value)| value.load(Relaxed)).collect()
    }
}

impl Recorder for Kept {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(self.cell(key))
    }

    fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::from_arc(self.cell(key))
    }

    fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::noop()
    }
}

#[test]
fn numbers_of_pools_hubs_and_greenlets_are_published() {
    spinney_trace::start().unwrap();
    let (hub, kept) = (LocalHub::new(), Kept::default());
    hub.block_on(async {
        let pool = Pool::on(&hub, 3);
        pool.map(|n: u32| async move { n }, 0..10).await.unwrap();
        let waits = pool.spawn(std::future::pending::<()>()).await;
        spinney_hub::yield_now().await;
        metrics::with_local_recorder(&kept, publish_metrics);
        waits.kill().await;
    });
    let gauge =
        |name, label| kept.value(name, label).into_iter().map(f64::from_bits).collect::<Vec<_>>();
    assert_eq!(gauge("spinney_pool_capacity", file!()), [3.0]);
    assert_eq!(gauge("spinney_pool_running", file!()), [1.0]);
    assert_eq!(gauge("spinney_greenlets", "state=waiting"), [1.0]);
    assert_eq!(kept.value("spinney_pool_tasks_total", "outcome=succeeded"), [10]);
    assert!(kept.value("spinney_hub_polls_total", "hub=local")[0] >= 2);
    assert_eq!(gauge("spinney_hub_queue_delay_seconds", "hub=local").len(), 3);
}
