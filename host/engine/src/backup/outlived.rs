//! Backups that no Plan covers go by their class's retention policy. It is looked at when the Backup's turn comes, once a
//! day, and never takes the last good Backup of an application.

use std::collections::BTreeMap;

use backup_api::{Backup, RetentionPolicy, names::API_VERSION};
use backup_sandbox::contract::Selector;
use jiff::tz::TimeZone;
use serde_json::Value;

use crate::{
    cluster::{Caller, Cluster},
    events::Happened,
    host::Host,
    object,
    plan::{kept::Shelf, retention::Rules},
    stop::Stop,
};

impl<C: Cluster> Host<C> {
    /// Deletes a Backup that no rule of its class keeps. Gives back whether it did.
    pub(super) async fn remove_outlived(&self, found: &Value) -> Result<bool, Stop> {
        let Ok(backup) = serde_json::from_value::<Backup>(found.clone()) else {
            return Ok(false);
        };
        let Some((class, policy)) = self.class_policy(&backup).await? else {
            return Ok(false);
        };
        let rules = match Rules::read(&policy) {
            Ok(rules) => rules,
            Err(problem) => {
                tracing::warn!(
                    class,
                    problem,
                    "the retention policy of a BackupClass cannot be read"
                );
                return Ok(false);
            }
        };
        if rules.keeps_by_age(backup.spec.taken_at.0, self.now())
            || self.is_covered(&backup, &mut BTreeMap::new()).await?
        {
            return Ok(false);
        }
        let shelf = self.uncovered(&backup, &class).await?;
        let gone = shelf.gone(&rules, self.now(), &TimeZone::UTC);
        if !gone.iter().any(|gone| gone.uid == object::uid(found)) {
            return Ok(false);
        }
        let happened = Happened {
            reason: "BackupRemoved".to_owned(),
            is_warning: false,
            action: "Remove",
            of: object::uid(found).to_owned(),
            note: format!("no rule of BackupClass {class} keeps the Backup, and no Plan covers it"),
        };
        self.record_on(found, &happened).await?;
        self.delete_found(found).await?;
        Ok(true)
    }

    /// The retention policy of a Backup's class, with the class's name.
    async fn class_policy(
        &self,
        backup: &Backup,
    ) -> Result<Option<(String, RetentionPolicy)>, Stop> {
        let Some(name) = &backup.spec.backup_class_name else {
            return Ok(None);
        };
        let class = self.class(name).await?;
        let policy = class.and_then(|class| class.retention_policy);
        Ok(policy.map(|policy| (name.clone(), policy)))
    }

    /// Whether a Backup is its Plan's business. A Plan that is gone covers nothing.
    async fn is_covered(
        &self,
        backup: &Backup,
        known: &mut BTreeMap<String, bool>,
    ) -> Result<bool, Stop> {
        let Some(plan) = &backup.spec.plan_ref else {
            return Ok(false);
        };
        if let Some(is_there) = known.get(&plan.name) {
            return Ok(*is_there);
        }
        let namespace = backup.metadata.namespace.as_deref();
        let target = object::target(API_VERSION, "Plan", namespace, &plan.name);
        let is_there = self.cluster.get(&Caller::host(), &target).await?.is_some();
        known.insert(plan.name.clone(), is_there);
        Ok(is_there)
    }

    /// The Backups of the same application and class that no Plan covers.
    async fn uncovered(&self, of: &Backup, class: &str) -> Result<Shelf, Stop> {
        let matching = Selector {
            api_version: API_VERSION.to_owned(),
            kind: "Backup".to_owned(),
            namespace: of.metadata.namespace.clone(),
            labels: vec![],
        };
        let mut shelf = Shelf::default();
        let mut plans = BTreeMap::new();
        for found in self.cluster.list(&Caller::host(), &matching).await? {
            let Ok(other) = serde_json::from_value::<Backup>(found.clone()) else {
                continue;
            };
            let is_alike = other.spec.application_ref == of.spec.application_ref
                && other.spec.backup_class_name.as_deref() == Some(class);
            if is_alike && !self.is_covered(&other, &mut plans).await? {
                // A Backup that is not Ready belongs to a job that is under way, or to none: its job's business.
                let is_live = true;
                shelf.put(&found, |_| is_live);
            }
        }
        Ok(shelf)
    }
}
