//! [`WorkerLoop`]: takes deliveries from the source and starts jobs.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_lite::future::{self, FutureExt};
use spinney_greenlet::GreenletExit;
use spinney_hub::{Hub, Within, sleep_until};
use spinney_pool::{Group, Pool, Slot};

use crate::run::Running;
use crate::table::{Admitted, RefusedJob, Table};
use crate::worker::Shared;
use crate::{Arrival, Delivery, Source, Step};

/// How long a stopped worker waits for jobs to be settled, after its grace.
const SETTLE_LIMIT: Duration = Duration::from_secs(1);

/// Why the loop wakes.
enum Wake<S: Source> {
    Changed,
    Slot(Option<Slot>),
    Due,
    Arrival(Option<Arrival<S>>),
}

/// The credit that the source has.
#[derive(PartialEq, Eq)]
enum Credit {
    Unset,
    Of(Option<usize>),
}

pub(crate) struct WorkerLoop<S: Source, F> {
    shared: Arc<Shared<S>>,
    /// The jobs that run, in slots of the worker's pool.
    jobs: Pool,
    /// Tasks that settle jobs. They need no slot, and run on the hub of the loop: there one wake-up
    /// serves all jobs that have finished meanwhile.
    settling: Group,
    work: Arc<F>,
}

impl<S, F, Fut> WorkerLoop<S, F>
where
    S: Source,
    F: Fn(Arc<S::Job>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<S::Output, S::Error>> + Send + 'static,
{
    pub(crate) fn new(shared: &Arc<Shared<S>>, work: F) -> Self {
        let here = Hub::current();
        let hub = shared.settings.hub.as_ref().unwrap_or(&here);
        let jobs = shared.settings.pool.with_hub(hub).scope();
        Self { shared: Arc::clone(shared), jobs, settling: Group::on(&here), work: Arc::new(work) }
    }

    /// Takes deliveries and starts jobs, until the worker is stopped, its pool is closed, or the
    /// source has finished and all jobs are settled.
    pub(crate) async fn take_in(&self) {
        let shared = &*self.shared;
        let mut credit = Credit::Unset;
        let mut has_ended = false;
        let mut slot = pin!(None);
        let mut timer = pin!(None);
        let mut timer_at = None;
        while shared.stopped().is_none() {
            let (wants_slot, due) = self.look();
            if has_ended && shared.table().is_empty() {
                return;
            }
            self.renew_credit(&mut credit);
            if !wants_slot {
                slot.set(None);
            } else if slot.is_none() {
                slot.set(Some(self.jobs.slot()));
            }
            if timer_at != due {
                timer_at = due;
                timer.set(due.map(sleep_until));
            }
            let changed = async {
                shared.changed.wait().await;
                Wake::Changed
            };
            let free = async { Wake::Slot(optional(slot.as_mut().as_pin_mut()).await.ok()) };
            let due = async {
                optional(timer.as_mut().as_pin_mut()).await;
                Wake::Due
            };
            let arrival = async {
                let arrival =
                    if has_ended { future::pending().await } else { shared.source.next().await };
                Wake::Arrival(arrival)
            };
            match changed.or(free).or(due).or(arrival).await {
                Wake::Changed => shared.changed.clear(),
                Wake::Slot(free) => {
                    slot.set(None);
                    // The user closed the pool.
                    let Some(free) = free else { return };
                    self.start_next(free);
                }
                Wake::Due => {
                    timer.set(None);
                    timer_at = None;
                }
                Wake::Arrival(Some(arrival)) => self.arrive(arrival),
                Wake::Arrival(None) => has_ended = true,
            }
        }
    }

    /// Brings the table up to date. Returns whether a job wants a slot, and when the next is due.
    fn look(&self) -> (bool, Option<Instant>) {
        let now = self.shared.now();
        loop {
            let mut table = self.shared.table();
            table.wake_due(now);
            let (refused, released) = (table.take_refused(), table.take_released());
            if refused.is_empty() && released.is_empty() {
                let wants_slot = self.may_start(&table) && table.has_ready();
                return (wants_slot, table.next_due());
            }
            drop(table);
            for refused in refused {
                self.settle_refused(refused);
            }
            for delivery in released {
                self.admit(delivery);
            }
        }
    }

    /// Whether there is room for a further outcome. A job that is being settled holds no slot:
    /// without a bound, outcomes would accumulate while they cannot be stored.
    fn may_start(&self, table: &Table<S>) -> bool {
        let capacity = self.shared.settings.pool.capacity();
        capacity.is_none_or(|slots| table.settling_jobs() < slots.max(1))
    }

    fn renew_credit(&self, last: &mut Credit) {
        let settings = &self.shared.settings;
        let held = self.shared.table().held().min(settings.max_held);
        let credit = settings
            .pool
            .capacity()
            .map(|slots| slots.saturating_mul(settings.prefetch).saturating_add(held));
        if *last != Credit::Of(credit) {
            *last = Credit::Of(credit);
            self.shared.source.set_credit(credit);
        }
    }

    fn arrive(&self, arrival: Arrival<S>) {
        match arrival {
            Arrival::Delivery(delivery) => self.admit(delivery),
            Arrival::ConnectionLost => {
                let void = self.shared.table().lose_connection();
                drop(void);
            }
        }
    }

    fn admit(&self, delivery: Delivery<S>) {
        let shared = &self.shared;
        let (now, hold) = (shared.now(), shared.settings.hold);
        let admitted = shared.table().admit(delivery, now, hold);
        match admitted {
            Admitted::Kept(job) => shared.source.observe(&job, Step::Received),
            Admitted::TakenOver(job, _) => shared.source.observe(&job, Step::TakenOver),
            Admitted::Parked => {}
            Admitted::Settled(job, receipt) => {
                shared.source.observe(&job, Step::TakenOver);
                let shared = Arc::clone(shared);
                let acknowledge = async move { shared.source.acknowledge(receipt).await };
                self.settling.spawn(acknowledge).detach();
            }
        }
    }

    fn settle_refused(&self, refused: RefusedJob<S>) {
        let running = Running::new(&self.shared, refused.key, refused.job);
        self.settling.spawn(running.settle_refused(refused.why)).detach();
    }

    fn start_next(&self, slot: Slot) {
        let now = self.shared.now();
        let mut table = self.shared.table();
        let next = if self.may_start(&table) { table.take_ready(now) } else { None };
        drop(table);
        let Some((key, job)) = next else { return };
        let running = Running::new(&self.shared, key, job);
        let work = Arc::clone(&self.work);
        slot.spawn(running.run(move |job| work(job), self.settling.clone())).detach();
    }

    /// Puts back the jobs that have not begun, and waits for the running ones, within the grace of a
    /// stop.
    pub(crate) async fn drain(&self) {
        let shared = &*self.shared;
        shared.source.stop();
        shared.put_back_unstarted();
        let end = async {
            let _ = self.jobs.join().await;
            let _ = self.settling.join().await;
            None
        };
        let stop = async { Some(shared.wait_stopped().await) };
        let warm = async {
            if let Some(grace) = stop.or(end).await {
                let _ = self.jobs.drain(grace).await;
                let _ = self.settling.join().within(grace).await;
            }
        };
        let cold = async {
            shared.cold.wait().await;
            let stopped = GreenletExit::because("the worker was stopped");
            self.jobs.shutdown(stopped).await;
        };
        warm.or(cold).or(self.take_over()).await;
        self.look();
        if self.settling.join().within(SETTLE_LIMIT).await.is_err() {
            // The jobs whose outcomes are not stored are put back.
            self.settling.abort();
            let _ = self.settling.join().await;
        }
    }

    /// Takes over new deliveries of running jobs, and puts all others back.
    async fn take_over(&self) {
        while let Some(arrival) = self.shared.source.next().await {
            match arrival {
                Arrival::Delivery(new) if !self.shared.table().contains(&new.id) => drop(new),
                arrival => self.arrive(arrival),
            }
        }
        future::pending::<()>().await;
    }
}

/// The output of `future`; waits for ever if there is none.
async fn optional<F: Future>(future: Option<F>) -> F::Output {
    match future {
        Some(future) => future.await,
        None => future::pending().await,
    }
}
