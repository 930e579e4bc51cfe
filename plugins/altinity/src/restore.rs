//! Restores exactly the archive of a Backup, into its application or into another one.
//!
//! Tables of the archive are dropped and come back as they were; other tables are left alone. Another application's
//! archive is read where it lies: clickhouse-backup is told that folder for this run.

use backup_strategy::prelude::*;

use crate::{
    Altinity,
    archive::{Archive, Sight},
    job::runs_program,
    operator::{Sidecars, release_of},
    run::{self, Purpose, Run},
    spec::{Options, Spec},
};

const RESTORE: Purpose = Purpose {
    mode: "restore",
    reason: "RestoreRunning",
    doing: "clickhouse-backup restores the archive",
};

pub fn restore(cx: &Context<Altinity>) -> Outcome<()> {
    cx.is_accepted()?;
    let source = cx.finished_backup()?;
    let options = cx.options()?;
    let mut settings = cx.spec()?;
    settings.deadline_seconds = options.seconds().or(settings.deadline_seconds);
    let decide = |sidecars: &Sidecars| decide(cx, &source, &options, &settings, sidecars);
    let (_, job) = Run::to_its_end(cx, &RESTORE, &settings, decide)?;
    if cx.subject().namespace != cx.job().namespace {
        cx.delete::<crate::operator::BatchJob>(
            &job.metadata.name,
            Some(&job.metadata.uid),
            Propagation::Background,
        );
    }
    Ok(())
}

/// Nothing is touched by a restore that cannot end well.
fn decide(
    cx: &Context<Altinity>,
    source: &FinishedBackup,
    options: &Options,
    settings: &Spec,
    sidecars: &Sidecars,
) -> Outcome<Run> {
    let archive = Archive::of_backup(cx, source)?;
    lies_where_it_is_looked_for(cx, &archive, sidecars)?;
    if let Sight::Missing(folder) = archive.sight(cx) {
        return fail!(
            "ArchiveGone",
            "{folder} is no longer a whole archive; nothing was touched"
        );
    }
    if sidecars.shards != archive.shards {
        return fail!(
            "ShardsDiffer",
            "the backup is of {} shards and ClickHouse {} has {}; set its spec.shards to {} and restore again",
            archive.shards,
            cx.subject().name,
            sidecars.shards,
            archive.shards
        );
    }
    let tables = options.tables()?;
    if runs_program(settings.template.as_ref()) {
        run::trusts_storage(cx, sidecars)?;
        let steps = run::steps(cx, &archive, sidecars)?.restore(&archive, sidecars, tables);
        return Ok(Run {
            archive,
            steps,
            outdated: Vec::new(),
        });
    }
    if tables.is_some() {
        return fail(
            "UnsupportedOption",
            "tables: the strategy's template has a program of its own, which is not told of tables",
        );
    }
    takes_this_archive(cx, source, &archive, settings)?;
    Ok(Run {
        archive,
        steps: String::new(),
        outdated: Vec::new(),
    })
}

/// One clickhouse-backup has one storage.
fn lies_where_it_is_looked_for(
    cx: &Context<Altinity>,
    archive: &Archive,
    sidecars: &Sidecars,
) -> Outcome<()> {
    let platform = cx.bucket();
    let target = cx.subject().name;
    match (&archive.bucket, sidecars.use_platform(&platform)) {
        (Some(bucket), true) if *bucket == platform.name => Ok(()),
        (Some(bucket), true) => fail!(
            "ArchiveOutOfReach",
            "the backup lies in bucket {bucket}, and the platform's storage is {} now",
            platform.name
        ),
        (None, false) => Ok(()),
        (Some(_), false) => fail!(
            "StorageDiffers",
            "the backup lies in the platform's storage, and the clickhouse-backup of ClickHouse {target} uses another; set \
             its spec.backup.useSystemBucket to true"
        ),
        (None, true) => fail!(
            "StorageDiffers",
            "the backup lies in a storage of its application's own, and the clickhouse-backup of ClickHouse {target} uses \
             the platform's; give that ClickHouse the spec.backup.s3* settings of the other one"
        ),
    }
}

/// A program that is not told the archive takes the newest one, as the first controller's did.
fn takes_this_archive(
    cx: &Context<Altinity>,
    source: &FinishedBackup,
    archive: &Archive,
    settings: &Spec,
) -> Outcome<()> {
    let template = settings
        .template
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    if template.contains("BACKUP_ARCHIVE") || archive.bucket.is_none() {
        return Ok(());
    }
    let names = format!("{}/{}-", archive.path, release_of(&source.application));
    let later = cx
        .stored_below(&archive.path)
        .after(&format!("{}0", archive.folder(0)))
        .next();
    if later.is_none_or(|later| !later.key.starts_with(&names)) {
        return Ok(());
    }
    fail!(
        "TemplateChoosesArchive",
        "the strategy's template has a program that restores the newest archive, and Backup {} is of an older one, {}; let \
         the program take $BACKUP_ARCHIVE, or leave out its command",
        source.name,
        archive.name
    )
}
