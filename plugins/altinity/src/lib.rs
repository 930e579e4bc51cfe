//! ClickHouse, by the clickhouse-backup that its chart puts beside each replica.
//!
//! clickhouse-backup has an HTTP API and the keys of the storage. A strategy can ask no API, so a Job does: `client.sh`
//! tells the clickhouse-backup of each shard what to do, and waits for it.
//!
//! ```text
//!   this strategy ──► Job ──► clickhouse-backup of each shard ──► <bucket>/<namespace>/clickhouse-<name>/<archive>/
//! ```
//!
//! The name of the archive is fixed before the Job is ordered, and recorded with the Backup: a restore takes that archive
//! and no other, and a removal needs nothing but the bucket.
//!
//! | file | holds |
//! |---|---|
//! | `run` | one run of the Job, from the first look to its end, and its undoing |
//! | `steps` | what clickhouse-backup is told |
//! | `job` | the Job's object, and why it has failed |
//! | `archive` | where archives lie, and how a Backup's is found |
//! | `sidecar` | what becomes of a clickhouse-backup with old credentials |
//! | `restore`, `forget`, `check` | what is done with a finished backup |

mod archive;
mod check;
mod forget;
mod job;
mod metadata;
mod operator;
mod restore;
mod run;
mod sidecar;
mod spec;
mod steps;

use backup_strategy::prelude::*;

use archive::{Archive, Sight};
use operator::{BatchJob, Installation, Pod, Sidecars};
use run::{Purpose, Run};

/// The strategy.
pub struct Altinity;

backup_strategy::export!(Altinity);

const BACKUP: Purpose = Purpose {
    mode: "backup",
    reason: "BackupRunning",
    doing: "clickhouse-backup writes the archive",
};

impl Strategy for Altinity {
    const NAME: &str = "altinity";
    const KIND: &str = "Altinity";
    const PLURAL: &str = "altinities";
    const APPLICATIONS: &[&str] = &["apps.cozystack.io/ClickHouse"];
    const DESCRIPTION: &str = "Archives of ClickHouse by the clickhouse-backup beside it";
    const QUESTIONS: &[Question] = Question::ALL;
    const READS: &[Reads] = &[
        Reads::of::<Installation>(),
        Reads::of::<Pod>(),
        Reads::of::<BatchJob>(),
    ];
    const WRITES: &[Writes] = &[
        Writes::of::<BatchJob>(&[Action::Create, Action::Delete]),
        // A Pod of ClickHouse is restarted where the class allows it.
        Writes::of::<Pod>(&[Action::Delete]),
    ];
    // The chart gives each release a folder. It is called after the application here: a backup outlives its release.
    const STORAGE_PATHS: &[&str] = &["{namespace}/clickhouse-{application}"];
    const POD_SECRETS: &[&str] = &["clickhouse-{application}-backup-api-auth"];
    // clickhouse-backup names the Secret: without it, a Pod of ClickHouse would start again without a storage.
    const USES_CREDENTIALS_BETWEEN_JOBS: bool = true;
    const METADATA_VERSIONS: &[u32] = &[0, 1];
    const STATE_VERSIONS: &[u32] = &[1];
    const KNOBS: &[Knob] = spec::KNOBS;

    type Spec = spec::Spec;
    type Parameters = Nothing;
    type Options = spec::Options;
    type State = Run;

    fn validate(spec: &Self::Spec, _: &Nothing) -> Vec<Problem> {
        spec::problems(spec)
    }

    fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>> {
        let path = archive::usual_path(&cx.subject());
        Ok(vec![Path::new(
            format!("s3://{}/{path}/", cx.bucket().name),
            "archives",
        )])
    }

    fn backup(cx: &Context<Self>) -> Outcome<Success> {
        cx.is_accepted()?;
        let settings = cx.spec()?;
        let has_program = job::runs_program(settings.template.as_ref());
        let decide = |sidecars: &Sidecars| decide(cx, sidecars, has_program);
        let (run, job) = Run::to_its_end(cx, &BACKUP, &settings, decide)?;
        let (archive, size) = written(cx, &run, &job)?;
        Ok(success(cx, archive.as_ref(), size).taken_at(job.started_at()))
    }

    fn restore(cx: &Context<Self>) -> Outcome<()> {
        restore::restore(cx)
    }

    fn abort(cx: &Context<Self>) -> Outcome<()> {
        match cx.job().kind.as_str() {
            "BackupJob" => run::undo(cx, BACKUP.mode, true),
            "RestoreJob" => run::undo(cx, "restore", false),
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

/// A new archive, where clickhouse-backup writes by itself.
fn decide(cx: &Context<Altinity>, sidecars: &Sidecars, has_program: bool) -> Outcome<Run> {
    let platform = cx.bucket();
    let is_platform = sidecars.use_platform(&platform);
    let job = cx.job();
    let archive = Archive {
        name: Archive::name_of(&cx.subject(), job.started_at, &job.uid),
        shards: sidecars.shards,
        path: sidecars.path()?,
        bucket: is_platform.then_some(platform.name),
    };
    if !has_program {
        return Ok(Run {
            archive: Archive {
                shards: 1,
                ..archive
            },
            steps: String::new(),
            outdated: Vec::new(),
        });
    }
    if is_platform {
        run::trusts_storage(cx, sidecars)?;
    }
    let steps = run::steps(cx, &archive, sidecars)?.backup(&archive, sidecars);
    Ok(Run {
        archive,
        steps,
        outdated: Vec::new(),
    })
}

/// The archive that a Job has written, and its size: that it has ended well is not enough.
fn written(
    cx: &Context<Altinity>,
    run: &Run,
    job: &BatchJob,
) -> Outcome<(Option<Archive>, Option<u64>)> {
    let has_program = !run.steps.is_empty();
    match run.archive.sight(cx) {
        Sight::Whole(size) => return Ok((Some(run.archive.clone()), size)),
        Sight::Hidden => return Ok((has_program.then(|| run.archive.clone()), None)),
        Sight::Missing(folder) if has_program => {
            return fail!(
                "ArchiveMissing",
                "clickhouse-backup is done, but {folder} is no whole archive"
            );
        }
        Sight::Missing(_) => {}
    }
    // A program of the template's own that was not told a name has made one of the time.
    let since = job.started_at().unwrap_or(cx.job().started_at);
    let archive = Archive::latest(cx, &cx.subject(), since, cx.now())?.or_fail(
        "ArchiveMissing",
        format!(
            "the Job is done, but {} holds no archive that was begun since {since}",
            run.archive.path
        ),
    )?;
    match archive.sight(cx) {
        Sight::Whole(size) => Ok((Some(archive), size)),
        _ => Ok((Some(archive), None)),
    }
}

fn success(cx: &Context<Altinity>, archive: Option<&Archive>, size: Option<u64>) -> Success {
    let artifact = archive.map(|archive| Artifact {
        size_bytes: size,
        ..Artifact::at(archive.uri())
    });
    let mut success = Success::of(artifact);
    for (name, value) in cx.all_parameters() {
        success = success.metadata(&format!("{}{name}", metadata::PARAMETER), value);
    }
    let Some(archive) = archive else {
        return success;
    };
    success
        .metadata(metadata::VERSION, "1".to_owned())
        .metadata(metadata::ARCHIVE, archive.name.clone())
        .metadata(metadata::SHARDS, archive.shards.to_string())
        .metadata(metadata::PATH, archive.path.clone())
        .metadata(metadata::BUCKET, archive.bucket.clone())
}
