//! Applications of one name but of different kinds share a folder of the bucket, as the layout has it. Their strategies
//! tell their own objects from the others' all the same.

use std::collections::BTreeSet;

use super::*;

/// The name that all of the tenant's applications have.
const NAME: &str = "shared";

/// A Backup of each component, all of them of applications of one name, with what is stored of it.
struct Neighbour {
    name: String,
    backup: Kept,
}

/// A text of the Backup as it would be of an application of the shared name: whole segments of paths only.
fn renamed(text: &str, from: &str) -> String {
    let segments: Vec<&str> = text
        .split('/')
        .map(|segment| if segment == from { NAME } else { segment })
        .collect();
    segments.join("/")
}

fn rename(value: &mut Value, from: &str) {
    match value {
        Value::String(text) if text.contains('/') => *text = renamed(text, from),
        Value::Array(items) => items.iter_mut().for_each(|item| rename(item, from)),
        Value::Object(members) => members.values_mut().for_each(|member| rename(member, from)),
        _ => {}
    }
}

fn neighbours(components: &[Component]) -> Vec<Neighbour> {
    let kept = components.iter().filter_map(|component| {
        let mut kept = component.kept()?;
        let own = kept.backup["spec"]["applicationRef"]["name"].clone();
        let own = own.as_str().unwrap();
        rename(&mut kept.backup, own);
        kept.backup["spec"]["applicationRef"]["name"] = json!(NAME);
        kept.backup["metadata"]["name"] = json!(component.name);
        for (key, _) in &mut kept.stored {
            *key = renamed(key, own);
        }
        Some(Neighbour {
            name: component.name.clone(),
            backup: kept,
        })
    });
    kept.collect()
}

/// All components, and a tenant whose applications all have one name and a Backup each.
async fn tenant(components: &[Component], neighbours: &[Neighbour]) -> Stage {
    let stage = platform(components);
    for component in components {
        for kind in component.kinds() {
            application(&stage, TENANT, kind, NAME);
        }
    }
    for neighbour in neighbours {
        stage.put_kept(&neighbour.backup, TENANT).await.unwrap();
    }
    stage
}

fn keys(neighbour: &Neighbour) -> BTreeSet<String> {
    let stored = neighbour.backup.stored.iter();
    stored.map(|(key, _)| key.clone()).collect()
}

/// Plays, as the host finds something due. No operator answers.
async fn pass_time(stage: &mut Stage, seconds: i64) {
    let end = stage.cluster.now() + seconds;
    stage.runner.settle().await.unwrap();
    while let Some(at) = stage.runner.next_at().filter(|at| at.as_second() <= end) {
        stage
            .cluster
            .set_now(at.as_second().max(stage.cluster.now() + 1));
        stage.runner.settle().await.unwrap();
    }
    stage.cluster.set_now(end);
    stage.runner.settle().await.unwrap();
}

/// What was said last of whether each Backup's data is there.
fn verdicts(stage: &Stage, neighbours: &[Neighbour]) -> Vec<String> {
    let verdict = |neighbour: &Neighbour| {
        let backup = stage.read("Backup", TENANT, &neighbour.name);
        let conditions = backup["status"]["conditions"].as_array();
        let mut conditions = conditions.into_iter().flatten();
        let available = conditions.find(|condition| condition["type"] == "Available");
        available.map_or(String::new(), |found| {
            found["status"].as_str().unwrap().to_owned()
        })
    };
    neighbours.iter().map(verdict).collect()
}

#[tokio::test]
async fn what_is_stored_of_two_kinds_is_not_the_same() {
    let neighbours = neighbours(&components());
    let all: usize = neighbours.iter().map(|one| one.backup.stored.len()).sum();
    let mut together = BTreeSet::new();
    neighbours.iter().for_each(|one| together.extend(keys(one)));
    assert_eq!(together.len(), all);
}

#[tokio::test]
async fn what_is_removed_of_one_kind_leaves_the_others_whole() {
    let components = components();
    let neighbours = neighbours(&components);
    for removed in &neighbours {
        let mut stage = tenant(&components, &neighbours).await;
        let before: Vec<Value> = bystanders(&stage);
        stage.delete("Backup", TENANT, &removed.name).await.unwrap();
        pass_time(&mut stage, 60 * 60).await;
        let left: BTreeSet<String> = stage.storage.keys().into_iter().collect();
        for other in neighbours.iter().filter(|other| other.name != removed.name) {
            let missing: Vec<String> = keys(other).difference(&left).cloned().collect();
            assert_eq!(
                missing,
                Vec::<String>::new(),
                "{} took {}'s",
                removed.name,
                other.name
            );
            assert!(!stage.read("Backup", TENANT, &other.name).is_null());
        }
        assert_eq!(bystanders(&stage), before, "{}", removed.name);
    }
}

#[tokio::test]
async fn what_is_lost_of_one_kind_is_not_told_of_another() {
    let components = components();
    let neighbours = neighbours(&components);
    let mut untouched = tenant(&components, &neighbours).await;
    pass_time(&mut untouched, 24 * 60 * 60).await;
    let expected = verdicts(&untouched, &neighbours);
    for (index, lost) in neighbours.iter().enumerate() {
        let mut stage = tenant(&components, &neighbours).await;
        for key in keys(lost) {
            stage.storage.remove(&key);
        }
        pass_time(&mut stage, 24 * 60 * 60).await;
        let mut found = verdicts(&stage, &neighbours);
        assert_ne!(found[index], "True", "{} was not looked at", lost.name);
        found[index].clone_from(&expected[index]);
        assert_eq!(found, expected, "{} is lost", lost.name);
    }
}

/// The applications and their releases, without what changes at each write.
fn bystanders(stage: &Stage) -> Vec<Value> {
    let objects = stage.cluster.objects().into_iter();
    let objects = objects.filter(|object| {
        object["kind"] == "HelmRelease"
            || object["apiVersion"]
                .as_str()
                .is_some_and(|version| version.starts_with("apps."))
    });
    objects.map(|object| (*object).clone()).collect()
}
