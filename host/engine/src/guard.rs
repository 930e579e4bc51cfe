//! The fourth stage: proves that a plan stays inside its walls.
//!
//! | wall | rule | file |
//! |---|---|---|
//! | namespace | an action names an object in the job's namespace or in a system namespace of the plugin; of cluster-scoped kinds only volumes that belong to the job's namespace, and only to be changed or deleted | `target` |
//! | kinds | only kinds that the manifest says it writes, with the actions that it says; never a Secret, a kind that gives rights, or an object of the host's own | `target` |
//! | ownership | labels, annotations and finalizers of the host (`backups.cozystack.io/…`) are the host's to set; owners are objects that the strategy was shown; a patch leaves an object its name | `ownership` |
//! | existing objects | in a system namespace only objects with the job's or the Backup's labels are found and written; nowhere those of another job that is under way | `existing` |
//! | storage | every place in object storage lies inside the granted paths of the platform's bucket: declared pointers and every URI | `storage` |
//! | pods | every Pod template keeps the granted level, uses only granted Secrets, no foreign ServiceAccount and no token | `pods` |
//! | secrets | nothing emitted, remembered or shown holds a credential | `words`, rules in `secrets.rs` |
//! | releases | only the application's namespace, and only where the manifest says that it suspends | `release` |
//!
//! A refusal names the action and the rule, without the secret that it is about. `existing` asks the cluster, and is held
//! against each plan before the first of its actions is carried out; reads meet the same namespaces.

mod existing;
mod ownership;
mod pods;
mod release;
mod storage;
mod target;
mod words;

use backup_api::Reason;
use backup_sandbox::{
    Action, Finished, WrittenKind,
    contract::{ObjectRef, Selector},
};
use serde_json::Value;

use crate::{admit::Case, object, secrets::Secrets, stop::Stop};

pub(crate) use existing::Owners;
use ownership::Owned;
use pods::Pods;
use storage::Bounds;
pub use target::is_writable;

/// Proves the plan and the answer of an evaluation.
pub(crate) fn guard(case: &Case, finished: &Finished) -> Result<(), Stop> {
    let walls = Walls {
        case,
        secrets: case.secrets(),
        bounds: Bounds::of(case),
    };
    for (index, action) in finished.plan.actions.iter().enumerate() {
        walls.action(action).map_err(|rule| {
            let rule = format!("action {} ({}) {rule}", index + 1, action.verb());
            walls.rejected(&rule)
        })?;
    }
    words::plan(&walls.secrets, &finished.plan).map_err(|rule| walls.rejected(&rule))?;
    words::reply(&walls.secrets, &walls.bounds, &finished.answer)
        .map_err(|rule| walls.rejected(&rule))
}

/// Proves of a plan what no grant and no setting can change: that it writes only kinds that the manifest names, and that
/// a strategy may write. Gives back the first action that breaks it, and how.
pub(crate) fn guard_kinds(case: &Case, finished: &Finished) -> Result<(), String> {
    for (index, action) in finished.plan.actions.iter().enumerate() {
        let (verb, target) = match action {
            Action::Create { object, .. } | Action::DryRun { object } => {
                ("create", object::reference(object))
            }
            Action::Apply { object } => ("apply", object::reference(object)),
            Action::Merge { target, .. } => ("merge", target.clone()),
            Action::Delete { target, .. } => ("delete", target.clone()),
            Action::DeleteAll { matching, .. } => ("delete", all_of(matching)),
            Action::Suspend { .. } | Action::Resume { .. } | Action::Purge { .. } => continue,
        };
        target::written(case, verb, &target)
            .map_err(|rule| format!("action {} ({}) {rule}", index + 1, action.verb()))?;
    }
    Ok(())
}

/// What a selector names, as a target.
fn all_of(matching: &Selector) -> ObjectRef {
    ObjectRef {
        api_version: matching.api_version.clone(),
        kind: matching.kind.clone(),
        namespace: matching.namespace.clone(),
        name: "*".to_owned(),
    }
}

/// A plan or a read that left its walls. The rule goes on after the plugin's name.
pub(crate) fn rejected(case: &Case, rule: &str) -> Stop {
    Stop::setback(
        Reason::PlanRejected,
        format!("plugin {}: {rule}", case.binding.serving.name),
    )
}

/// The walls of one job. A broken rule is a text that goes on after the action's name.
struct Walls<'a> {
    case: &'a Case,
    secrets: Secrets,
    bounds: Bounds<'a>,
}

impl Walls<'_> {
    fn rejected(&self, rule: &str) -> Stop {
        rejected(self.case, &self.secrets.redact(rule))
    }

    fn action(&self, action: &Action) -> Result<(), String> {
        match action {
            Action::Create { object, lifetime } => {
                target::lifetime(self.case, object, *lifetime)?;
                self.object("create", object)
            }
            Action::DryRun { object } => self.object("create", object),
            Action::Apply { object } => self.object("apply", object),
            Action::Merge { target, patch } => {
                let written = self.target("merge", target)?;
                ownership::patch(target, patch)?;
                self.document(target, patch, written, Form::Patch)
            }
            Action::Delete { target, .. } => self.target("delete", target).map(|_| ()),
            Action::DeleteAll { matching, .. } => {
                matching.labels.iter().try_for_each(|label| {
                    words::text(&self.secrets, "label", &label.key)?;
                    words::text(&self.secrets, "label", &label.value)
                })?;
                self.target("delete", &all_of(matching)).map(|_| ())
            }
            Action::Suspend { namespace, release } | Action::Resume { namespace, release } => {
                release::check(self.case, namespace, release)
            }
            Action::Purge { path } => {
                words::text(&self.secrets, "path", path)?;
                self.bounds.purge(path)
            }
        }
    }

    fn object(&self, verb: &str, object: &Value) -> Result<(), String> {
        let target = object::reference(object);
        let written = self.target(verb, &target)?;
        self.document(&target, object, written, Form::Whole)
    }

    /// Namespace, kind and name of a target.
    fn target(&self, verb: &str, target: &ObjectRef) -> Result<&WrittenKind, String> {
        let written = target::check(self.case, verb, target)?;
        words::text(&self.secrets, "name of an object", &target.name)?;
        Ok(written)
    }

    /// What is written into an object.
    fn document(
        &self,
        target: &ObjectRef,
        document: &Value,
        written: &WrittenKind,
        form: Form,
    ) -> Result<(), String> {
        Owned::by(self.case).check(document)?;
        Pods::granted(self.case).check(&target.kind, document, form)?;
        let application = object::application_target(&self.case.request.subject);
        let found = if *target == application {
            self.secrets.find_in_application(document)
        } else {
            self.secrets.find(document)
        };
        if let Some(rule) = found {
            return Err(format!("would write a secret: {rule}"));
        }
        self.bounds.document(document, &written.storage_paths, form)
    }
}

/// What a document is to the object that it is written to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// All that it shall be: what is absent is absent.
    Whole,
    /// What shall change (RFC 7386): what is absent stays, null removes.
    Patch,
}
