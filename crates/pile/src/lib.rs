//! eventlet's pools, by their names: [`GreenPool`], [`GreenPile`] and [`ResourcePool`].
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
//! | to | take |
//! |---|---|
//! | port code that has a `GreenPool`, or spawn into a full pool from inside it | [`GreenPool`] |
//! | spawn many and have the results as they come, without a list of handles | [`GreenPile`] |
//! | use things again that are costly to make, one user at a time | [`ResourcePool`] |
//! | all else | `spinney_pool::Pool` |

mod green_pile;
mod green_pool;
mod readers;
mod resource_pool;
mod tasks;

pub use green_pile::{GreenPile, Next};
pub use green_pool::GreenPool;
pub use resource_pool::{
    Discarded, DrainReport, Item, ItemInfo, ResourceError, ResourcePool, ResourcePoolBuilder,
    ResourceStats, WaitTimes,
};
