//! Ledgers, by the exports of the ledger operator.
//!
//! A backup is one file, which the operator writes and reads for whoever asks by an object:
//!
//! ```text
//! Export ──► <bucket>/<usual place of the application>/<name of the Export>.ledger ──► Import
//! ```

mod operator;
mod spec;

use backup_strategy::prelude::*;

use operator::{Export, Import, Place};

/// On a Backup: the Export that made it, which its file is named after.
const EXPORT: &str = "ledgers.vendor.example/export";

/// The strategy.
pub struct Ledger;

backup_strategy::export!(Ledger);

impl Strategy for Ledger {
    const NAME: &str = "ledger";
    const KIND: &str = "LedgerExport";
    const PLURAL: &str = "ledgerexports";
    const APPLICATIONS: &[&str] = &["apps.vendor.example/Ledger"];
    const DESCRIPTION: &str = "Exports of ledgers by the ledger operator";
    const QUESTIONS: &[Question] = &[
        Question::Backup,
        Question::Restore,
        Question::Abort,
        Question::Forget,
        Question::Check,
    ];
    const READS: &[Reads] = &[Reads::of::<Export>().small(), Reads::of::<Import>().small()];
    const WRITES: &[Writes] = &[
        Writes::of::<Export>(&[Action::Create, Action::Delete]).with_storage_paths(&["/spec/to"]),
        Writes::of::<Import>(&[Action::Create, Action::Delete]).with_storage_paths(&["/spec/from"]),
    ];

    type Spec = spec::Spec;
    type Parameters = Nothing;
    type Options = Nothing;
    type State = Nothing;

    fn paths(cx: &Context<Self>) -> Outcome<Vec<Path>> {
        let uri = format!("s3://{}/{}/", cx.bucket().name, usual_place(cx)?);
        Ok(vec![Path::new(uri, "exports")])
    }

    fn backup(cx: &Context<Self>) -> Outcome<Success> {
        let spec = cx.spec()?;
        let name = cx.child_name("export");
        let place = place(cx, &name)?;

        // Created once; from then on this is what the cluster shows.
        let order = Export::of(&cx.subject(), &name, &place, &spec.comment);
        let export: Export = cx.ensure(Lifetime::Kept, &order)?;
        export.status.is_complete(spec.timeout_minutes)?;

        let stored = cx.stored_below(&place.key).next().or_fail(
            "ExportMissing",
            format!("the operator is done, but there is no {}", place.uri()),
        )?;
        Ok(Success::of(Artifact::of(&place.bucket, &stored))
            .taken_at(export.status.finished_at)
            .metadata(EXPORT, name))
    }

    fn restore(cx: &Context<Self>) -> Outcome<()> {
        let source = cx
            .source()
            .or_fail("NoBackup", "there is no backup to restore")?;
        if source.application != cx.subject() {
            return fail("Unsupported", "a ledger can be restored in place only");
        }
        let place = place(cx, &export_of(&source)?)?;

        let order = Import::of(&cx.subject(), &cx.child_name("import"), &place);
        let import: Import = cx.ensure(Lifetime::Job, &order)?;
        import.status.is_complete(cx.spec()?.timeout_minutes)
    }

    fn abort(cx: &Context<Self>) -> Outcome<()> {
        if cx.job().kind == "BackupJob" {
            return remove(cx, &cx.child_name("export"));
        }
        cx.delete::<Import>(&cx.child_name("import"), None, Propagation::Background);
        Ok(())
    }

    fn forget(cx: &Context<Self>) -> Outcome<()> {
        let source = cx
            .source()
            .or_fail("NoBackup", "there is no backup to remove")?;
        remove(cx, &export_of(&source)?)
    }

    fn check(cx: &Context<Self>) -> Outcome<Verdict> {
        let source = cx
            .source()
            .or_fail("NoBackup", "there is no backup to look for")?;
        let place = place(cx, &export_of(&source)?)?;
        Ok(match cx.stored_below(&place.key).next() {
            Some(_) => Verdict::Present,
            None => Verdict::lost(
                "ExportGone",
                format!("there is no {} any more", place.uri()),
            ),
        })
    }
}

/// Removes an export: the operator's object first, so that nothing writes any more, then the file.
fn remove(cx: &Context<Ledger>, name: &str) -> Outcome<()> {
    if let Some(Export { metadata, .. }) = cx.get(name)? {
        if !metadata.is_being_deleted() {
            cx.delete::<Export>(name, Some(&metadata.uid), Propagation::Background);
        }
        return wait("ExportRemoving", format!("Export {name} is being deleted"))
            .at_most(10.minutes());
    }
    cx.purge(&place(cx, name)?.key);
    Ok(())
}

fn export_of(source: &FinishedBackup) -> Outcome<String> {
    let name = source.metadata_name(EXPORT)?.map(str::to_owned);
    name.or_fail(
        "NoExport",
        format!("Backup {} does not say which Export made it", source.name),
    )
}

fn place(cx: &Context<Ledger>, export: &str) -> Outcome<Place> {
    Ok(Place {
        bucket: cx.bucket(),
        key: format!("{}/{export}.ledger", usual_place(cx)?),
    })
}

fn usual_place(cx: &Context<Ledger>) -> Outcome<String> {
    cx.prefixes().into_iter().next().or_fail(
        "NoPlace",
        "the administrator has granted no place in the bucket",
    )
}
