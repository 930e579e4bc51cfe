//! What the operator is told to dump, and where to.

use backup_strategy::{prelude::*, rendered, set};

use crate::{Expected, MariaDb, Ordered, Remembered, dump, operator, spec, storage::Storage};

/// The operator removes dumps that are older than 30 days when it is told nothing, and cannot be told to keep them. No
/// dump is a hundred years old.
const NEVER: &str = "876000h";

/// Orders the dump. How long it may take and what lies in its folder by then is remembered first.
pub fn order(cx: &Context<MariaDb>, name: &str) -> Outcome<operator::Backup> {
    let template = cx.spec()?.template;
    let storage = Storage::of_settings(cx, &template.storage)?;
    let databases: Vec<String> = template
        .databases
        .into_iter()
        .filter(|name| !name.is_empty())
        .collect();
    let spec = json!({
        "mariaDbRef": { "name": operator::instance_of(&cx.subject()) },
        "storage": storage.written(),
        "databases": (!databases.is_empty()).then_some(databases),
        "compression": rendered(template.compression.as_ref())?,
        "maxRetention": set(template.max_retention.as_deref()).unwrap_or(NEVER),
        "logLevel": rendered(template.log_level.as_ref())?,
        // A restored account has its password of that time. The operator would go on with the one of today, also that of
        // root.
        "ignoreGlobalPriv": true,
    });
    let order = pruned(operator::Backup::object(
        &cx.subject().namespace,
        name,
        spec,
    ));
    if cx.state()?.is_none() {
        let ordered = Some(Ordered {
            seconds: template
                .backup_timeout_seconds
                .map_or(spec::DEADLINE.as_secs(), u64::from),
            expected: expected(cx, storage),
        });
        cx.remember(&Remembered {
            ordered,
            removed: None,
        })?;
    }
    cx.ensure(Lifetime::Kept, &order)
}

/// Where the dump will be, if that can be looked at: behind what lies there now.
fn expected(cx: &Context<MariaDb>, storage: Storage) -> Option<Expected> {
    let s3 = storage.s3.filter(|s3| s3.is_in_sight(cx))?;
    let last = dump::behind(cx, &s3, &s3.stem()).last();
    let after = last.map_or_else(|| s3.stem(), |dump| dump.key);
    Some(Expected { s3, after })
}
