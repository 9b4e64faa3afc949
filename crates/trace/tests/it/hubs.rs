//! The promises of the numbers of hubs.

use std::time::Duration;

use spinney_greenlet::spawn_on;
use spinney_hub::{block_on, sleep, yield_now};
use spinney_trace::{HubReport, hubs};

use crate::hub;

/// The numbers of the hub named `name`.
fn report(name: &str) -> HubReport {
    hubs().into_iter().find(|report| report.hub.name == name).unwrap()
}

#[test]
fn polls_and_wakes_are_counted() {
    drop(hub(1));
    let hub = spinney_hub::Hub::builder().threads(1).name("counted").build().unwrap();
    let keeps = spawn_on(&hub, std::future::pending::<()>());
    let greenlet = spawn_on(&hub, async {
        for _ in 0..9 {
            yield_now().await;
        }
        sleep(Duration::from_millis(1)).await;
    });
    block_on(greenlet).unwrap();
    let report = report("counted");
    assert_eq!((report.polls, report.wakes), (12, 10));
    assert_eq!((report.delays.count(), report.hub.threads), (12, Some(1)));
    assert!(report.delays.percentile(0.5) <= report.delays.percentile(0.99));
    block_on(keeps.kill());
}
