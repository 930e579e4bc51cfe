//! What a step does.

use std::{collections::BTreeMap, time::Duration};

use backup_api::names::{API_VERSION, CHECK_REQUESTED, GROUP};
use backup_engine::{
    cluster::{Cluster as _, DeleteOptions, Part},
    reference,
};
use backup_sandbox::contract::ObjectRef;
use jiff::SignedDuration;
use serde_json::{Value, json};

use crate::{
    case::{BackupStep, Case, RestoreStep, Step, part},
    expected,
    faults::storyteller,
    plans::Plans,
    seen::Which,
    words::filled_in,
    world::{CLASS, World, Wrong},
};

/// Who does what happens in a story, as the API server knows it.
const MANAGER: &str = "a-case";

/// A story that is being told.
pub(crate) struct Story<'a> {
    case: &'a Case,
    pub(crate) world: World,
    /// The job, or the Backup, that was last asked for.
    pub(crate) asked_for: Option<ObjectRef>,
    /// What the strategy has answered.
    pub(crate) plans: Plans,
    /// How many jobs there were.
    jobs: usize,
}

/// A step that did not go as it says: its index, and what was wrong, line by line.
pub(crate) type Astray = (usize, Vec<String>);

impl<'a> Story<'a> {
    pub(crate) fn of(case: &'a Case, world: World) -> Self {
        Self {
            case,
            world,
            asked_for: None,
            plans: Plans::default(),
            jobs: 0,
        }
    }

    /// The parameters of the class.
    pub(crate) fn parameters(&self) -> &BTreeMap<String, String> {
        &self.case.setting.parameters
    }

    /// Tells it, up to the first step that goes astray.
    ///
    /// # Errors
    /// That step.
    pub(crate) async fn tell(&mut self) -> Result<(), Astray> {
        self.world
            .settle()
            .await
            .map_err(|wrong| (0, vec![wrong]))?;
        for (index, (_, step)) in self.case.steps.iter().enumerate() {
            self.take(index, step)
                .await
                .map_err(|lines| (index, lines))?;
        }
        Ok(())
    }

    async fn take(&mut self, index: usize, step: &Value) -> Result<(), Vec<String>> {
        let mut document = step.clone();
        let expected = document
            .as_object_mut()
            .and_then(|members| members.remove("expect"));
        let done = self.carry_out(document).await;
        let asked = self.world.take_asked();
        self.plans.add(index + 1, asked);
        done.map_err(|wrong| vec![wrong])?;
        let Some(expected) = expected else {
            return Ok(());
        };
        let lines = match self.understood(&expected).and_then(part) {
            Ok(expected) => expected::missed(self, &expected).await,
            Err(wrong) => vec![wrong],
        };
        match lines.is_empty() {
            true => Ok(()),
            false => Err(lines),
        }
    }

    /// With the texts filled in.
    fn understood(&self, document: &Value) -> Result<Value, Wrong> {
        let now = self.world.now().to_string();
        filled_in(document, &self.world.seen, &now)
    }

    async fn carry_out(&mut self, document: Value) -> Result<(), Wrong> {
        let step: Step = part(self.understood(&document)?)?;
        self.disturb(&step)?;
        for key in &step.lose {
            if !self.world.storage.keys().contains(key) {
                return Err(format!("lose: {key} does not lie in the bucket"));
            }
            self.world.storage.remove(key);
        }
        for named in &step.delete.0 {
            let target = self.target(named)?;
            self.delete(&target).await?;
        }
        for object in &step.create.0 {
            self.create(object).await?;
        }
        for change in &step.change.0 {
            self.change(change).await?;
        }
        self.world.seen.look(&self.world.cluster);
        if let Some(time) = &step.time {
            let time = duration(time)?;
            self.world.let_pass(time).await?;
        }
        if step.restart {
            self.world.restart();
        }
        if let Some(job) = &step.backup {
            self.backup(job).await?;
        }
        if let Some(job) = &step.restore {
            self.restore(job).await?;
        }
        if let Some(named) = &step.check {
            self.check(named.backup.as_deref()).await?;
        }
        if let Some(named) = &step.forget {
            let backup = self.backup_named(named.backup.as_deref())?;
            self.asked_for = Some(backup.clone());
            self.delete(&backup).await?;
        }
        self.world.seen.look(&self.world.cluster);
        self.world.settle().await
    }

