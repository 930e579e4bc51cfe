//! The fourth stage: proves that a plan stays inside its walls.
//!
//! | wall | rule |
//! |---|---|
//! | namespace | an action names an object in the job's namespace or in a system namespace of the plugin |
//! | kinds | only kinds that the manifest says it writes, with the actions that it says; never a Secret, never an object of the host's own groups |
//! | ownership | labels of the host (`backups.cozystack.io/…`) are the host's to set |
//! | storage | every place in object storage lies inside the granted paths: declared pointers and every `s3://` text |
//! | secrets | nothing emitted, remembered or shown holds a credential (`secrets.rs`) |
//! | releases | only the application's namespace, and only where the manifest says that it suspends |
//!
//! A refusal names the action and the rule.

use backup_api::{Reason, names::GROUP};
use backup_sandbox::{
    Action, Finished, Manifest, Plan, Reply, WrittenKind,
    contract::{Entry, ObjectRef, Progress, Step, Success, Verdict},
};
use serde_json::Value;

use crate::{admit::Case, object, secrets::Secrets, stop::Stop, storage::covers};

/// Proves the plan and the answer of an evaluation.
pub(crate) fn guard(case: &Case, finished: &Finished) -> Result<(), Stop> {
    let walls = Walls {
        case,
        secrets: Secrets::new(&case.credentials.location),
    };
    for (index, action) in finished.plan.actions.iter().enumerate() {
        walls.action(action).map_err(|rule| {
            rejected(
                case,
                &format!("action {} ({}) {rule}", index + 1, action.verb()),
            )
        })?;
    }
    walls
        .words(&finished.plan)
        .map_err(|rule| rejected(case, &rule))?;
    walls
        .reply(&finished.answer)
        .map_err(|rule| rejected(case, &rule))
}

fn rejected(case: &Case, rule: &str) -> Stop {
    Stop::setback(
        Reason::PlanRejected,
        format!("plugin {}: {rule}", case.binding.serving.name),
    )
}

/// The walls of one job. A broken rule is a text that goes on after the action's name.
struct Walls<'a> {
    case: &'a Case,
    secrets: Secrets<'a>,
}

