//! eventlet's pools, by their names: [`GreenPool`] and [`GreenPile`].
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
//! | all else | `spinney_pool::Pool` |

mod green_pile;
mod green_pool;

pub use green_pile::{GreenPile, Next};
pub use green_pool::GreenPool;
