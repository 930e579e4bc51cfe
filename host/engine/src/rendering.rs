//! Strategy objects, their templates rendered for one application.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use backup_api::{Reason, names::MISSING_VALUES};
use backup_sandbox::contract::{ApplicationRef, FinishedBackup};
use backup_templates::{Data, Document, Missing, Numbers};
use serde_json::{Value, json};

use crate::{admit::Case, object, stop::Stop};

/// The dotted paths of the data that are string maps in Go, where reading an absent key gives an empty string.
const STRING_MAPS: [&str; 3] = ["Parameters", "Release", "Backup.ApplicationRef"];

/// Compiled strategy specs, each once for every version of its object.
#[derive(Default)]
pub(crate) struct Documents(Mutex<HashMap<String, (String, Arc<Document>)>>);

impl Documents {
    /// A strategy's spec with its templates compiled.
    ///
    /// # Errors
    /// `TemplateFailed`, with every template that is not one.
    pub(crate) fn compiled(&self, strategy: &Value) -> Result<Arc<Document>, Stop> {
        let uid = object::uid(strategy).to_owned();
        let version = object::resource_version(strategy).to_owned();
        let mut documents = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, document)) = documents.get(&uid)
            && *known == version
        {
            return Ok(Arc::clone(document));
        }
        let spec = strategy.get("spec").cloned().unwrap_or_else(|| json!({}));
        let document = Document::compile(&spec, missing(strategy)?).map_err(|errors| {
            let errors: Vec<String> = errors.iter().map(|error| format!("spec{error}")).collect();
            failed(strategy, &errors.join("; "))
        })?;
        let document = Arc::new(document);
        documents.insert(uid, (version, Arc::clone(&document)));
        Ok(document)
    }
}

/// What the strategy object's annotation says of absent values.
fn missing(strategy: &Value) -> Result<Missing, Stop> {
    let annotations = strategy.pointer("/metadata/annotations");
    let said = annotations.and_then(|annotations| annotations.get(MISSING_VALUES));
    match said.and_then(Value::as_str) {
        None | Some("Print") => Ok(Missing::Print),
        Some("Go") => Ok(Missing::Go),
        Some("Error") => Ok(Missing::Error),
        Some(other) => Err(failed(
            strategy,
            &format!(
                "annotation {MISSING_VALUES} is {other:?}, which is none of Print, Go and Error"
            ),
        )),
    }
}

fn failed(strategy: &Value, problem: &str) -> Stop {
    let target = object::reference(strategy);
    Stop::setback(
        Reason::TemplateFailed,
        format!(
            "a template of {} fails: {problem}",
            object::describe(&target)
        ),
    )
}

/// Renders the case's strategy for an application, which is absent where it no longer exists.
///
/// The words are those of the reference, and `.Storage` beside them, so that a strategy object needs to know
/// nothing of the platform.
pub(crate) fn render(
    documents: &Documents,
    case: &Case,
    application: &ApplicationRef,
    shown: Option<&Value>,
) -> Result<Value, Stop> {
    let Some(strategy) = &case.binding.strategy else {
        return Ok(json!({}));
    };
    let document = documents.compiled(strategy)?;
    let request = &case.request;
    let storage = &case.credentials.location;
    let prefix = request.prefixes.first().map_or("", String::as_str);
    let mut data = json!({
        "Application": shown.cloned().unwrap_or_else(|| identity(application)),
        "Parameters": case.binding.parameters,
        "Release": { "Name": application.name, "Namespace": application.namespace },
        "Mode": if request.job.kind == "RestoreJob" { "restore" } else { "backup" },
        "Job": { "Name": request.job.name, "Namespace": request.job.namespace },
        "Storage": {
            "bucket": storage.bucket,
            "endpoint": storage.endpoint,
            "host": case.credentials.host,
            "secure": if storage.endpoint.starts_with("http://") { "false" } else { "true" },
            "region": storage.region,
            "prefix": prefix,
        },
    });
    if let (Some(source), Some(data)) = (&request.source, data.as_object_mut()) {
        data.insert("Backup".to_owned(), backup(source));
    }
    let data = Data::new(data, Numbers::Integer).string_maps(STRING_MAPS);
    document
        .render(&data)
        .map_err(|error| failed(strategy, &format!("spec{error}")))
}

/// What is known of an application that is gone: a backup of it is restored all the same.
fn identity(application: &ApplicationRef) -> Value {
    json!({
        "kind": application.kind,
        "metadata": { "name": application.name, "namespace": application.namespace },
    })
}

fn backup(source: &FinishedBackup) -> Value {
    json!({
        "Name": source.name,
        "Namespace": source.application.namespace,
        "ApplicationRef": {
            "APIGroup": source.application.group,
            "Kind": source.application.kind,
            "Name": source.application.name,
        },
    })
}
