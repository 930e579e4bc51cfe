//! `docs/storage.md`: the platform's storage is an external one, its key is rotated, and its bucket moves.

use std::sync::Arc;

use ::s3::S3;
use controlplane::Shell;
use data_encoding::BASE64;
use serde_json::{Value, json};
use stage::{Bucket as _, Kept, STRATEGIES};

use super::{
    backups::{Operators, ROTATED, TAKEN},
    lost::{bring_back, is_available},
    platform::Platform,
};
use crate::{
    bucket::{S3Bucket, bucket_with},
    page::TENANT,
    typed::{Page, desk},
};

/// The place of the page's examples, and the one that they move to.
const FROM: (&str, &str) = ("https://s3.example.org", "backups-of-ours");
const TO: (&str, &str) = ("https://s3.example.com", "backups-moved");

/// Who always has a copy of the credentials here, and who has one behind a job.
const COPIES: [&str; 2] = ["cozy-velero", TENANT];

/// A storage: a bucket of a server, and the keys to it.
pub(super) struct Storage {
    s3: S3,
    bucket: &'static str,
    keys: (String, String),
}

fn page() -> Page {
    Page::of("storage.md")
}

impl Storage {
    /// The storage that the page begins with.
    pub(super) fn first() -> Self {
        Self::new(FROM.1)
    }

    fn new(bucket: &'static str) -> Self {
        let s3 = S3::start().unwrap();
        std::fs::create_dir(s3.root.join(bucket)).unwrap();
        let keys = (s3.access_key.clone(), s3.secret_key.clone());
        Self { s3, bucket, keys }
    }

    /// The bucket, with the keys that are the platform's now.
    pub(super) fn bucket(&self) -> Arc<S3Bucket> {
        bucket_with(&self.s3, self.bucket, (&self.keys.0, &self.keys.1))
    }

    /// The keys of all that lies there.
    pub(super) async fn stored(&self) -> Vec<String> {
        self.bucket().keys().await
    }

    /// Where the key of an object is.
    pub(super) fn key<'a>(&self, uri: &'a str) -> &'a str {
        uri.strip_prefix(&format!("s3://{}/", self.bucket)).unwrap()
    }

    /// "An external S3": the values, the source Secret, and the upgrade.
    pub(super) async fn is_the_platforms(&self, platform: &mut Platform) {
        let page = page().section("An external S3");
        self.is_in_the_values(platform, FROM);
        let [secret, upgrade] = page.commands();
        let secret = secret.replace("=KEY", &format!("={}", self.keys.0));
        let secret = secret.replace("=SECRET", &format!("={}", self.keys.1));
        platform.types(&secret).await;
        platform.types(&upgrade).await;
    }

    /// Writes the page's values with this storage in the place of an example.
    fn is_in_the_values(&self, platform: &Platform, example: (&str, &str)) {
        let values = page().section("An external S3").blocks("yaml").remove(0);
        let values = values.replace(FROM.0, example.0).replace(FROM.1, example.1);
        platform.writes("external.yaml", &self.in_place_of(example, &values));
    }

    /// A text of the page with this storage in the place of an example.
    fn in_place_of(&self, (endpoint, bucket): (&str, &str), text: &str) -> String {
        text.replace(endpoint, &self.s3.endpoint)
            .replace(bucket, self.bucket)
    }
}

/// A command that patches the source Secret, with other keys than the page's.
fn with_keys(command: &str, (access_key, secret_key): &(String, String)) -> String {
    let pairs = [("accessKey", access_key), ("secretKey", secret_key)];
    pairs
        .iter()
        .fold(command.to_owned(), |command, (name, key)| {
            command.replace(
                &format!("\"{name}\":\"NEW\""),
                &format!("\"{name}\":\"{key}\""),
            )
        })
}

/// "The storage": where all of it is.
pub(super) async fn is_there(platform: &mut Platform) {
    let target = ("velero.io/v1", "BackupStorageLocation", "cozy-default");
    platform.site.until("cozy-velero", target, |_| true).await;
    let commands: [String; 2] = page().section("The storage").commands();
    for command in commands {
        platform.types(&command).await;
    }
}