    /// What nobody orders: faults, logs, and what lies in the bucket.
    fn disturb(&mut self, step: &Step) -> Result<(), Wrong> {
        if let Some(refusals) = &step.refuse {
            self.world.faults().refuse(refusals.clone());
        }
        if let Some(answers) = step.storage_answers {
            self.world.storage.answers(answers);
        }
        if let Some(log) = &step.log {
            let cluster = &self.world.cluster;
            cluster.set_log(
                &log.namespace,
                &log.pod,
                &log.container,
                log.previous,
                &log.text,
            );
        }
        let now = u64::try_from(self.world.cluster.now()).unwrap_or_default();
        for (key, size) in &step.store {
            if key.starts_with('/') || key.contains("//") {
                return Err(format!("store: {key:?} is no key of a bucket"));
            }
            self.world.storage.put(key, *size, now);
        }
        Ok(())
    }

    async fn create(&mut self, object: &Value) -> Result<(), Wrong> {
        let cluster = &self.world.cluster;
        let created = cluster.create(&storyteller(), MANAGER, object, false).await;
        created.map_err(|error| format!("create: {error}"))?;
        // The API server takes no status with a new object.
        match object.get("status") {
            Some(_) => self.change(object).await,
            None => Ok(()),
        }
    }

    /// Changes what is there, each part by its own request.
    async fn change(&mut self, change: &Value) -> Result<(), Wrong> {
        self.world.seen.look(&self.world.cluster);
        let target = self.target(change)?;
        // The status first: without its last finalizer an object may be gone.
        for part in [Part::Status, Part::Main] {
            let mut patch = change.clone();
            let is_status = part == Part::Status;
            if let Some(members) = patch.as_object_mut() {
                members.retain(|name, _| name != "kind" && (name == "status") == is_status);
            }
            if patch.as_object().is_none_or(|members| members.is_empty()) {
                continue;
            }
            let cluster = &self.world.cluster;
            let merged = cluster
                .merge(&storyteller(), MANAGER, &target, &patch, part)
                .await;
            merged
                .map_err(|error| format!("change of {} {}: {error}", target.kind, target.name))?;
        }
        Ok(())
    }

    async fn delete(&mut self, target: &ObjectRef) -> Result<(), Wrong> {
        let cluster = &self.world.cluster;
        let deleted = cluster
            .delete(&storyteller(), target, &DeleteOptions::default())
            .await;
        deleted.map_err(|error| format!("delete: {error}"))
    }

    /// The one object that is there and is meant.
    fn target(&self, named: &Value) -> Result<ObjectRef, Wrong> {
        let which = Which::of(named);
        if which.kind.is_empty() {
            return Err(format!(
                "what is changed or deleted is named by its kind, at least: {}",
                crate::matching::shown(named)
            ));
        }
        let there = self.world.seen.there(&which);
        match &there[..] {
            [one] => Ok(reference(one)),
            [] => Err(format!("there is no {which}")),
            many => Err(format!(
                "there are {} objects that are {which}; say more of the one that is meant",
                many.len()
            )),
        }
    }

    async fn backup(&mut self, job: &BackupStep) -> Result<(), Wrong> {
        let application = self.application(job.of.as_deref())?;
        let target = reference(&application);
        let group = target.api_version.split_once('/');
        let spec = json!({
            "backupClassName": self.class(),
            "applicationRef": {
                "apiGroup": group.map_or("", |(group, _)| group),
                "kind": target.kind, "name": target.name,
            },
        });
        let name = job.name.as_deref().unwrap_or("backup");
        let namespace = target.namespace.unwrap_or_default();
        self.order("BackupJob", &namespace, name, spec)
    }

