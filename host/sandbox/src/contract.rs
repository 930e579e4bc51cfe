//! The contract's types, generated from `wit/strategy.wit`. Only the types are re-exported: they are documented
//! there.

mod generated {
    #![allow(missing_docs, unused_qualifications, clippy::all, clippy::pedantic)]

    wasmtime::component::bindgen!({
        path: "../../wit",
        world: "backup-strategy",
        imports: { default: trappable },
        additional_derives: [PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize],
    });
}

pub(crate) use self::generated::{BackupStrategy, BackupStrategyPre, cozystack};

pub use self::generated::cozystack::backup_strategy::{
    context::{FinishedBackup, JobIdentity, Refusal, View},
    log::Level,
    plan::{Lifetime, Propagation, Severity},
    storage::{Bucket, StoredObject},
    types::{
        ApplicationRef, Artifact, Entry, Failure, ObjectRef, Progress, Selector, Step, Success,
        Verdict, Wait,
    },
};
pub use self::generated::exports::cozystack::backup_strategy::strategy::{Path, Problem};
