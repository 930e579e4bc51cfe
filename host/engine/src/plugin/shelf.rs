//! The components that are stored in the cluster, so that they outlive the Pod that loaded them.
//!
//! A component lies in immutable ConfigMaps of the host's namespace: compressed, cut into parts that a ConfigMap can hold,
//! named by the component's digest, and held against it when it is read back. The first part says how many there are, and
//! is written last, so a component is there as a whole or not at all. It also says what the StrategyPlugins that it served
//! granted it last: a job goes on under that grant where its StrategyPlugin is gone.

use std::{
    collections::BTreeMap,
    io::{Read as _, Write as _},
};

use backup_api::{
    StrategyPluginSpec,
    names::{COMPONENT, GRANTS, MANAGED_BY, MANAGED_BY_VALUE},
};
use backup_sandbox::{
    Limits, Strategy,
    contract::{Entry, ObjectRef, Selector},
};
use data_encoding::BASE64;
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use serde_json::{Value, json};

use super::{Memory, Plugins, candidate::digest};
use crate::{
    cluster::{ApiError, ApiReason, Caller, Cluster, DeleteOptions, Part},
    object,
    strategies::Serving,
    upkeep::MANAGER,
};

/// Bytes of a part: a ConfigMap holds 1 MiB, and as much again must not be needed for its metadata.
const PART: usize = 880 << 10;

/// No component is larger than this, whatever its parts unfold to: as for a file of the plugin folder.
const LARGEST: u64 = 64 << 20;

/// How many parts a component has.
const PARTS: &str = "backups.cozystack.io/parts";

/// The member of a ConfigMap that holds the part.
const MEMBER: &str = "part";

/// What StrategyPlugins granted a component, by their names.
pub(super) type Grants = BTreeMap<String, StrategyPluginSpec>;

/// The namespace that components are stored in.
pub(super) struct Shelf {
    namespace: String,
}

impl Shelf {
    pub(super) fn new(namespace: &str) -> Self {
        Self {
            namespace: namespace.to_owned(),
        }
    }

    fn part(&self, digest: &str, index: usize) -> ObjectRef {
        let name = format!("strategy-component-{}-{index}", hex(digest));
        object::target("v1", "ConfigMap", Some(&self.namespace), &name)
    }

    /// The parts of one component, or of all.
    fn parts(&self, digest: Option<&str>) -> Selector {
        let label = |key: &str, value: &str| Entry {
            key: key.to_owned(),
            value: value.to_owned(),
        };
        let component = digest.map(|digest| label(COMPONENT, short(digest)));
        let ours = label(MANAGED_BY, MANAGED_BY_VALUE);
        Selector {
            api_version: "v1".to_owned(),
            kind: "ConfigMap".to_owned(),
            namespace: Some(self.namespace.clone()),
            labels: component.into_iter().chain([ours]).collect(),
        }
    }

    fn object(&self, digest: &str, (index, count): (usize, usize), part: &[u8]) -> Value {
        let ObjectRef { name, .. } = self.part(digest, index);
        json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": name,
                "namespace": self.namespace,
                "labels": { MANAGED_BY: MANAGED_BY_VALUE, COMPONENT: short(digest) },
                "annotations": { COMPONENT: digest, PARTS: count.to_string() },
            },
            "immutable": true,
            "binaryData": { MEMBER: BASE64.encode(part) },
        })
    }
}

fn hex(digest: &str) -> &str {
    digest.strip_prefix("sha256:").unwrap_or(digest)
}

/// A digest is one character longer than a label's value may be.
fn short(digest: &str) -> &str {
    let hex = hex(digest);
    hex.get(..40).unwrap_or(hex)
}

fn annotation<'a>(object: &'a Value, name: &str) -> Option<&'a str> {
    object
        .get("metadata")?
        .get("annotations")?
        .get(name)?
        .as_str()
}

fn grants(first: &Value) -> Grants {
    let text = annotation(first, GRANTS);
    text.and_then(|text| serde_json::from_str(text).ok())
        .unwrap_or_default()
}

