//! What the operator is told to dump, and where to.

use backup_strategy::{Templated, prelude::*, set};

use crate::{
    Expected, MariaDb, Ordered, Remembered, dump, operator, rules, spec, storage::Storage,
};

/// The operator removes dumps that are older than 30 days when it is told nothing, and cannot be told to keep them. No
/// dump is a hundred years old.
const NEVER: &str = "876000h";

/// The settings, rendered, and held to the rules once more: what a template makes of itself nobody has seen before.
pub fn settings(cx: &Context<MariaDb>) -> Outcome<(spec::Template, spec::Parameters)> {
    let (spec, parameters) = (cx.spec()?, cx.parameters()?);
    match rules::problems(&spec, &parameters).into_iter().next() {
        Some(problem) => fail(
            "InvalidSpec",
            format!("{} {}", problem.path, problem.message),
        ),
        None => Ok((spec.template, parameters)),
    }
}

/// Orders the dump. How long it may take and what lies in its folder by then is remembered first.
pub fn order(cx: &Context<MariaDb>, name: &str) -> Outcome<operator::Backup> {
    let (template, parameters) = settings(cx)?;
    let seconds = spec::backup_deadline(&template, &parameters).as_secs();
    let storage = Storage::of_settings(cx, &template.storage, &parameters)?;
    let order = pruned(json!({
        "apiVersion": operator::Backup::API_VERSION,
        "kind": operator::Backup::KIND,
        "metadata": { "name": name, "namespace": cx.subject().namespace },
        "spec": {
            "mariaDbRef": { "name": operator::instance_of(&cx.subject()) },
            "storage": storage.written(),
            "databases": databases(&template, &parameters),
            "compression": first(parameters.compression, template.compression.as_ref())?,
            "maxRetention": set(parameters.max_retention.as_deref())
                .or(set(template.max_retention.as_deref()))
                .unwrap_or(NEVER),
            "logLevel": first(parameters.log_level, template.log_level.as_ref())?,
            // A restored account has its password of that time. The operator would go on with the one of today, also
            // that of root.
            "ignoreGlobalPriv": true,
        },
    }));
    if cx.state()?.is_none() {
        let ordered = Some(Ordered {
            seconds,
            expected: expected(cx, storage),
        });
        cx.remember(&Remembered {
            ordered,
            removed: None,
        })?;
    }
    cx.ensure(Lifetime::Kept, &order)
}

/// What is to be dumped; none for everything.
fn databases(template: &spec::Template, parameters: &spec::Parameters) -> Option<Vec<String>> {
    let names: Vec<String> = match set(parameters.databases.as_deref()) {
        Some(names) => rules::databases(names).map(Into::into).collect(),
        None => template
            .databases
            .iter()
            .filter_map(|name| set(Some(name.clone())))
            .collect(),
    };
    (!names.is_empty()).then_some(names)
}

/// What the class says, else the strategy.
fn first<T: Copy>(parameter: Option<T>, setting: Option<&Templated<T>>) -> Outcome<Option<T>> {
    match (parameter, setting) {
        (None, Some(setting)) => Ok(setting.value()?.copied()),
        (parameter, _) => Ok(parameter),
    }
}

/// Where the dump will be, if that can be looked at: behind what lies there now.
fn expected(cx: &Context<MariaDb>, storage: Storage) -> Option<Expected> {
    let s3 = storage.s3.filter(|s3| s3.is_in_sight(cx))?;
    let last = dump::behind(cx, &s3, &s3.stem()).last();
    let after = last.map_or_else(|| s3.stem(), |dump| dump.key);
    Some(Expected { s3, after })
}
