//! The promises of greenlets: results, links, kills, locals.

mod catch_exit;
mod ends;
mod green_thread;
mod hook;
mod iwait;
mod joinall;
mod kill;
mod kill_storm;
mod link;
mod locals;
mod outcome;
mod shield;
mod unstarted;
