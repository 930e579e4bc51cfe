//! Postgres, by CloudNativePG and its Barman Cloud plugin.
//!
//! The plugin archives WAL all the time and takes base backups when a `Backup` object asks for one. Both lie
//! in one folder of an S3 bucket, of which an `ObjectStore` says where it is:
//!
//! ```text
//! <destinationPath>/<serverName>/base/<backup ID>/backup.info, data.tar.gz
//! <destinationPath>/<serverName>/wals/<timeline and log>/<WAL file>.gz
//! ```
//!
//! A backup therefore sees to it that the Cluster archives, asks the operator for a base backup, and waits.
//! From then on nothing but the operator's `Backup` is looked at. A restore is harder: a Cluster takes in an archive only
//! while it comes up for the first time. So it is deleted with its data and created again, which `restore` tells about.
//!
//! | file | holds |
//! |---|---|
//! | `spec` | what may be set and asked for |
//! | `settings` | the settings with what they leave out |
//! | `cluster`, `operator`, `application` | views of objects |
//! | `archive` | where an archive lies, and what can be seen of it |
//! | `backup`, `check`, `forget` | the questions of these names |
//! | `restore` | the steps of a restore; `gate` is the first of them, `recovery` what it makes |

mod application;
mod archive;
mod backup;
mod check;
mod cluster;
mod forget;
mod gate;
mod metadata;
mod operator;
mod recovery;
mod restore;
mod settings;
mod spec;

use backup_strategy::{HelmRelease, prelude::*};
use serde::{Deserialize, Serialize};

use application::Postgres;
use cluster::Cluster;
use operator::{ObjectStore, Pod, Volume};

/// The strategy.
pub struct Cnpg;

backup_strategy::export!(Cnpg);

/// What a job remembers, by its kind.
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// Of a BackupJob: where the backup goes.
    Backup(backup::Destination),
    /// Of a RestoreJob: what it does, from before the deletion on.
    Restore(recovery::Recovery),
}

impl Strategy for Cnpg {
    const NAME: &str = "cnpg";
    const KIND: &str = "CNPG";
    const PLURAL: &str = "cnpgs";
    const APPLICATIONS: &[&str] = &["apps.cozystack.io/Postgres"];
    const DESCRIPTION: &str =
        "Base backups and WAL archives of Postgres by CloudNativePG and its Barman Cloud plugin";
    const QUESTIONS: &[Question] = Question::ALL;
    const READS: &[Reads] = &[
        Reads::of::<operator::Backup>().small(),
        Reads::of::<ObjectStore>().small(),
        Reads::of::<Cluster>(),
        Reads::of::<HelmRelease>(),
        Reads::of::<Pod>().with_logs(),
        Reads::of::<Volume>(),
    ];
    const WRITES: &[Writes] = &[
        Writes::of::<operator::Backup>(&[Action::Create, Action::Delete]),
        Writes::of::<Cluster>(&[Action::Create, Action::Apply, Action::Delete]),
        Writes::of::<ObjectStore>(&[Action::Apply])
            .with_storage_paths(&["/spec/configuration/destinationPath"]),
        Writes::of::<Postgres>(&[Action::Merge])
            .with_storage_paths(&["/spec/backup/destinationPath"]),
        Writes::of::<Volume>(&[Action::Delete]),
    ];
    const SUSPENDS_RELEASES: bool = true;
    const USES_CREDENTIALS_BETWEEN_JOBS: bool = true;
    const METADATA_VERSIONS: &[u32] = &[0, 1];
    const STATE_VERSIONS: &[u32] = &[2];
    const KNOBS: &[Knob] = spec::KNOBS;

    type Spec = spec::Spec;
    type Parameters = Nothing;
    type Options = spec::Options;
    type State = State;

    fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>> {
        let name = cluster_name(&cx.subject());
        let cluster = cx.get::<Cluster>(&name)?;
        let server = archive::server_name(cx, cluster.as_ref(), &name)?;
        let destination = settings::settings(cx)?.barman_object_store.destination_path;
        Ok(vec![Path::new(
            format!("{}/{server}/", destination.trim_end_matches('/')),
            "base backups and WAL",
        )])
    }

    fn backup(cx: &Context<Self>) -> Outcome<Success> {
        backup::backup(cx)
    }

    fn restore(cx: &Context<Self>) -> Outcome<()> {
        restore::restore(cx)
    }

    fn abort(cx: &Context<Self>) -> Outcome<()> {
        match cx.job().kind.as_str() {
            "BackupJob" => backup::abort(cx),
            "RestoreJob" => restore::abort(cx),
            _ => Ok(()),
        }
    }

    fn forget(cx: &Context<Self>) -> Outcome<()> {
        forget::forget(cx)
    }

    fn check(cx: &Context<Self>) -> Outcome<Verdict> {
        check::check(cx)
    }
}

/// The chart names Cluster, ObjectStore and Helm release alike.
fn cluster_name(application: &ApplicationRef) -> String {
    format!("postgres-{}", application.name)
}
