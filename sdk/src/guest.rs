//! The component's side of the contract: hands each question to the strategy and its outcome to the host.

use std::{marker::PhantomData, panic::PanicHookInfo};

use crate::{
    Context, Outcome, Stop, Strategy, Value, Verdict,
    bindings::{
        cozystack::backup_strategy::{
            log::{self, Level},
            types::{Entry, Failure, Progress, Step, Verdict as Told},
        },
        exports::cozystack::backup_strategy::strategy::{Guest, Path, Problem},
    },
    context::object_of_strings,
    json,
    knob::{Form, Knobs},
    text,
};

/// The version of the contract that the bindings are made from.
const CONTRACT: &str = "1.0.0";

/// What the build adds to a strategy; [`export!`](crate::export) implements it.
pub trait Built: Strategy {
    /// The package's version.
    const VERSION: &'static str;
    /// The schemas of its settings, as `backup_strategy::build::schemas` writes them.
    const SCHEMAS: &'static str;
    /// What each of its knobs is, which the same says.
    const FORMS: &'static [Form];
}

/// A strategy as the contract wants it.
#[derive(Debug)]
pub struct Exported<S>(PhantomData<S>);

impl<S: Built> Guest for Exported<S> {
    fn describe() -> String {
        install_panic_hook();
        manifest::<S>().to_string()
    }

    fn validate(spec: String, parameters: Vec<Entry>) -> Vec<Problem> {
        install_panic_hook();
        let own = checked("/spec", &spec);
        let class = checked("/parameters", &object_of_strings(&parameters));
        match (own, class) {
            (Ok(own), Ok(class)) => {
                let mut problems = knobs::<S>().problems::<S::Spec>(&spec, &parameters);
                problems.extend(S::validate(&own, &class));
                problems
            }
            (own, class) => [own.err(), class.err()].into_iter().flatten().collect(),
        }
    }

    fn paths() -> Result<Vec<Path>, Failure> {
        ask(S::paths).map_err(|stop| match stop {
            Stop::Fail(failure) => failure,
            Stop::Wait(wait) => Failure {
                reason: wait.reason,
                message: wait.message,
            },
        })
    }

    fn backup() -> Progress {
        match ask(S::backup) {
            Ok(success) => Progress::Succeeded(success),
            Err(Stop::Wait(wait)) => Progress::Waiting(wait),
            Err(Stop::Fail(failure)) => Progress::Failed(failure),
        }
    }

    fn restore() -> Step {
        step(ask(S::restore))
    }

    fn abort() -> Step {
        step(ask(S::abort))
    }

    fn forget() -> Step {
        step(ask(S::forget))
    }

    fn check() -> Told {
        match ask(S::check) {
            Ok(Verdict::Present) => Told::Present(None),
            Ok(Verdict::PresentAs(artifact)) => Told::Present(Some(artifact)),
            Ok(Verdict::Lost(reason, message)) => Told::Lost(Failure { reason, message }),
            Ok(Verdict::Unknown(reason, message)) => Told::Unknown(Failure { reason, message }),
            Err(Stop::Wait(wait)) => Told::Waiting(wait),
            Err(Stop::Fail(failure)) => Told::Unknown(failure),
        }
    }
}

fn ask<S: Built, T>(question: fn(&Context<S>) -> Outcome<T>) -> Outcome<T> {
    install_panic_hook();
    question(&Context::new(S::FORMS))
}

fn knobs<S: Built>() -> Knobs {
    Knobs {
        all: S::KNOBS,
        forms: S::FORMS,
    }
}

fn step(outcome: Outcome<()>) -> Step {
    match outcome {
        Ok(()) => Step::Done,
        Err(Stop::Wait(wait)) => Step::Waiting(wait),
        Err(Stop::Fail(failure)) => Step::Failed(failure),
    }
}

fn checked<T: serde::de::DeserializeOwned>(root: &str, document: &str) -> Result<T, Problem> {
    text::read(document)
        .map_err(|misfit| Problem::at(&format!("{root}{}", misfit.pointer()), misfit.what()))
}