fn compressed(bytes: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(vec![], Compression::default());
    encoder.write_all(bytes)?;
    encoder.finish()
}

/// The component that parts make up, where it is what its digest says.
fn whole(parts: &[Value], expected: &str) -> Option<Vec<u8>> {
    let mut packed = vec![];
    for part in parts {
        let text = part.get("binaryData")?.get(MEMBER)?.as_str()?;
        packed.extend(BASE64.decode(text.as_bytes()).ok()?);
    }
    let mut bytes = vec![];
    GzDecoder::new(packed.as_slice())
        .take(LARGEST)
        .read_to_end(&mut bytes)
        .ok()?;
    (digest(&bytes) == expected).then_some(bytes)
}

impl<C: Cluster> Plugins<C> {
    /// Stores what serves, once for each component, and what it is granted.
    pub(super) async fn shelve(
        &self,
        serving: &Serving,
        memory: &mut Memory,
    ) -> Result<(), ApiError> {
        let stored = match &mut memory.shelved {
            Some(stored) => stored,
            unknown => unknown.insert(self.shelved().await?),
        };
        let digest = serving.strategy.digest();
        if !stored.contains_key(digest) {
            let Some(bytes) = self.bytes_of(serving).await else {
                return Ok(());
            };
            self.store(digest, bytes).await?;
            stored.insert(digest.to_owned(), Grants::new());
        }
        let grants = stored.entry(digest.to_owned()).or_default();
        if grants.get(&serving.name) != Some(&serving.grant) {
            let mut changed = grants.clone();
            changed.insert(serving.name.clone(), serving.grant.clone());
            self.note_grants(digest, &changed).await?;
            *grants = changed;
        }
        Ok(())
    }

    /// The bytes of what serves, as its source has them still.
    async fn bytes_of(&self, serving: &Serving) -> Option<Vec<u8>> {
        let (fetch, source) = (self.fetch.clone(), serving.grant.source.clone());
        let bytes = self.aside(move || fetch(&source)).await.ok()?.ok()?;
        (digest(&bytes) == serving.strategy.digest()).then_some(bytes)
    }

    async fn store(&self, digest: &str, bytes: Vec<u8>) -> Result<(), ApiError> {
        let packed = self.aside(move || compressed(&bytes)).await;
        let Ok(Ok(packed)) = packed else {
            tracing::warn!(
                digest,
                "a component cannot be compressed, and is not stored"
            );
            return Ok(());
        };
        let parts: Vec<&[u8]> = packed.chunks(PART).collect();
        for (index, part) in parts.iter().enumerate().rev() {
            let object = self.shelf.object(digest, (index, parts.len()), part);
            let created = self
                .cluster
                .create(&Caller::host(), MANAGER, &object, false)
                .await;
            match created {
                Err(error) if error.reason != ApiReason::AlreadyExists => return Err(error),
                _ => {}
            }
        }
        tracing::info!(digest, parts = parts.len(), "a component is stored");
        Ok(())
    }

    async fn note_grants(&self, digest: &str, grants: &Grants) -> Result<(), ApiError> {
        let text = serde_json::to_string(grants).map_err(|error| {
            ApiError::new(
                ApiReason::Invalid,
                format!("a grant cannot be written: {error}"),
            )
        })?;
        let patch = json!({ "metadata": { "annotations": { GRANTS: text } } });
        let first = self.shelf.part(digest, 0);
        self.cluster
            .merge(&Caller::host(), MANAGER, &first, &patch, Part::Main)
            .await
            .map(|_| ())
    }

