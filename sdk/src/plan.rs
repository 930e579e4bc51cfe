//! What should happen once the strategy has returned.

use crate::{
    Outcome, Strategy, Unstructured, Value,
    bindings::cozystack::backup_strategy::{cluster, context, plan, types::ObjectRef},
    context::{Context, read, selector},
    fail,
    object::{Object, reference},
};

pub use crate::bindings::cozystack::backup_strategy::plan::{Lifetime, Propagation, Severity};

/// Actions run in the order they were written down. The first that fails ends the run, and the strategy is asked
/// again; [`refused`](Context::refused) then says why. So every action is safe to repeat.
impl<S: Strategy> Context<S> {
    /// Creates an object of the application's namespace once, and gives back what the cluster shows of it: at
    /// first the object as it was asked for, without a status.
    ///
    /// ```
    /// # use backup_strategy::prelude::*;
    /// # #[derive(serde::Deserialize)]
    /// # struct Dump;
    /// # impl Object for Dump { const API_VERSION: &str = "example.org/v1"; const KIND: &str = "Dump"; }
    /// fn dump<S: Strategy>(cx: &Context<S>) -> Outcome<Dump> {
    ///     cx.ensure(Lifetime::Kept, &json!({
    ///         "apiVersion": Dump::API_VERSION,
    ///         "kind": Dump::KIND,
    ///         "metadata": { "name": cx.child_name("dump"), "namespace": cx.subject().namespace },
    ///         "spec": { "database": cx.subject().name },
    ///     }))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// With a failure `UnexpectedObject` when the object has no name, is of another kind than `K`, or does not
    /// fit it.
    pub fn ensure<K: Object>(&self, lifetime: Lifetime, object: &Value) -> Outcome<K> {
        if object["apiVersion"] != K::API_VERSION || object["kind"] != K::KIND {
            return fail(
                "UnexpectedObject",
                format!("an object was to be created that is no {}", K::KIND),
            );
        }
        let (Some(name), namespace) = (
            object["metadata"]["name"].as_str(),
            object["metadata"]["namespace"].as_str(),
        ) else {
            return fail(
                "UnexpectedObject",
                format!("a {} without a name was to be created", K::KIND),
            );
        };
        let target = reference::<K>(
            namespace.map_or_else(|| context::subject().namespace, Into::into),
            name,
        );
        let shown = cluster::get(&target).unwrap_or_else(|| {
            let text = object.to_string();
            plan::create(&text, lifetime);
            text
        });
        read(
            "UnexpectedObject",
            format_args!("{} {name}", K::KIND),
            &shown,
        )
    }

    /// Creates an object and labels it as the job's, unless one of this name with the job's labels is there. One
    /// of this name with other labels is refused: `AlreadyExists`.
    pub fn create(&self, lifetime: Lifetime, object: &Value) {
        plan::create(&object.to_string(), lifetime);
    }

    /// Ends the work where an action of the last plan was refused as invalid: what the API server has refused so it
    /// refuses for good, and to order it once more would only repeat that. Other refusals pass, or the next look shows
    /// why.
    ///
    /// # Errors
    ///
    /// With a failure `Refused` that says what was refused and why.
    pub fn is_accepted(&self) -> Outcome<()> {
        match self.refused().filter(|refusal| refusal.reason == "Invalid") {
            Some(refusal) => fail(
                "Refused",
                format!("{} was refused: {}", refusal.action, refusal.message),
            ),
            None => Ok(()),
        }
    }

    /// Asks the API server whether it would accept this new object, and ends the run where it would not. To be
    /// written down before the deletion that makes room for the object.
    pub fn dry_run(&self, object: &Value) {
        plan::dry_run(&object.to_string());
    }

    /// Applies the fields of an object server-side, also those that another manager holds. Fields of the last
    /// apply that are left out are removed. Creates the object when there is none, unless `metadata.uid` is
    /// among the fields: then only that very object is changed, and `metadata.resourceVersion` pins its version.
    pub fn apply(&self, object: &Value) {
        plan::apply(&object.to_string());
    }