/// The document of `wit/manifest.schema.json`.
fn manifest<S: Built>() -> Value {
    // What the build wrote is JSON; a schema that is null is one that the strategy does not have.
    let schemas: Value = serde_json::from_str(S::SCHEMAS).unwrap_or_default();
    let applications = S::APPLICATIONS.iter().map(|application| {
        let (group, kind) = application.rsplit_once('/').unwrap_or(("", application));
        json!({ "group": group, "kind": kind })
    });
    let reads = S::READS.iter().map(|read| {
        json!({
            "apiVersion": read.api_version, "kind": read.kind, "small": read.small, "logs": read.logs,
            "inSystemNamespaces": read.in_system_namespaces,
        })
    });
    let writes = S::WRITES.iter().map(|write| {
        let actions: Value = write.actions.iter().map(|action| action.as_str()).collect();
        json!({
            "apiVersion": write.api_version, "kind": write.kind, "actions": actions,
            "storagePaths": write.storage_paths, "inSystemNamespaces": write.in_system_namespaces,
        })
    });
    let holds = S::HOLDS.iter().map(|held| {
        let (group, kind) = held.kind.rsplit_once('/').unwrap_or(("", held.kind));
        json!({ "of": held.of, "group": group, "kind": kind, "names": held.names })
    });
    let mut manifest = json!({
        "name": S::NAME,
        "version": S::VERSION,
        "contract": CONTRACT,
        "description": S::DESCRIPTION,
        "strategyKind": { "kind": S::KIND, "plural": S::PLURAL, "schema": schemas["spec"] },
        "applications": applications.collect::<Value>(),
        "questions": S::QUESTIONS.iter().map(|question| question.as_str()).collect::<Value>(),
        "reads": reads.collect::<Value>(),
        "writes": writes.collect::<Value>(),
        "holds": holds.collect::<Value>(),
        "asks": {
            "storagePaths": S::STORAGE_PATHS,
            "systemNamespaces": S::SYSTEM_NAMESPACES,
            "podSecrets": S::POD_SECRETS,
        },
        "suspendsReleases": S::SUSPENDS_RELEASES,
        "usesCredentialsBetweenJobs": S::USES_CREDENTIALS_BETWEEN_JOBS,
        "metadataVersions": S::METADATA_VERSIONS,
        "stateVersions": S::STATE_VERSIONS,
    });
    for optional in ["parameters", "restoreOptions"] {
        if !schemas[optional].is_null() {
            manifest[optional] = schemas[optional].clone();
        }
    }
    manifest
}

/// A panic ends the component in a bare trap; the line that is logged here is what its author gets to see.
fn install_panic_hook() {
    std::panic::set_hook(Box::new(report_panic));
}

fn report_panic(panic: &PanicHookInfo<'_>) {
    let message = panic
        .payload_as_str()
        .unwrap_or("a panic without a message");
    let line = match panic.location() {
        Some(place) => format!(
            "panicked at {}:{}:{}: {message}",
            place.file(),
            place.line(),
            place.column()
        ),
        None => format!("panicked: {message}"),
    };
    log::write(Level::Error, &line);
}

/// Makes the strategy what the component exports. To be written once, at the crate's root.
///
/// Embeds the schemas that the build script wrote with `backup_strategy::build::schemas`. A strategy without
/// a build script gives them as text:
///
/// ```
/// # use backup_strategy::prelude::*;
/// # pub struct Bare;
/// # impl Strategy for Bare {
/// #     const NAME: &str = "bare";
/// #     const KIND: &str = "Bare";
/// #     const PLURAL: &str = "bares";
/// #     const APPLICATIONS: &[&str] = &["example.org/Bare"];
/// #     const QUESTIONS: &[Question] = &[];
/// #     type Spec = Nothing;
/// #     type Parameters = Nothing;
/// #     type Options = Nothing;
/// #     type State = Nothing;
/// #     fn paths(_: &Context<Self>) -> Outcome<Vec<Path>> { Ok(Vec::new()) }
/// # }
/// backup_strategy::export!(Bare, r#"{ "spec": { "type": "object" } }"#);
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! export {
    ($strategy:ty) => {
        $crate::export!(
            $strategy,
            include_str!(concat!(env!("OUT_DIR"), "/schemas.json")),
            include!(concat!(env!("OUT_DIR"), "/knobs.rs"))
        );
    };
    ($strategy:ty, $schemas:expr) => {
        $crate::export!($strategy, $schemas, &[]);
    };
    ($strategy:ty, $schemas:expr, $forms:expr) => {
        impl $crate::guest::Built for $strategy {
            const VERSION: &'static str = env!("CARGO_PKG_VERSION");
            const SCHEMAS: &'static str = $schemas;
            const FORMS: &'static [$crate::Form] = $forms;
        }

        // Elsewhere than in a component there is nobody to export it to.
        #[cfg(target_family = "wasm")]
        #[allow(unsafe_code, reason = "names of exported functions")]
        const _: () = {
            type Exported = $crate::guest::Exported<$strategy>;
    $crate::bindings::export!(Exported with_types_in $crate::bindings);
        };
    };
}

#[cfg(test)]
mod tests {
    use super::CONTRACT;

    #[test]
    fn the_manifest_names_the_contract_of_the_bindings() {
        let wit = include_str!("../wit/strategy.wit");
        assert!(wit.contains(&format!("package cozystack:backup-strategy@{CONTRACT};")));
    }
}
