//! For the file that holds a strategy's settings: `use backup_strategy::schema::*;`.
//!
//! In the build script [`JsonSchema`] is the derive of `schemars`; in the component it writes nothing, and the
//! schema costs no byte.

#[cfg(not(feature = "build"))]
pub use backup_strategy_derive::JsonSchema;
#[cfg(feature = "build")]
pub use schemars::{self, JsonSchema};
