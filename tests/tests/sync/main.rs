//! The promises of locks, queues and semaphores between greenlets.

mod fairness;
mod locks;
mod queue;
mod queue_sim;
mod turns;