    async fn restore(&mut self, job: &RestoreStep) -> Result<(), Wrong> {
        let backup = self.backup_named(job.backup.as_deref())?;
        let mut spec = json!({
            "backupRef": { "name": backup.name },
            "options": job.options.clone().unwrap_or(json!({})),
        });
        if let Some(into) = &job.into {
            spec["targetApplicationRef"] = into.clone();
        }
        let name = job.name.as_deref().unwrap_or("restore");
        self.order(
            "RestoreJob",
            &backup.namespace.unwrap_or_default(),
            name,
            spec,
        )
    }

    /// A job. Its UID follows from its place in the story, so that names which are made of it stay the same.
    fn order(&mut self, kind: &str, namespace: &str, name: &str, spec: Value) -> Result<(), Wrong> {
        self.jobs += 1;
        let uid = format!("00000000-0000-4000-8000-{:012}", self.jobs);
        let job = json!({
            "apiVersion": API_VERSION, "kind": kind,
            "metadata": { "name": name, "namespace": namespace, "uid": uid },
            "spec": spec,
        });
        let job = self.world.cluster.put(job);
        let job = job.map_err(|error| format!("the {kind} is not accepted: {error}"))?;
        self.asked_for = Some(reference(&job));
        Ok(())
    }

    async fn check(&mut self, name: Option<&str>) -> Result<(), Wrong> {
        let backup = self.backup_named(name)?;
        self.jobs += 1;
        let asked = format!("{}", self.jobs);
        let patch = json!({ "metadata": { "annotations": { CHECK_REQUESTED: asked } } });
        let cluster = &self.world.cluster;
        let merged = cluster
            .merge(&storyteller(), MANAGER, &backup, &patch, Part::Main)
            .await;
        self.asked_for = Some(backup);
        merged.map(drop).map_err(|error| format!("check: {error}"))
    }

    /// An application of a kind that the strategy works on.
    fn application(&self, name: Option<&str>) -> Result<Value, Wrong> {
        let manifest = self.world.strategy.manifest();
        let mut found = vec![];
        for application in &manifest.applications {
            let which = Which {
                kind: &application.kind,
                group: Some(&application.group),
                namespace: None,
                name,
            };
            found.extend(self.world.seen.there(&which));
        }
        match &found[..] {
            [one] => Ok((*one).clone()),
            [] => Err("there is no such application; it is one of the objects in `given`".into()),
            _ => Err("there are several applications; `of` says which is meant".into()),
        }
    }

    /// A Backup of the host's kind.
    pub(crate) fn backup_named(&self, name: Option<&str>) -> Result<ObjectRef, Wrong> {
        let which = Which {
            kind: "Backup",
            group: Some(GROUP),
            namespace: None,
            name,
        };
        let there = self.world.seen.there(&which);
        match &there[..] {
            [one] => Ok(reference(one)),
            [] => Err("there is no such Backup".to_owned()),
            _ => Err("there are several Backups; `backup` says which is meant".to_owned()),
        }
    }

    /// The class of the case: one that it gives, or the one that was made for it.
    fn class(&self) -> String {
        let which = Which {
            kind: "BackupClass",
            group: Some(GROUP),
            namespace: None,
            name: None,
        };
        let classes = self.world.seen.there(&which);
        let first = classes.first().map(|class| reference(class).name);
        first.unwrap_or_else(|| CLASS.to_owned())
    }
}

/// Such as `35m` or `1h 30m`.
fn duration(text: &str) -> Result<Duration, Wrong> {
    let parsed: Result<SignedDuration, _> = text.parse();
    let duration = parsed.map_err(|error| format!("time: {text:?}: {error}"))?;
    Duration::try_from(duration).map_err(|error| format!("time: {text:?}: {error}"))
}
