//! eventlet's pools: [`GreenPool`], [`GreenPile`] and [`ResourcePool`].
//!
//! ```
//! use spinney_pile::GreenPile;
//!
//! spinney_hub::block_on(async {
//!     let pile = GreenPile::new(10);
//!     for n in 1..=3 {
//!         pile.spawn(async move { n * n }).await;
//!     }
//!     let mut sum = 0;
//!     while let Some(square) = pile.next().await {
//!         sum += square.unwrap();
//!     }
//!     assert_eq!(sum, 14);
//! });
//! ```
//!
//! | to | use |
//! |---|---|
//! | port code with a `GreenPool`, or spawn into a full pool from its own members | [`GreenPool`] |
//! | spawn many tasks and read the results as they finish, without a list of handles | [`GreenPile`] |
//! | reuse expensive objects, one user at a time | [`ResourcePool`] |
//! | do anything else | `spinney_pool::Pool` |

pub mod eventlet;
mod green_pile;
mod green_pool;
mod readers;
mod resource_pool;

pub use green_pile::{GreenPile, Next};
pub use green_pool::GreenPool;
pub use resource_pool::{
    Discarded, DrainReport, Item, ItemInfo, ResourceError, ResourcePool, ResourcePoolBuilder,
    ResourceStats, WaitTimes,
};
