//! Greenlets: tasks that can be waited for, linked to and killed, on any executor.
//!
//! [`spawn`] starts a greenlet on the current hub, [`spawn_on`] on a given hub. Both return a
//! [`Greenlet`], which owns the result; its [`Handle`] controls the task from anywhere.
//!
//! ```
//! use spinney_greenlet::{Failure, spawn};
//!
//! spinney_hub::block_on(async {
//!     let sum = spawn(async { 1 + 2 });
//!     assert_eq!(sum.await.unwrap(), 3);
//!
//!     let endless = spawn(std::future::pending::<()>());
//!     endless.kill().await;
//!     assert!(matches!(endless.await, Err(Failure::Killed(_))));
//!
//!     let broken = spawn(async { panic!("no luck") });
//!     let failure = broken.await.unwrap_err().to_string();
//!     assert!(failure.starts_with("greenlet ") && failure.ends_with(" panicked: no luck"));
//! });
//! ```
//!
//! | to | take |
//! |---|---|
//! | start a task now, on a given hub, or later | [`spawn`], [`spawn_on`], [`spawn_later`] |
//! | name a task before it runs | [`named`] |
//! | create a greenlet now and start it later | [`Greenlet::new`] |
//! | wait for one greenlet, or for several | [`Handle::join`], [`joinall`], [`iwait`] |
//! | kill one greenlet, or several | [`Handle::kill`], [`killall`] |
//! | catch a kill in the greenlet, and clean up | [`catch_exit`] |
//! | defer a kill | [`shield`] |
//! | end a greenlet that catches its kills | [`Handle::abort`] |
//! | call a function at the end of a greenlet | [`Handle::link`] |
//! | forward a result at the end | [`Greenlet::link_to`], [`Greenlet::link_queue`] |
//! | keep variables per greenlet | [`greenlet_local!`] |
//! | list the live greenlets as a tree | [`spawn_tree`] |
//! | see what happens to each greenlet, for tools | [`Observer`] |
//!
//! | if the future | the greenlet's result is |
//! |---|---|
//! | returned | `Ok` of the returned value, even if that is itself an `Err` |
//! | panicked | [`Failure::Panicked`], with the payload; no other task is affected |
//! | was killed | [`Failure::Killed`], with the reason |
//! | was dropped by its hub | [`Failure::Killed`], because its hub was shut down |
//! | was aborted | [`Failure::Aborted`] |
//!
//! Each failure names [its greenlet](Failure::task).
//!
//! Containers are built with [`pair`], [`NewGreenlet`], [`pair_items`] and [`InPlace`], their maps
//! with [`ResultBuffer`](results::ResultBuffer) and the readers of [`map`].

mod collector;
mod control;
mod current;
mod failure;
mod greenlet;
mod handle;
mod in_place;
mod items;
mod kill;
mod lazy_handle;
mod links;
mod local;
pub mod map;
mod named;
mod observe;
mod primitive;
mod report;
pub mod results;
mod scopes;
mod spawn;
mod spawn_context;
mod spawn_tree;
mod task;
mod wait;

pub use current::Owner;
pub use failure::{Failure, Panic};
pub use greenlet::Greenlet;
pub use handle::{Handle, Join, LinkId, State};
pub use in_place::{InPlace, KillForwarder};
pub use items::{ItemGreenlets, pair_items};
pub use kill::{CatchExit, GreenletExit, Shield, catch_exit, shield};
pub use lazy_handle::LazyHandle;
pub use local::{InheritLocals, Inherited, Local, inherit_locals};
pub use named::{Named, named};
pub use observe::{
    Announcement, Container, ContainerLimits, Observer, ObserverSet, Spawned, Watch, is_observed,
    set_observer,
};
pub use report::Report;
pub use spawn::{spawn, spawn_later, spawn_later_local, spawn_on};
pub use spawn_context::SpawnContext;
pub use spawn_tree::{Branch, SpawnTree, spawn_tree, track_spawns};
pub use task::{NewGreenlet, Task, pair};
pub use wait::{
    Iwait, JoinAll, Joined, iwait, joinall, killall, killall_now, killall_now_with, killall_with,
    try_joinall,
};