    /// JSON merge patch into an existing object of the application's namespace, or of the cluster: null removes
    /// a field, a list is replaced. A `metadata.uid` or `metadata.resourceVersion` in it is a precondition.
    pub fn merge<K: Object>(&self, name: &str, patch: &Value) {
        plan::merge(
            &reference::<K>(context::subject().namespace, name),
            &patch.to_string(),
        );
    }

    /// Deletes an object of a system namespace, which carries the labels of the job or of its Backup; with `uid` only
    /// that very object. One that is gone counts as deleted.
    pub fn delete_in<K: Object>(
        &self,
        namespace: &str,
        name: &str,
        uid: Option<&str>,
        propagation: Propagation,
    ) {
        plan::delete(&reference::<K>(namespace.into(), name), uid, propagation);
    }

    /// Deletes an object of the application's namespace, or of the cluster; with `uid` only that very object.
    /// One that is gone counts as deleted.
    pub fn delete<K: Object>(&self, name: &str, uid: Option<&str>, propagation: Propagation) {
        plan::delete(
            &reference::<K>(context::subject().namespace, name),
            uid,
            propagation,
        );
    }

    /// Deletes an object of the application's namespace, or of the cluster, if it is there and its deletion was not asked
    /// for yet. Whether it is there still: it is until nothing holds it any more.
    ///
    /// # Errors
    ///
    /// With a failure `UnexpectedObject` when it has no `metadata` that can be read.
    pub fn is_going<K: Object>(&self, name: &str, propagation: Propagation) -> Outcome<bool> {
        let target = reference::<K>(context::subject().namespace, name);
        going(&target, propagation)
    }

    /// Deletes the objects of the application's namespace, or of the cluster, that carry all of these labels, of
    /// which there is at least one.
    pub fn delete_all<K: Object>(&self, labels: &[(&str, &str)], propagation: Propagation) {
        plan::delete_all(
            &selector::<K>(&context::subject().namespace, labels),
            propagation,
        );
    }

    /// Suspends a HelmRelease of the application's namespace. Whatever becomes of the job or of the strategy, the
    /// host puts back what it found.
    pub fn suspend(&self, release: &str) {
        plan::suspend(&context::subject().namespace, release);
    }

    /// Puts back what [`suspend`](Self::suspend) found, before the job ends.
    pub fn resume(&self, release: &str) {
        plan::resume(&context::subject().namespace, release);
    }

    /// Removes what lies at or below a path of the platform's bucket: below one of
    /// [`prefixes`](Self::prefixes), never a whole one, and never what another Backup claims.
    pub fn purge(&self, path: &str) {
        plan::purge(path);
    }

    /// A condition on the job, beside the host's own `Ready`. Written when it changes.
    pub fn condition(&self, condition_type: &str, status: bool, reason: &str, message: &str) {
        plan::condition(condition_type, status, reason, message);
    }

    /// An event on the job. The same event of one job is recorded once.
    pub fn event(&self, severity: Severity, reason: &str, message: &str) {
        plan::event(severity, reason, message);
    }

    /// Keeps `state` on the job, at most 64 KiB, written before any action runs. Readable by the tenant.
    ///
    /// # Errors
    ///
    /// With a failure `InvalidState` when it cannot be written as JSON.
    pub fn remember(&self, state: &S::State) -> Outcome<()> {
        match serde_json::to_string(state) {
            Ok(text) => plan::remember(Some(&text)),
            Err(error) => {
                return fail(
                    "InvalidState",
                    format!("what the job was to remember: {error}"),
                );
            }
        }
        Ok(())
    }

    /// Clears what the job remembers.
    pub fn forget_state(&self) {
        plan::remember(None);
    }
}

#[inline(never)]
fn going(target: &ObjectRef, propagation: Propagation) -> Outcome<bool> {
    let Some(text) = cluster::get(target) else {
        return Ok(false);
    };
    let document = format_args!("{} {}", target.kind, target.name);
    let object: Unstructured = read("UnexpectedObject", document, &text)?;
    if !object.metadata.is_being_deleted() {
        plan::delete(target, Some(&object.metadata.uid), propagation);
    }
    Ok(true)
}
