//! The contract's types, generated from `wit/strategy.wit`.

wasmtime::component::bindgen!({
    path: "../../wit",
    world: "backup-strategy",
    imports: { default: trappable },
    additional_derives: [PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize],
});

pub use self::cozystack::backup_strategy::{
    context::{FinishedBackup, JobIdentity, Refusal, View},
    log::Level,
    plan::{Lifetime, Propagation, Severity},
    storage::{Bucket, StoredObject},
    types::{
        ApplicationRef, Artifact, Entry, Failure, ObjectRef, Progress, Selector, Step, Success, Verdict, Wait,
    },
};
pub use self::exports::cozystack::backup_strategy::strategy::{Path, Problem};