/// "Rotating the key": copies follow, and nothing needs the old key.
pub(super) async fn key_is_rotated(platform: &mut Platform, storage: &mut Storage) {
    let failures = failures(platform);
    let [patch] = page().section("Rotating the key").commands();
    let (old, with_old) = (storage.keys.0.clone(), storage.bucket());
    storage.keys = storage.s3.make_keys();
    platform.types(&with_keys(&patch, &storage.keys)).await;
    for namespace in COPIES {
        let copy = ("v1", "Secret", "cozy-backups-creds");
        let follows = |copy: &Value| {
            let is = |name: &str, key: &str| copy["data"][name] == BASE64.encode(key.as_bytes());
            is("accessKey", &storage.keys.0) && is("secretKey", &storage.keys.1)
        };
        platform.site.until(namespace, copy, follows).await;
    }
    assert_eq!(self::failures(platform), failures);
    storage.s3.withdraw_keys(&old);
    assert!(with_old.refuses().await, "the old key is worth nothing");
}

/// How often a copy could not be written, by reason. That a namespace is not there is no failure: nothing is to use one there.
fn failures(platform: &Platform) -> Vec<String> {
    let metrics = platform.metrics();
    let name = "cozystack_backup_credentials_projection_failures_total";
    let is_one = |line: &&str| line.starts_with(name) && !line.contains("NamespaceMissing");
    let lines = metrics.lines().filter(is_one);
    lines.map(ToOwned::to_owned).collect()
}

/// "Moving the Backups": to another bucket of another server, where they are found and can be restored. Gives back the new
/// storage.
pub(super) async fn moves(platform: &mut Platform, from: &Storage) -> (Storage, Operators) {
    let to = Storage::new(TO.1);
    copy(from, &to);
    let page = page().section("Moving the Backups");
    let [keys, upgrade, list, old, moved, retain, delete] = page.commands();
    to.is_in_the_values(platform, TO);
    platform.types(&with_keys(&keys, &to.keys)).await;
    platform.types(&upgrade).await;
    copy(from, &to);
    platform.writes("moved.jq", &page.blocks("jq").remove(0));
    platform.types(&list).await;
    for command in [old, moved] {
        let command = to.in_place_of(TO, &from.in_place_of(FROM, &command));
        platform.types(&command).await;
    }
    platform.types(&retain).await;
    platform.types(&delete).await;
    bring_back(platform, "moved.json").await;
    for (tenant, name, _) in TAKEN.iter().chain([&ROTATED]) {
        is_available(platform, tenant, name).await;
    }
    let operators = Operators::play(&platform.site, &to);
    for name in ["yearly-1", "dump"] {
        let job = platform.site.restored(TENANT, name, "moved").await;
        assert_eq!(job["status"]["phase"], "Succeeded", "{job:#}");
    }
    assert!(!from.stored().await.is_empty(), "nothing is removed there");
    (to, operators)
}

/// Copies all objects, as a tool of somebody's does.
fn copy(from: &Storage, to: &Storage) {
    let folder = |storage: &Storage| storage.s3.root.join(storage.bucket);
    let copied = std::process::Command::new("cp")
        .arg("-r")
        .arg(folder(from).join("."))
        .arg(folder(to))
        .status();
    assert!(copied.unwrap().success());
}

#[test]
fn what_a_backup_says_of_its_place_is_moved_whatever_its_kind() {
    let place = ("https://s3.cozy.example", "cozy-backups");
    let desk = desk();
    let shell = Shell::with("").unwrap().in_folder(desk.path());
    let versions = ["v0", "v1"];
    let kept = STRATEGIES
        .iter()
        .flat_map(|strategy| versions.map(|version| Kept::of(strategy, version).unwrap().backup));
    let kept: Vec<Value> = kept.collect();
    let catalogue = json!({ "apiVersion": "v1", "kind": "List", "items": &kept }).to_string();
    std::fs::write(desk.path().join("catalogue.json"), catalogue).unwrap();
    let page = page().section("Moving the Backups");
    std::fs::write(desk.path().join("moved.jq"), page.blocks("jq").remove(0)).unwrap();
    let [_, _, _, old, moved, _, _] = page.commands();
    for command in [old, moved] {
        let command = command.replace(FROM.0, place.0).replace(FROM.1, place.1);
        shell.run(&command).unwrap();
    }
    let moved = std::fs::read_to_string(desk.path().join("moved.json")).unwrap();
    let moved = moved.replace("cozy-backups-creds", "the Secret");
    for (old, new) in [
        (place.0, TO.0),
        ("s3.cozy.example", "s3.example.com"),
        (place.1, TO.1),
    ] {
        assert!(!moved.contains(old) && moved.contains(new), "{moved}");
    }
    let moved: Value = serde_json::from_str(&moved).unwrap();
    assert_eq!(moved["items"].as_array().unwrap().len(), kept.len());
}
