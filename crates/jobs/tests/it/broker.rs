//! [`Broker`]: a simulated message broker, which can lose its connection and checks what a worker
//! does.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::Poll;
use std::thread::{self, ThreadId};
use std::time::Duration;

use spinney_hub::{Clock, sleep};
use spinney_jobs::{Arrival, Delivery, NotSettled, Outcome, Source, Step, Terms};
use spinney_sync::Event;

/// A cheap handle; clones are of the same broker.
#[derive(Clone, Default)]
pub(crate) struct Broker {
    state: Arc<Mutex<State>>,
    changed: Arc<Event>,
}

#[derive(Default)]
pub(crate) struct State {
    ready: VecDeque<Message>,
    unacked: HashMap<u64, Message>,
    lost: bool,
    next_tag: u64,
    epoch: u64,
    stopped: bool,
    pub(crate) credit: Option<usize>,
    /// What is drawn from, if the broker is to misbehave.
    pub(crate) rng: Option<fastrand::Rng>,
    /// The jobs that are running.
    pub(crate) running: HashSet<Arc<str>>,
    pub(crate) begun: HashMap<Arc<str>, usize>,
    pub(crate) settled: HashMap<Arc<str>, Vec<String>>,
    pub(crate) acked: usize,
    pub(crate) log: Vec<String>,
    /// How many settlements fail.
    pub(crate) refuse: usize,
    /// How long a settlement takes.
    pub(crate) store_time: Duration,
    /// Where the last one was made.
    pub(crate) stored_by: Option<ThreadId>,
}

/// A message, which is also the job.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) id: Arc<str>,
    pub(crate) attempt: u32,
    pub(crate) terms: Terms,
    redelivered: bool,
}

pub(crate) struct Receipt {
    broker: Broker,
    epoch: u64,
    tag: u64,
}

impl Drop for Receipt {
    fn drop(&mut self) {
        let mut state = self.broker.state();
        if state.epoch != self.epoch {
            return;
        }
        if let Some(message) = state.unacked.remove(&self.tag) {
            state.ready.push_front(Message { redelivered: true, ..message });
        }
        drop(state);
        self.broker.changed.set();
    }
}

impl Broker {
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    pub(crate) fn send(&self, id: &str, terms: Terms) {
        self.send_attempt(id, 0, terms);
    }

    pub(crate) fn send_attempt(&self, id: &str, attempt: u32, terms: Terms) {
        let message = Message { id: id.into(), attempt, terms, redelivered: false };
        self.state().ready.push_back(message);
        self.changed.set();
    }

    /// Ends the connection, and delivers again what is not acknowledged.
    pub(crate) fn lose_connection(&self) {
        let mut state = self.state();
        state.epoch += 1;
        state.lost = true;
        let unacked = std::mem::take(&mut state.unacked);
        let again = unacked.into_values().map(|message| Message { redelivered: true, ..message });
        state.ready.extend(again);
        drop(state);
        self.changed.set();
    }

    pub(crate) fn set_credit_now(&self, credit: usize) {
        self.set_credit(Some(credit));
    }

    /// As if another worker had had the messages that are queued.
    pub(crate) fn mark_redelivered(&self) {
        self.state().ready.iter_mut().for_each(|message| message.redelivered = true);
    }

    pub(crate) fn left(&self) -> usize {
        let state = self.state();
        state.ready.len() + state.unacked.len()
    }

    pub(crate) fn unacked(&self) -> usize {
        self.state().unacked.len()
    }

    pub(crate) fn begun(&self, id: &str) -> usize {
        self.state().begun[id]
    }

    pub(crate) fn begun_jobs(&self) -> usize {
        self.state().begun.len()
    }

    pub(crate) fn running_jobs(&self) -> usize {
        self.state().running.len()
    }

    pub(crate) fn settled_jobs(&self) -> usize {
        self.state().settled.len()
    }

    pub(crate) fn credit(&self) -> Option<usize> {
        self.state().credit
    }

    pub(crate) fn acked(&self) -> usize {
        self.state().acked
    }

    pub(crate) fn settled(&self, id: &str) -> Vec<String> {
        self.state().settled.get(id).cloned().unwrap_or_default()
    }

    /// Runs `work` as the job `id`: it must not be running.
    pub(crate) async fn running<T>(&self, id: &Arc<str>, work: impl Future<Output = T>) -> T {
        let _running = Run::begin(self, id);
        work.await
    }

