//! An item that a holder may have left half-written goes to no other holder.

use std::convert::Infallible;
use std::future::{pending, ready};
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::SeqCst;
use std::time::Duration;

use futures_lite::future::{or, poll_once};
use spinney::task::joinall;
use spinney::task::spawn_on;
use spinney::{Pool, ResourcePool, Within, catch_exit, sleep, spawn, yield_now};
use spinney_sim::SimHub;
use spinney_tests::on_every_hub;
use spinney_tests::tools::{blow_up, gate};

/// A number, which is 1, 2, 3 and so on, and the written text.
type Page = (u32, &'static str);
type Pages = ResourcePool<Page, Infallible>;

fn pages(keep: bool) -> Pages {
    let made = AtomicU32::new(0);
    let create = move || ready(Ok((made.fetch_add(1, SeqCst) + 1, "")));
    ResourcePool::builder(create).max_size(1).keep_after_failure(keep).build()
}

/// Writes half a page, then waits for ever.
async fn write_half(pages: Pages, begun: Arc<spinney::Event>) {
    let mut page = pages.item().await.unwrap();
    page.1 = "half";
    begun.set();
    pending::<()>().await;
}

async fn next(pages: &Pages) -> Page {
    *pages.item().await.unwrap()
}

on_every_hub! {
    async fn item_of_a_killed_holder_is_discarded(hub) {
        let (pages, begun) = (pages(false), gate());
        let writer = spawn_on(hub, write_half(pages.clone(), Arc::clone(&begun)));
        begun.wait().await;
        writer.kill().await;
        assert_eq!(next(&pages).await, (2, ""));
        assert_eq!((pages.stats().discarded.failure, pages.available()), (1, 1));
    }

    async fn item_of_an_aborted_holder_is_discarded(hub) {
        let (pages, begun) = (pages(false), gate());
        let writer = spawn_on(hub, write_half(pages.clone(), Arc::clone(&begun)));
        begun.wait().await;
        writer.handle().abort();
        joinall(&[writer]).await;
        assert_eq!(next(&pages).await, (2, ""));
    }

    async fn item_of_a_panicked_holder_is_discarded(hub) {
        let pages = pages(false);
        let own = pages.clone();
        let writer = spawn_on(hub, async move {
            let mut page = own.item().await.unwrap();
            page.1 = "half";
            blow_up("a writer");
        });
        assert!(writer.await.unwrap_err().is_panic());
        assert_eq!(next(&pages).await, (2, ""));
    }

    async fn item_of_a_timed_out_holder_is_discarded(_hub) {
        let (pages, begun) = (pages(false), gate());
        let late = write_half(pages.clone(), begun).within(Duration::from_millis(1)).await;
        assert!(late.is_err());
        assert_eq!(next(&pages).await, (2, ""));
    }

    async fn item_is_discarded_when_a_kill_is_caught(hub) {
        let (pages, begun) = (pages(false), gate());
        let write = write_half(pages.clone(), Arc::clone(&begun));
        let own = pages.clone();
        let writer = spawn_on(hub, async move {
            assert!(catch_exit(write).await.is_err());
            next(&own).await
        });
        begun.wait().await;
        writer.kill().await;
        assert_eq!(writer.await.unwrap(), (2, ""));
    }

    async fn item_taken_after_a_kill_is_given_back(hub) {
        let (pages, begun) = (pages(false), gate());
        let (own, open) = (pages.clone(), Arc::clone(&begun));
        let writer = spawn_on(hub, async move {
            open.set();
            assert!(catch_exit(pending::<()>()).await.is_err());
            own.item().await.unwrap().1 = "whole";
        });
        begun.wait().await;
        writer.kill().await;
        assert_eq!(next(&pages).await, (1, "whole"));
    }

    async fn item_is_kept_after_a_failure_on_request(hub) {
        let (pages, begun) = (pages(true), gate());
        let writer = spawn_on(hub, write_half(pages.clone(), Arc::clone(&begun)));
        begun.wait().await;
        writer.kill().await;
        assert_eq!(next(&pages).await, (1, "half"));
    }

    async fn dropped_run_discards_the_item(_hub) {
        let pages = pages(false);
        let mut page = pages.item().await.unwrap();
        let write = page.run(async |page| {
            page.1 = "half";
            pending::<()>().await;
        });
        or(write, yield_now()).await;
        drop(page);
        assert_eq!(next(&pages).await, (2, ""));
        let mut page = pages.item().await.unwrap();
        page.run(async |page| page.1 = "whole").await;
        drop(page);
        assert_eq!(next(&pages).await, (2, "whole"));
    }

    async fn item_of_a_killed_map_item_is_discarded(hub) {
        let (pages, begun) = (pages(false), gate());
        let (own, open) = (pages.clone(), Arc::clone(&begun));
        let pool = Pool::on(hub, 1);
        let write = move |()| write_half(own.clone(), Arc::clone(&open));
        let mut writes = pool.imap(write, [()]);
        assert!(poll_once(writes.next()).await.is_none());
        begun.wait().await;
        pool.kill().await;
        assert!(writes.next().await.unwrap().is_err());
        assert_eq!(next(&pages).await, (2, ""));
    }
}

#[test]
fn item_of_a_stopped_hub_is_discarded() {
    let (pages, begun) = (pages(false), gate());
    let hub = spinney_tests::hub(1);
    spawn_on(&hub, write_half(pages.clone(), Arc::clone(&begun))).detach();
    hub.block_on(begun.wait());
    hub.shutdown(Duration::ZERO);
    assert_eq!(SimHub::new().block_on(next(&pages)), (2, ""));
}

#[test]
fn item_taken_by_a_destructor_of_a_panic_is_given_back() {
    let pages = pages(false);
    SimHub::new().block_on(async {
        let own = pages.clone();
        let reports = spinney_tests::tools::OnDrop::new(move || {
            SimHub::new().block_on(async { own.item().await.unwrap().1 = "whole" });
        });
        let failed = spawn(async move {
            let _reports = reports;
            blow_up("a task");
        });
        assert!(failed.await.unwrap_err().is_panic());
        sleep(Duration::from_secs(1)).await;
        assert_eq!(next(&pages).await, (1, "whole"));
    });
}