impl Walls<'_> {
    fn action(&self, action: &Action) -> Result<(), String> {
        match action {
            Action::Create { object, .. } | Action::DryRun { object } => {
                self.object("create", object)
            }
            Action::Apply { object } => self.object("apply", object),
            Action::Merge { target, patch } => {
                let written = self.target("merge", target)?;
                self.labels(patch)?;
                self.document(patch, Some(written))
            }
            Action::Delete { target, .. } => self.target("delete", target).map(|_| ()),
            Action::DeleteAll { matching, .. } => {
                let target = ObjectRef {
                    api_version: matching.api_version.clone(),
                    kind: matching.kind.clone(),
                    namespace: matching.namespace.clone(),
                    name: "*".to_owned(),
                };
                self.target("delete", &target).map(|_| ())
            }
            Action::Suspend { namespace, release } | Action::Resume { namespace, release } => {
                self.release(namespace, release)
            }
            Action::Purge { path } => self.purge(path),
        }
    }

    fn object(&self, verb: &str, object: &Value) -> Result<(), String> {
        let target = object::reference(object);
        let written = self.target(verb, &target)?;
        self.labels(object)?;
        self.document(object, Some(written))
    }

    /// Namespace and kind of a target.
    fn target(&self, verb: &str, target: &ObjectRef) -> Result<&WrittenKind, String> {
        let name = object::describe(target);
        let Some(namespace) = &target.namespace else {
            return Err(format!(
                "names {name} without a namespace; cluster-scoped objects are not open to it"
            ));
        };
        let grant = &self.case.binding.serving.grant;
        let allowed = self.case.allowed_namespaces();
        if !allowed.contains(&namespace.as_str()) && !grant.system_namespaces.contains(namespace) {
            return Err(format!(
                "names {name}, outside of the job's namespace {} and of the plugin's system namespaces",
                allowed.join(", ")
            ));
        }
        let group = object::group(&target.api_version);
        if group == GROUP || group.ends_with(".backups.cozystack.io") {
            return Err(format!("names {name}, a kind of the host's own"));
        }
        if group.is_empty() && target.kind == "Secret" {
            return Err(format!("names {name}; no strategy writes Secrets"));
        }
        self.manifest()
            .writes
            .iter()
            .find(|written| {
                written.api_version == target.api_version && written.kind == target.kind
            })
            .filter(|written| written.actions.iter().any(|action| action == verb))
            .ok_or_else(|| {
                format!(
                    "would {verb} {name} ({}), which its manifest does not say it does",
                    target.api_version
                )
            })
    }

    /// Labels of the host's are set by the host, which finds its own objects by them.
    fn labels(&self, object: &Value) -> Result<(), String> {
        let labels = object
            .pointer("/metadata/labels")
            .and_then(Value::as_object);
        let own = labels
            .into_iter()
            .flatten()
            .find(|(key, _)| key.starts_with("backups.cozystack.io/"));
        own.map_or(Ok(()), |(key, _)| {
            Err(format!("sets the label {key}, which is the host's"))
        })
    }

    /// Secrets and storage paths in what is written.
    fn document(&self, document: &Value, written: Option<&WrittenKind>) -> Result<(), String> {
        if let Some(rule) = self.secrets.find(document) {
            return Err(format!("would write a secret: {rule}"));
        }
        for pointer in written
            .into_iter()
            .flat_map(|written| &written.storage_paths)
        {
            if let Some(place) = document.pointer(pointer).and_then(Value::as_str) {
                self.place(place)
                    .map_err(|rule| format!("{pointer} {rule}"))?;
            }
        }
        let mut outside = Ok(());
        object::visit_strings(document, &mut |pointer, text| {
            if outside.is_ok() && text.starts_with("s3://") {
                outside = self.place(text).map_err(|rule| format!("{pointer} {rule}"));
            }
        });
        outside
    }

    /// A URI with a bucket, or a key: its path lies inside what was granted.
    fn place(&self, place: &str) -> Result<(), String> {
        let path = match place.split_once("://") {
            Some((_, rest)) => rest.split_once('/').map_or("", |(_, path)| path),
            None => place,
        };
        let path = path.trim_matches('/');
        if path
            .split('/')
            .any(|segment| matches!(segment, "" | "." | ".."))
            || !self.granted(path)
        {
            return Err(format!(
                "is {place}, outside of {}",
                self.case.request.prefixes.join(", ")
            ));
        }
        Ok(())
    }

    fn granted(&self, path: &str) -> bool {
        self.case
            .request
            .prefixes
            .iter()
            .any(|prefix| covers(prefix, path))
    }

    fn purge(&self, path: &str) -> Result<(), String> {
        if !self.granted(path)
            || self
                .case
                .request
                .prefixes
                .iter()
                .any(|prefix| prefix == path)
        {
            return Err(format!(
                "names {path}, which is not below {}",
                self.case.request.prefixes.join(", ")
            ));
        }
        Ok(())
    }

    fn release(&self, namespace: &str, release: &str) -> Result<(), String> {
        if !self.manifest().suspends_releases {
            return Err(format!(
                "names HelmRelease {release}; its manifest does not say that it suspends releases"
            ));
        }
        if namespace != self.case.request.subject.namespace {
            return Err(format!(
                "names HelmRelease {namespace}/{release}, outside of the application's namespace {}",
                self.case.request.subject.namespace
            ));
        }
        Ok(())
    }

    /// Conditions, events and state: tenants read them.
    fn words(&self, plan: &Plan) -> Result<(), String> {
        let conditions = plan
            .conditions
            .iter()
            .map(|condition| ("condition", &condition.message));
        let events = plan.events.iter().map(|event| ("event", &event.message));
        let state = plan.remember.iter().flatten().map(|state| ("state", state));
        for (what, text) in conditions.chain(events).chain(state) {
            self.tenant_reads(what, text)?;
        }
        let Some(Some(state)) = &plan.remember else {
            return Ok(());
        };
        let state: Value = serde_json::from_str(state).unwrap_or_default();
        self.secrets.find(&state).map_or(Ok(()), |rule| {
            Err(format!("the state would show a secret: {rule}"))
        })
    }

    fn tenant_reads(&self, what: &str, text: &str) -> Result<(), String> {
        let rule = self.secrets.find_text(text);
        rule.map_or(Ok(()), |rule| {
            Err(format!(
                "the {what} would show a secret to the tenant: it holds {rule}"
            ))
        })
    }

    fn reply(&self, reply: &Reply) -> Result<(), String> {
        match reply {
            Reply::Progress(Progress::Succeeded(success)) => self.success(success),
            Reply::Progress(Progress::Waiting(wait))
            | Reply::Step(Step::Waiting(wait))
            | Reply::Verdict(Verdict::Waiting(wait)) => self.tenant_reads("message", &wait.message),
            Reply::Progress(Progress::Failed(failure))
            | Reply::Step(Step::Failed(failure))
            | Reply::Verdict(Verdict::Lost(failure) | Verdict::Unknown(failure)) => {
                self.tenant_reads("message", &failure.message)
            }
            Reply::Verdict(Verdict::Present(Some(artifact))) => {
                self.tenant_reads("artifact", &artifact.uri)
            }
            Reply::Paths(Ok(paths)) => paths.iter().try_for_each(|path| {
                self.place(&path.uri)
                    .map_err(|rule| format!("the path for {} {rule}", path.purpose))
            }),
            _ => Ok(()),
        }
    }

    fn success(&self, success: &Success) -> Result<(), String> {
        for Entry { key, value } in &success.metadata {
            if let Some(rule) = crate::secrets::looks_like_credential(key, value) {
                return Err(format!("metadata {key} would show {rule} to the tenant"));
            }
            self.tenant_reads("metadata", value)?;
        }
        if let Some(artifact) = &success.artifact {
            self.tenant_reads("artifact", &artifact.uri)?;
        }
        let Some(resources) = &success.resources else {
            return Ok(());
        };
        let resources: Value = serde_json::from_str(resources).unwrap_or_default();
        let found = self.secrets.find(&resources);
        found.map_or(Ok(()), |rule| {
            Err(format!(
                "the resources would show a secret to the tenant: {rule}"
            ))
        })
    }

    fn manifest(&self) -> &Manifest {
        self.case.binding.serving.strategy.manifest()
    }
}
