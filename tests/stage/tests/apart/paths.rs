//! Where backups lie: tenants are told apart, also where their applications have one name.

use backup_engine::{covers, proposed_grant};

use super::*;

const NAME: &str = "shared";

/// The places of an application, as its strategy says, without the last slash.
async fn places(stage: &Stage, namespace: &str, kind: (&str, &str)) -> Vec<String> {
    let job = json!({
        "apiVersion": API,
        "kind": "BackupJob",
        "metadata": { "name": "asked", "namespace": namespace, "uid": "1" },
        "spec": { "backupClassName": "cozy-default", "applicationRef": reference(kind, NAME) },
    });
    let job = serde_json::from_value(job).unwrap();
    let paths = stage.runner.host().backup_paths(&job).await;
    let paths = paths.unwrap_or_else(|why| panic!("{kind:?} in {namespace}: {why}"));
    assert!(!paths.is_empty(), "{kind:?}");
    let trimmed = paths.iter().map(|path| path.uri.trim_end_matches('/'));
    trimmed.map(ToOwned::to_owned).collect()
}

/// Paths that an administrator grants for all tenants together, such as that of Velero's repository.
fn shared(component: &Component) -> Vec<String> {
    let manifest = component.strategy.manifest();
    let grant = proposed_grant(manifest, "any.wasm", "any");
    let paths = grant.storage_paths.into_iter();
    paths.filter(|path| !path.contains("{namespace}")).collect()
}

/// Whether one of two places holds the other.
fn overlap(one: &str, other: &str) -> bool {
    covers(one, other) || covers(other, one)
}

#[tokio::test]
async fn two_tenants_with_an_application_of_one_name_never_share_a_path() {
    // The second tenant's name begins with the first's, and could be the rest of a path.
    let tenants = [TENANT, "tenant-acme-shared", "shared"];
    for component in components() {
        let stage = platform(std::slice::from_ref(&component));
        let shared = shared(&component);
        for kind in component.kinds() {
            let mut seen: Vec<(&str, String)> = vec![];
            for tenant in tenants {
                application(&stage, tenant, kind, NAME);
                for place in places(&stage, tenant, kind).await {
                    let key = place.splitn(4, '/').nth(3).unwrap_or_default();
                    if shared
                        .iter()
                        .any(|path| covers(path.trim_end_matches('/'), key))
                    {
                        continue;
                    }
                    seen.push((tenant, place));
                }
            }
            for (tenant, place) in &seen {
                let foreign = seen
                    .iter()
                    .find(|(other, theirs)| other != tenant && overlap(place, theirs));
                assert_eq!(foreign, None, "{place} of {kind:?} in {tenant}");
            }
        }
    }
}

#[test]
fn what_is_stored_lies_at_a_path_of_its_own_tenant() {
    for component in components() {
        let Some(kept) = component.kept() else {
            continue;
        };
        let namespace = kept.backup["metadata"]["namespace"].as_str().unwrap();
        let shared = shared(&component);
        let artifact = kept.backup["status"]["artifact"]["uri"].as_str();
        let artifact = artifact.and_then(|uri| uri.strip_prefix("s3://"));
        let stored = kept.stored.iter().map(|(key, _)| key.as_str());
        for key in stored.chain(artifact) {
            let is_tenants = key.split('/').any(|segment| segment == namespace);
            let is_shared = shared
                .iter()
                .any(|path| covers(path.trim_end_matches('/'), key));
            assert!(is_tenants || is_shared, "{}: {key}", component.name);
        }
    }
}
