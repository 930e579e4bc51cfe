//! MariaDB, by dumps of mariadb-operator.
//!
//! A `Backup` of the operator makes it run a Job, which dumps the databases and stores the dump as one object of an S3
//! bucket, or on a volume:
//!
//! ```text
//! <bucket>/<folder>/backup.<time>.<compression>.sql
//! ```
//!
//! A `Restore` makes it run another, which puts a dump into a MariaDB that is there already. Neither needs the other: a
//! `Restore` names the place by itself, and the time of the dump tells the operator which one it is.

mod check;
mod dump;
mod forget;
mod metadata;
mod operator;
mod order;
mod restore;
mod rules;
mod spec;
mod storage;

use std::time::Duration;

use backup_strategy::{Pod, prelude::*};
use serde::{Deserialize, Serialize};

use dump::Dump;
use operator::{Claim, Completion, DumpPod};
use order::order;
use storage::{S3, Storage};

/// Lines of a log that are looked at.
const LOG_LINES: u32 = 20;

/// The strategy.
pub struct MariaDb;

backup_strategy::export!(MariaDb);

/// What is remembered from one evaluation to the next.
#[derive(Default, Deserialize, Serialize)]
#[serde(default)]
pub struct Remembered {
    /// Of a backup.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ordered: Option<Ordered>,
    /// Of a removal: the key of the dump.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub removed: Option<String>,
}

/// What a backup has ordered. What is set anew while it runs is for the next one.
#[derive(Deserialize, Serialize)]
pub struct Ordered {
    /// How many seconds the dump may take.
    pub seconds: u64,
    /// Where it will be, if that can be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected: Option<Expected>,
}

/// Where the dump of a job will be.
#[derive(Deserialize, Serialize)]
pub struct Expected {
    /// The place that the operator was told.
    pub s3: S3,
    /// The last key that was there before.
    pub after: String,
}

impl Strategy for MariaDb {
    const NAME: &str = "mariadb";
    const KIND: &str = "MariaDB";
    const PLURAL: &str = "mariadbs";
    const APPLICATIONS: &[&str] = &["apps.cozystack.io/MariaDB"];
    const DESCRIPTION: &str = "Dumps of MariaDB by mariadb-operator";
    const QUESTIONS: &[Question] = Question::ALL;
    const READS: &[Reads] = &[
        Reads::of::<operator::Backup>().small(),
        Reads::of::<operator::Restore>().small(),
        Reads::of::<operator::MariaDb>(),
        Reads::of::<Pod>().with_logs(),
        Reads::of::<Claim>(),
    ];
    const WRITES: &[Writes] = &[
        Writes::of::<operator::Backup>(&[Action::Create, Action::Delete])
            .with_storage_paths(&["/spec/storage/s3/prefix"]),
        Writes::of::<operator::Restore>(&[Action::Create, Action::Delete])
            .with_storage_paths(&["/spec/s3/prefix"]),
        Writes::of::<Claim>(&[Action::Delete]),
    ];
    const METADATA_VERSIONS: &[u32] = &[0, 1];
    const STATE_VERSIONS: &[u32] = &[1];
    const KNOBS: &[Knob] = spec::KNOBS;

    type Spec = spec::Spec;
    type Parameters = Nothing;
    type Options = spec::Options;
    type State = Remembered;

    fn validate(spec: &Self::Spec, _: &Nothing) -> Vec<Problem> {
        rules::misplaced(&spec.template.storage)
            .into_iter()
            .collect()
    }

    fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>> {
        let s3 = Storage::of_settings(cx, &cx.spec()?.template.storage)?.s3;
        Ok(s3
            .map(|s3| Path::new(s3.uri(""), "dumps"))
            .into_iter()
            .collect())
    }

    fn backup(cx: &Context<Self>) -> Outcome<Success> {
        cx.is_accepted()?;
        let name = cx.child_name("dump");
        let ordered = match cx.get::<operator::Backup>(&name)? {
            Some(ordered) => ordered,
            None => {
                is_ready(cx, "MariaDBNotReady", 30.minutes())?;
                order(cx, &name)?
            }
        };
        match operator::completion(&ordered) {
            Completion::Done(at) => success(cx, &ordered, at),
            Completion::Running(said) => goes_on(cx, &name, &said),
            Completion::Failed(said) => fail!(
                "MariaDBBackupFailed",
                "mariadb-operator's Job {name} has failed: {}",
                blamed(cx, &name, &said)?
            ),
        }
    }

    fn restore(cx: &Context<Self>) -> Outcome<()> {
        restore::restore(cx)
    }

