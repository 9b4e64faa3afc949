//! [`Inner`]: what is behind a greenlet's lock.

use std::any::Any;
use std::sync::Arc;
use std::task::Waker;

use super::Control;
use super::flags::{ABORTED, BEGUN, ENDED, FAILED, PANICKED, TRACKED};
use crate::kills::Kills;
use crate::links::{Links, ResultLink};
use crate::unstarted::WeakSlot;
use crate::{Failure, Panic, spawn_tree};

#[derive(Default)]
pub(super) struct Inner {
    /// Gets the task polled, so that it sees a kill; there once it has waited.
    pub(super) waker: Option<Waker>,
    pub(super) kills: Kills,
    /// There once there was one.
    pub(super) links: Option<Box<Links>>,
    /// What few have.
    pub(super) extras: Option<Box<Extras>>,
}

#[derive(Default)]
pub(super) struct Extras {
    pub(super) name: Option<Arc<str>>,
    /// Dropped when it ends: its memberships in the groups that it came into later.
    pub(super) guards: Vec<Box<dyn Any + Send>>,
    /// Where its task is before it is started.
    pub(super) unstarted: WeakSlot,
    /// Called with the outcome before it ends.
    pub(super) result_links: Vec<ResultLink>,
    /// How it ended, if it panicked.
    pub(super) panic: Option<Panic>,
}

impl Inner {
    /// The first step of the end.
    pub(super) fn end(&mut self, control: &Control, ended: &Result<(), Failure>) {
        let flags = match ended {
            Ok(()) => ENDED,
            Err(Failure::Aborted) => ENDED | FAILED | ABORTED,
            Err(Failure::Killed(exit)) => {
                self.kills.send(exit.clone());
                ENDED | FAILED
            }
            Err(Failure::Panicked(panic)) => {
                self.extras().panic = Some(panic.clone());
                ENDED | FAILED | PANICKED
            }
        };
        control.flags.set(flags);
        if control.flags.has(TRACKED) {
            spawn_tree::forget(control.id());
        }
    }

    /// Its task takes the other steps. Not before that has it a place in the order of ends: until
    /// then nobody can be told of it, and those behind it would have to wait.
    pub(super) fn take_place(&self, control: &Control) {
        control.flags.set(BEGUN);
        let collectors = self.links.iter().flat_map(|links| links.collectors());
        collectors.for_each(|collector| collector.reserve(control.id()));
    }

    /// How it ended, which was no success. An abort replaces a kill that came before it.
    pub(super) fn failure(&self, control: &Control) -> Failure {
        match self.extras.as_ref().and_then(|extras| extras.panic.clone()) {
            Some(panic) => Failure::Panicked(panic),
            None if control.flags.has(ABORTED) => Failure::Aborted,
            None => Failure::Killed(self.kills.pending().cloned().unwrap_or_default()),
        }
    }

    pub(super) fn links(&mut self) -> &mut Links {
        self.links.get_or_insert_default()
    }

    pub(super) fn extras(&mut self) -> &mut Extras {
        self.extras.get_or_insert_default()
    }
}
