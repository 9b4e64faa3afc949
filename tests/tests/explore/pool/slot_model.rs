//! [`Model`]: slots, their queue, children in place and shares beyond the depth, without futures.

use std::collections::VecDeque;

/// The number of a task; the number of a wait is that of its child.
pub(super) type Id = usize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Stage {
    /// It waits for a slot, and has not started.
    Queued,
    /// It is polled within the poll of its caller, and waits for a slot.
    InPlace,
    /// It shares a slot of its caller, too deep to run in place, and waits for its own slot.
    Beside,
    /// It runs in its own slot.
    Moved,
    Ended,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Task {
    stage: Stage,
    pub(super) is_member: bool,
    pub(super) started: bool,
    /// The slot that it holds, which it may share.
    slot: Option<usize>,
    /// The task that spawned it. `None` for a non-member.
    caller: Option<Id>,
    /// The children that it waits for, in the order of their turns.
    waits: Vec<Id>,
}

impl Task {
    pub(super) fn has_ended(&self) -> bool {
        self.stage == Stage::Ended
    }
}

/// The operations on a pool.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Spawn(Option<Id>),
    Finish(Id),
    DropWait(Id),
    Discard(Id),
    Resize(usize),
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Model {
    pub(super) capacity: usize,
    pub(super) tasks: Vec<Task>,
    pub(super) queue: VecDeque<Id>,
    /// The number of holders of each slot so far.
    slots: Vec<usize>,
    /// How many run in place on one stack.
    depth: usize,
}

impl Model {
    pub(super) fn new(capacity: usize, depth: usize) -> Self {
        let (tasks, queue, slots) = (Vec::new(), VecDeque::new(), Vec::new());
        Self { capacity, tasks, queue, slots, depth }
    }

    pub(super) fn taken(&self) -> usize {
        self.slots.iter().filter(|holders| **holders > 0).count()
    }

    /// The possible operations, with at most `tasks` tasks in total.
    pub(super) fn ops(&self, tasks: usize, capacities: usize) -> Vec<Op> {
        let mut ops: Vec<Op> = (0..capacities).map(Op::Resize).collect();
        let awake: Vec<Id> = self.ids().filter(|id| self.is_awake(*id)).collect();
        if self.tasks.len() < tasks {
            ops.push(Op::Spawn(None));
            ops.extend(awake.iter().map(|id| Op::Spawn(Some(*id))));
        }
        ops.extend(awake.iter().map(|id| Op::Finish(*id)));
        ops.extend(self.ids().filter(|id| self.tasks[*id].is_member).map(Op::Discard));
        let may_drop = |id: &Id| {
            let is_wait = ![Stage::Moved, Stage::Ended].contains(&self.tasks[*id].stage);
            is_wait && self.tasks[*id].caller.is_none_or(|caller| self.is_awake(caller))
        };
        ops.extend(self.ids().filter(may_drop).map(Op::DropWait));
        ops
    }

    pub(super) fn apply(&mut self, op: Op) {
        match op {
            Op::Spawn(caller) => self.spawn(caller),
            Op::Finish(id) | Op::DropWait(id) => self.end(id),
            Op::Discard(id) => {
                self.tasks[id].is_member = false;
                self.release(id);
            }
            Op::Resize(capacity) => self.capacity = capacity,
        }
        while self.admit() || self.start_in_place() {}
        self.check();
    }

    pub(super) fn caller(&self, id: Id) -> Option<Id> {
        self.tasks[id].caller
    }

    fn ids(&self) -> impl Iterator<Item = Id> + use<> {
        0..self.tasks.len()
    }

    fn spawn(&mut self, caller: Option<Id>) {
        let id = self.tasks.len();
        let (stage, waits) = (Stage::Queued, Vec::new());
        let task = Task { stage, is_member: false, started: false, slot: None, caller, waits };
        self.tasks.push(task);
        self.queue.push_back(id);
        if let Some(caller) = caller {
            self.tasks[caller].waits.push(id);
        }
    }

    /// Ends a task, or the wait for it, with everything that it waits for.
    fn end(&mut self, id: Id) {
        for child in std::mem::take(&mut self.tasks[id].waits) {
            self.end(child);
        }
        self.end_wait(id);
        self.release(id);
        self.tasks[id].stage = Stage::Ended;
        self.tasks[id].is_member = false;
    }

    fn end_wait(&mut self, id: Id) {
        self.queue.retain(|waiter| *waiter != id);
        if let Some(caller) = self.tasks[id].caller {
            self.tasks[caller].waits.retain(|wait| *wait != id);
        }
    }

    fn release(&mut self, id: Id) {
        if let Some(slot) = self.tasks[id].slot.take() {
            self.slots[slot] -= 1;
        }
    }

    /// The first waiter gets a slot, if one is free.
    fn admit(&mut self) -> bool {
        if self.taken() >= self.capacity {
            return false;
        }
        let Some(id) = self.queue.pop_front() else { return false };
        self.end_wait(id);
        let slot = self.slots.len();
        self.slots.push(0);
        if let Some(shared) = self.shared_around(id) {
            self.share_below(id, shared, slot);
        }
        // A discarded child goes on without a slot.
        if self.tasks[id].is_member || !self.tasks[id].started {
            self.hold(id, slot);
            self.start(id, Stage::Moved);
        }
        self.tasks[id].stage = Stage::Moved;
        true
    }

    fn hold(&mut self, id: Id, slot: usize) {
        self.release(id);
        self.tasks[id].slot = Some(slot);
        self.slots[slot] += 1;
    }

    /// The slot that the tasks below share, if any does.
    fn shared_around(&self, id: Id) -> Option<usize> {
        let first = *self.tasks[id].waits.first()?;
        let beside = self.tasks[first].slot.filter(|_| self.tasks[first].stage == Stage::Beside);
        beside.or_else(|| self.shared_around(first))
    }

    /// The tasks below that share `shared` share `slot` from now on.
    fn share_below(&mut self, id: Id, shared: usize, slot: usize) {
        for child in self.tasks[id].waits.clone() {
            if self.tasks[child].slot == Some(shared) {
                self.hold(child, slot);
            }
            self.share_below(child, shared, slot);
        }
    }

    /// A task that has the turn of its caller starts in place, or beside.
    fn start_in_place(&mut self) -> bool {
        let may_start = |caller: &Id| {
            let first = self.tasks[*caller].waits.first();
            let is_queued = first.is_some_and(|id| self.tasks[*id].stage == Stage::Queued);
            is_queued && self.is_awake(*caller)
        };
        for caller in self.ids().filter(may_start) {
            let (Some(holder), child) = (self.holder(caller), self.tasks[caller].waits[0]) else {
                continue;
            };
            if self.depth_of(caller) < self.depth {
                self.start(child, Stage::InPlace);
            } else {
                let slot = self.tasks[holder].slot.expect("a holder has a slot");
                self.hold(child, slot);
                self.start(child, Stage::Beside);
            }
            return true;
        }
        false
    }

    fn start(&mut self, id: Id, stage: Stage) {
        let task = &mut self.tasks[id];
        task.is_member |= !task.started;
        (task.started, task.stage) = (true, stage);
    }

    /// The holder of a slot within whose poll the task is polled.
    fn holder(&self, id: Id) -> Option<Id> {
        let task = &self.tasks[id];
        match (task.slot, task.stage) {
            (Some(_), _) => Some(id),
            (None, Stage::InPlace) => self.holder(task.caller?),
            _ => None,
        }
    }

    /// Whether the task is polled when it is woken: in place, only with a slot around it, and in
    /// its turn.
    pub(super) fn is_awake(&self, id: Id) -> bool {
        let task = &self.tasks[id];
        match (task.stage, task.caller) {
            (Stage::Moved | Stage::Beside, _) => true,
            (Stage::InPlace, Some(caller)) => {
                let has_turn = self.tasks[caller].waits.first() == Some(&id);
                has_turn && self.is_awake(caller) && self.holder(caller).is_some()
            }
            _ => false,
        }
    }

    fn depth_of(&self, id: Id) -> usize {
        match (self.tasks[id].stage, self.tasks[id].caller) {
            (Stage::InPlace, Some(caller)) => 1 + self.depth_of(caller),
            _ => 0,
        }
    }

    /// The invariants after each operation.
    fn check(&self) {
        let holders = |slot| self.tasks.iter().filter(|task| task.slot == Some(slot)).count();
        for (slot, count) in self.slots.iter().enumerate() {
            assert_eq!(
                holders(slot),
                *count,
                "the holders of slot {slot} are miscounted: {self:?}"
            );
        }
        assert!(self.queue.is_empty() || self.taken() >= self.capacity, "a slot idles: {self:?}");
        assert!(self.queue.iter().is_sorted(), "the queue is not first in, first out: {self:?}");
        for id in self.ids() {
            let task = &self.tasks[id];
            let is_wait = ![Stage::Moved, Stage::Ended].contains(&task.stage);
            assert_eq!(self.queue.contains(&id), is_wait, "{id}: {self:?}");
            assert!(
                task.slot.is_none() || task.is_member,
                "{id} holds a slot of another: {self:?}"
            );
            let polled = task.waits.iter().filter(|wait| self.is_awake(**wait)).count();
            let beside = task.waits.iter().filter(|wait| self.tasks[**wait].stage == Stage::Beside);
            assert!(polled.max(beside.count()) <= 1, "{id} has two turns: {self:?}");
        }
        // A task that waits with a child in its turn does nothing else.
        let waits = |task: &Task| task.waits.iter().any(|wait| self.tasks[*wait].started);
        let working = self.ids().filter(|id| {
            let task = &self.tasks[*id];
            self.is_awake(*id) && !waits(task) && self.holder(*id).is_some()
        });
        assert!(working.count() <= self.taken(), "more bodies than slots: {self:?}");
    }
}
