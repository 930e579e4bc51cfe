//! Write a backup strategy for Cozystack as a WebAssembly component.
//!
//! A strategy describes a backup from top to bottom, as if everything happened at once. The host asks it again
//! and again until the work is done: whatever is not there yet ends the function early with a wait, and the next
//! evaluation begins from the top. What should happen is written into a plan, which the host carries out once
//! the strategy has returned. So there is no loop, no retry and no clean-up of half-done work in a strategy.
//!
//! ```
//! use backup_strategy::prelude::*;
//! use serde::Deserialize;
//!
//! /// The operator's dump, as far as it is looked at.
//! #[derive(Deserialize)]
//! struct Dump {
//!     #[serde(default)]
//!     status: DumpStatus,
//! }
//!
//! #[derive(Deserialize, Default)]
//! #[serde(rename_all = "camelCase", default)]
//! struct DumpStatus {
//!     phase: String,
//!     message: String,
//!     completed_at: Option<Timestamp>,
//! }
//!
//! impl Object for Dump {
//!     const API_VERSION: &str = "example.org/v1";
//!     const KIND: &str = "Dump";
//! }
//!
//! /// What an administrator sets; `spec.rs` in a real strategy.
//! #[derive(Deserialize)]
//! pub struct Spec {
//!     folder: String,
//! }
//!
//! pub struct Example;
//!
//! impl Strategy for Example {
//!     const NAME: &str = "example";
//!     const KIND: &str = "Example";
//!     const PLURAL: &str = "examples";
//!     const APPLICATIONS: &[&str] = &["apps.example.org/Database"];
//!     const QUESTIONS: &[Question] = &[Question::Backup];
//!     const READS: &[Reads] = &[Reads::of::<Dump>().small()];
//!     const WRITES: &[Writes] = &[Writes::of::<Dump>(&[Action::Create]).with_storage_paths(&["/spec/key"])];
//!
//!     type Spec = Spec;
//!     type Parameters = Nothing;
//!     type Options = Nothing;
//!     type State = Nothing;
//!
//!     fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>> {
//!         Ok(vec![Path::new(format!("s3://{}/{}/", cx.bucket().name, cx.spec()?.folder), "dumps")])
//!     }
//!
//!     fn backup(cx: &Context<Self>) -> Outcome<Success> {
//!         let bucket = cx.bucket();
//!         let name = cx.child_name("dump");
//!         let key = format!("{}/{name}.gz", cx.spec()?.folder);
//!
//!         // Created once; from then on this is what the cluster shows.
//!         let dump: Dump = cx.ensure(Lifetime::Kept, &json!({
//!             "apiVersion": Dump::API_VERSION,
//!             "kind": Dump::KIND,
//!             "metadata": { "name": name, "namespace": cx.subject().namespace },
//!             "spec": { "database": cx.subject().name, "secret": bucket.credentials_secret, "key": key },
//!         }))?;
//!         match dump.status.phase.as_str() {
//!             "Complete" => {}
//!             "Failed" => return fail("DumpFailed", dump.status.message),
//!             _ => return wait("DumpRunning", "the operator is dumping").at_most(30.minutes()),
//!         }
//!
//!         let stored = cx
//!             .stored_below(&key)
//!             .next()
//!             .or_fail("DumpMissing", format!("the operator is done, but there is no {key}"))?;
//!         Ok(Success::of(Artifact::of(&bucket, &stored))
//!             .taken_at(dump.status.completed_at)
//!             .metadata("example.org/dump", name))
//!     }
//! }
//!
//! backup_strategy::export!(Example, r#"{ "spec": { "type": "object" } }"#);
//! # fn main() {}
//! ```
//!
//! # Where things are
//!
//! | | |
//! |---|---|
//! | [`Strategy`] | what a strategy is called and which questions it answers |
//! | [`Context`] | everything that can be asked, and the plan |
//! | [`Outcome`], [`wait()`], [`fail()`], [`OrStop`], [`Waiting`] | early returns |
//! | [`Object`], [`kinds!`], [`Metadata`], [`Condition`], [`json!`], [`pruned`] | objects that are read and written |
//! | [`schema`], [`Knob`], [`Rule`], [`Templated`], [`set`], `build` (a feature) | settings, which of them a class may set, and their schemas |
//! | [`Captured`], [`HelmRelease`], [`Pod`] | what stands around an operator's objects |
//! | [`export!`] | makes it a component |

#[doc(hidden)]
pub mod bindings;
#[cfg(feature = "build")]
pub mod build;
mod captured;
mod context;
#[doc(hidden)]
pub mod guest;
mod json;
mod knob;
mod object;
mod outcome;
mod parsed;
mod plan;
mod pod;
mod release;
mod rule;
pub mod schema;
mod settings;
mod storage;
mod strategy;
mod templated;
mod text;
mod time;
mod unstructured;

#[doc(hidden)]
pub use serde;
pub use serde_json::Value;

pub use captured::Captured;
pub use context::{ApplicationRef, Context, FinishedBackup, Job, Level, Refusal, View};
pub use json::{array_of, fill, merge_patch, object_of, pruned, value_of};
pub use knob::{Form, Knob, knob};
pub use object::{Action, Condition, Holds, Metadata, Object, OwnerReference, Reads, Writes};
pub use outcome::{Failure, OrStop, Outcome, Stop, Units, Wait, Waiting, fail, wait};
pub use parsed::{Parsed, Spelt};
pub use plan::{Lifetime, Propagation, Severity};
pub use pod::Pod;
pub use release::HelmRelease;
pub use rule::Rule;
pub use settings::{asked_for, is_bucket_name, is_folder, is_url, set};
pub use storage::{Bucket, StoredObject, StoredObjects, bucket_and_key, covers, is_path};
pub use strategy::{Artifact, Nothing, Path, Problem, Question, Strategy, Success, Verdict};
pub use templated::{Templated, rendered};
pub use time::Timestamp;
pub use unstructured::{Unstructured, items, number, part, text, texts};

/// Everything that a strategy's file uses.
pub mod prelude {
    pub use crate::{
        Action, ApplicationRef, Artifact, Bucket, Condition, Context, FinishedBackup, Holds, Knob,
        Level, Lifetime, Metadata, Nothing, Object, OrStop, Outcome, Path, Problem, Propagation,
        Question, Reads, Refusal, Severity, Stop, Strategy, Success, Timestamp, Units, Value,
        Verdict, View, Waiting, Writes, fail, json, pruned, wait,
    };
}