    /// Ready with nothing once it was stopped.
    fn next_arrival(&self) -> Poll<Option<Arrival<Self>>> {
        let mut state = self.state();
        if std::mem::take(&mut state.lost) {
            return Poll::Ready(Some(Arrival::ConnectionLost));
        }
        if state.stopped {
            return Poll::Ready(None);
        }
        if state.credit.is_some_and(|credit| state.unacked.len() >= credit) {
            return Poll::Pending;
        }
        let count = state.ready.len();
        let place = state.rng.as_mut().filter(|_| count > 0).map_or(0, |rng| rng.usize(..count));
        let Some(message) = state.ready.remove(place) else { return Poll::Pending };
        state.next_tag += 1;
        let (tag, epoch) = (state.next_tag, state.epoch);
        state.unacked.insert(tag, message.clone());
        drop(state);
        Poll::Ready(Some(Arrival::Delivery(Delivery {
            id: Arc::clone(&message.id),
            name: message.id.split('-').next().unwrap().into(),
            attempt: message.attempt,
            redelivered: message.redelivered,
            terms: message.terms,
            job: message,
            receipt: Receipt { broker: self.clone(), epoch, tag },
        })))
    }

    fn store(&self, job: &Message, outcome: String) -> Result<(), NotSettled> {
        let mut state = self.state();
        let fails = state.rng.as_mut().is_some_and(|rng| rng.u8(..) < 16);
        if fails || state.refuse > 0 {
            state.refuse = state.refuse.saturating_sub(1);
            return Err(NotSettled::because("the results are out of reach"));
        }
        state.settled.entry(Arc::clone(&job.id)).or_default().push(outcome);
        state.stored_by = Some(thread::current().id());
        Ok(())
    }

    async fn network(&self) {
        let delay = self.state().rng.as_mut().map(|rng| rng.u64(0..20));
        if let Some(delay) = delay {
            sleep(Duration::from_millis(delay)).await;
        }
    }
}

struct Run {
    broker: Broker,
    id: Arc<str>,
}

impl Run {
    fn begin(broker: &Broker, id: &Arc<str>) -> Self {
        let mut state = broker.state();
        assert!(state.running.insert(Arc::clone(id)), "two runs of {id}");
        *state.begun.entry(Arc::clone(id)).or_default() += 1;
        drop(state);
        Self { broker: broker.clone(), id: Arc::clone(id) }
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        self.broker.state().running.remove(&self.id);
    }
}

impl Source for Broker {
    type Job = Message;
    type Output = &'static str;
    type Error = &'static str;
    type Receipt = Receipt;

    async fn next(&self) -> Option<Arrival<Self>> {
        loop {
            self.changed.clear();
            if let Poll::Ready(arrival) = self.next_arrival() {
                return arrival;
            }
            self.changed.wait().await;
        }
    }

    fn set_credit(&self, credit: Option<usize>) {
        self.state().credit = credit;
        self.changed.set();
    }

    async fn settle(
        &self,
        job: &Arc<Message>,
        outcome: Outcome<&'static str, &'static str>,
    ) -> Result<(), NotSettled> {
        self.network().await;
        let store_time = self.state().store_time;
        if !store_time.is_zero() {
            sleep(store_time).await;
        }
        self.store(job, format!("{outcome:?}"))?;
        if let Outcome::Retried { after, .. } = outcome {
            let terms = Terms { eta: Some(Clock::current().now() + after), ..job.terms };
            self.send_attempt(&job.id, job.attempt + 1, terms);
        }
        self.network().await;
        Ok(())
    }

    async fn acknowledge(&self, receipt: Receipt) {
        self.network().await;
        let mut state = self.state();
        if state.epoch == receipt.epoch {
            let message = state.unacked.remove(&receipt.tag).expect("acknowledged twice");
            let early = message.terms.ack_early;
            assert!(early || state.settled.contains_key(&message.id), "not settled: {message:?}");
            state.acked += 1;
        }
        drop(state);
        self.changed.set();
    }

    async fn resend(&self, job: &Arc<Message>) -> Result<(), NotSettled> {
        let mut state = self.state();
        state.settled.entry(Arc::clone(&job.id)).or_default().push("resent".into());
        drop(state);
        self.send_attempt(&job.id, job.attempt, job.terms);
        Ok(())
    }

    fn stop(&self) {
        self.state().stopped = true;
        self.changed.set();
    }

    fn observe(&self, job: &Arc<Message>, step: Step<'_, Self>) {
        let step = match step {
            Step::Ended { outcome, .. } => format!("{outcome:?}"),
            step @ (Step::Received | Step::TakenOver | Step::Started | Step::NotSettled(_)) => {
                format!("{step:?}")
            }
        };
        self.state().log.push(format!("{} {step}", job.id));
    }
}