    fn abort(cx: &Context<Self>) -> Outcome<()> {
        match cx.job().kind.as_str() {
            "BackupJob" => forget::unfinished(cx, &cx.child_name("dump")),
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

/// Waits for the MariaDB of the application: the operator itself waits for one that is there.
fn is_ready(cx: &Context<MariaDb>, reason: &str, at_most: Duration) -> Outcome<()> {
    let (instance, namespace) = (operator::instance_of(&cx.subject()), cx.subject().namespace);
    let state = match cx.get::<operator::MariaDb>(&instance)? {
        Some(mariadb) if mariadb.is_ready() => return Ok(()),
        Some(mariadb) => mariadb.state(),
        None => "it does not exist yet; deploy the application first".into(),
    };
    wait!(reason, "MariaDB {namespace}/{instance}: {state}")
        .pending()
        .at_most(at_most)
}

/// Waits for the operator's Job, as long as there is something to wait for.
fn goes_on<T>(cx: &Context<MariaDb>, name: &str, said: &str) -> Outcome<T> {
    let instance = operator::instance_of(&cx.subject());
    cx.get::<operator::MariaDb>(&instance).or_fail(
        "MariaDBGone",
        format!("MariaDB {instance} was deleted while it was dumped"),
    )?;
    if let Some(why) = cx.obstacle_of_job(name)? {
        return wait!(
            "MariaDBBackupStuck",
            "the Pod of Job {name} cannot start: {why}"
        )
        .at_most(10.minutes());
    }
    let ordered = cx.state()?.and_then(|state| state.ordered);
    let seconds = ordered.map_or(spec::DEADLINE.as_secs(), |ordered| ordered.seconds);
    wait!(
        "MariaDBBackupRunning",
        "mariadb-operator is dumping: {said}; a dump that needs more time gets it by backupTimeoutSeconds of the \
         strategy or of its BackupClass"
    )
    .at_most(Duration::from_secs(seconds))
}

/// What the operator says of a failure, and what its Pods tell besides: the operator says only that there was one. The
/// log itself is not quoted, for what stands in it nobody knows.
fn blamed(cx: &Context<MariaDb>, job: &str, said: &str) -> Outcome<String> {
    let pods = cx.find::<DumpPod>(&[("batch.kubernetes.io/job-name", job)])?;
    let failed = pods
        .iter()
        .find_map(|pod| Some((pod, pod.failed_container()?)));
    let Some((pod, container)) = failed else {
        return Ok(said.into());
    };
    let name = &pod.metadata.name;
    let log = cx.log_tail(name, container, false, LOG_LINES);
    let remedy = log.and_then(|log| operator::remedy(&log));
    Ok(match remedy {
        Some(remedy) => format!("{said}; {remedy}"),
        None => format!(
            "{said}; it was container {container} of Pod {name}, whose log says why, where logs are kept"
        ),
    })
}

fn success(
    cx: &Context<MariaDb>,
    ordered: &operator::Backup,
    completed: Option<Timestamp>,
) -> Outcome<Success> {
    let name = &ordered.metadata.name;
    let storage = ordered.storage();
    let expected = cx.state()?.and_then(|state| state.ordered?.expected);
    let (artifact, begun_at) = match (&storage.s3, expected) {
        (Some(_), Some(Expected { s3, after })) => {
            let dump = the_dump(cx, &s3, &after)?;
            let uri = format!("s3://{}/{}", s3.bucket, dump.key);
            let artifact = Artifact::at(uri).with_size(dump.size_bytes);
            (Some(artifact), Some(dump.begun_at))
        }
        // Somebody else's bucket: the folder is all that is known.
        (Some(s3), None) => (Some(Artifact::at(s3.uri(""))), begun_at(cx, name)?),
        (None, _) => (None, begun_at(cx, name)?),
    };
    let uri = artifact.as_ref().map(|artifact| artifact.uri.clone());
    let parameters = json!(cx.all_parameters());
    Ok(Success::of(artifact)
        .taken_at(begun_at.or(completed))
        .metadata_of(&[
            (metadata::VERSION, Some("1")),
            (metadata::BACKUP_NAME, Some(name)),
            (metadata::BACKUP_NAMESPACE, Some(&cx.subject().namespace)),
            (metadata::STORAGE_URI, uri.as_deref()),
        ])
        .resources(&storage.resources(&ordered.databases(), &parameters)))
}

/// The dump that came behind those that were there before. A Job that was tried more than once may have left several.
fn the_dump(cx: &Context<MariaDb>, s3: &S3, after: &str) -> Outcome<Dump> {
    match dump::behind(cx, s3, after).last() {
        Some(dump) => Ok(dump),
        None => wait!(
            "DumpMissing",
            "mariadb-operator says that the dump is stored, and {} holds none; a maxRetention that is shorter than a \
             dump takes removes it at once",
            s3.uri("")
        )
        .ask_again_after(20.seconds())
        .at_most(2.minutes()),
    }
}

/// When the dump was begun, as its Pod says.
fn begun_at(cx: &Context<MariaDb>, job: &str) -> Outcome<Option<Timestamp>> {
    let pods = cx.find::<DumpPod>(&[("batch.kubernetes.io/job-name", job)])?;
    Ok(pods.iter().filter_map(DumpPod::dump_begun_at).max())
}