    /// What is stored. What is damaged is removed, so that it is stored anew.
    async fn shelved(&self) -> Result<BTreeMap<String, Grants>, ApiError> {
        let all = self.shelf.parts(None);
        let found = self.cluster.list(&Caller::host(), &all).await?;
        let mut by_digest: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        for part in found {
            if let Some(digest) = annotation(&part, COMPONENT) {
                by_digest.entry(digest.to_owned()).or_default().push(part);
            }
        }
        let mut stored = BTreeMap::new();
        for (digest, parts) in by_digest {
            let first = parts
                .iter()
                .find(|part| object::reference(part) == self.shelf.part(&digest, 0));
            let grants = first.map(grants).unwrap_or_default();
            let ordered = self.ordered(&digest, parts);
            let of = digest.clone();
            let is_whole = self.aside(move || whole(&ordered, &of).is_some()).await;
            if is_whole == Ok(true) {
                stored.insert(digest, grants);
            } else {
                tracing::warn!(digest, "a stored component is damaged, and is removed");
                self.unshelve(&digest).await?;
            }
        }
        Ok(stored)
    }

    /// Parts in their order.
    fn ordered(&self, digest: &str, mut parts: Vec<Value>) -> Vec<Value> {
        let names: Vec<ObjectRef> = (0..parts.len())
            .map(|index| self.shelf.part(digest, index))
            .collect();
        parts.sort_by_cached_key(|part| {
            let target = object::reference(part);
            names.iter().position(|name| *name == target)
        });
        parts
    }

    /// A stored component, and what it was granted; none where it is not there, or is not what it was.
    pub(super) async fn read_back(
        &self,
        digest: &str,
        limits: Limits,
    ) -> Result<Option<(Strategy, Grants)>, ApiError> {
        let matching = self.shelf.parts(Some(digest));
        let mut parts = self.cluster.list(&Caller::host(), &matching).await?;
        parts.retain(|part| annotation(part, COMPONENT) == Some(digest));
        let parts = self.ordered(digest, parts);
        let Some(first) = parts.first() else {
            return Ok(None);
        };
        let grants = grants(first);
        let (expected, sandbox) = (digest.to_owned(), self.sandbox.clone());
        let load = move || {
            let bytes = whole(&parts, &expected).ok_or("it is damaged, or not whole")?;
            let loaded = sandbox.load(&bytes, limits);
            loaded.map_err(|error| error.to_string())
        };
        match self.aside(load).await.and_then(|loaded| loaded) {
            Ok(strategy) => Ok(Some((strategy, grants))),
            Err(why) => {
                tracing::warn!(digest, why, "a stored component cannot be used");
                Ok(None)
            }
        }
    }

    /// Removes a component from the shelf.
    pub(super) async fn unshelve(&self, digest: &str) -> Result<(), ApiError> {
        let matching = self.shelf.parts(Some(digest));
        for part in self.cluster.list(&Caller::host(), &matching).await? {
            if annotation(&part, COMPONENT) != Some(digest) {
                continue;
            }
            let options = DeleteOptions {
                uid: Some(object::uid(&part).to_owned()),
                ..DeleteOptions::default()
            };
            let target = object::reference(&part);
            let deleted = self
                .cluster
                .delete(&Caller::host(), &target, &options)
                .await;
            match deleted {
                Err(error) if error.reason != ApiReason::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(bytes: &[u8]) -> Vec<Value> {
        let packed = compressed(bytes).unwrap();
        let parts = packed.chunks(16);
        parts
            .map(|part| json!({ "binaryData": { MEMBER: BASE64.encode(part) } }))
            .collect()
    }

    #[test]
    fn a_component_comes_back_as_it_was_or_not_at_all() {
        let bytes: Vec<u8> = (0..=255).collect();
        let stored = parts(&bytes);
        let expected = digest(&bytes);
        assert!(stored.len() > 1);
        assert_eq!(whole(&stored, &expected), Some(bytes.clone()));
        assert_eq!(whole(&stored[1..], &expected), None, "a part is missing");
        assert_eq!(whole(&parts(b"another"), &expected), None);
        let mut odd = stored;
        odd[0]["binaryData"][MEMBER] = json!("not base64!");
        assert_eq!(whole(&odd, &expected), None);
    }

    #[test]
    fn a_part_fits_into_a_config_map() {
        let name = Shelf::new("a").part(&digest(b""), 75).name;
        assert!(name.len() <= 253, "{name}");
        assert!(short(&digest(b"")).len() <= 63);
    }
}
