use backup_sandbox::contract::Entry;
use serde_json::json;

use super::*;

const API: &str = "backups.cozystack.io/v1alpha1";

fn jobs() -> KindOf {
    KindOf::new(&Account::Host, API, "BackupJob")
}

fn job(name: &str, version: u64, phase: &str) -> Value {
    json!({
        "apiVersion": API, "kind": "BackupJob",
        "metadata": { "namespace": "a", "name": name, "uid": name, "resourceVersion": version.to_string() },
        "status": { "phase": phase },
    })
}

fn target(name: &str) -> ObjectRef {
    backup_engine::reference(&job(name, 0, ""))
}

fn selector(labels: &[(&str, &str)]) -> Selector {
    Selector {
        api_version: API.to_owned(),
        kind: "BackupJob".to_owned(),
        namespace: Some("a".to_owned()),
        labels: labels
            .iter()
            .map(|(key, value)| Entry {
                key: (*key).to_owned(),
                value: (*value).to_owned(),
            })
            .collect(),
    }
}

/// A watch of a scope that has listed these.
fn watching(scope: Scope, keeps: Keeps, objects: &[Value]) -> Sight {
    let sight = Sight::default();
    sight.begin(&jobs(), &scope, keeps);
    list(&sight, &scope, objects);
    sight
}

fn list(sight: &Sight, scope: &Scope, objects: &[Value]) {
    sight.lists(&jobs(), scope);
    for object in objects {
        show(sight, scope, object);
    }
    sight.listed(&jobs(), scope);
}

fn show(sight: &Sight, scope: &Scope, object: &Value) {
    let is_gone = false;
    sight.saw(&jobs(), scope, Seen { object, is_gone });
}

fn gone(sight: &Sight, scope: &Scope, object: &Value) {
    let is_gone = true;
    sight.saw(&jobs(), scope, Seen { object, is_gone });
}

fn get(sight: &Sight, name: &str) -> Sighting<Option<Value>> {
    sight.get(&Account::Host, &target(name))
}

fn asks<T>(sighting: &Sighting<T>) -> bool {
    matches!(sighting, Sighting::Ask(_))
}

#[test]
fn a_watch_of_everything_answers_presence_and_absence_once_it_has_listed() {
    let sight = Sight::default();
    assert!(asks(&get(&sight, "one")));
    sight.begin(&jobs(), &Scope::All, Keeps::Objects);
    sight.lists(&jobs(), &Scope::All);
    show(&sight, &Scope::All, &job("one", 1, ""));
    assert!(asks(&get(&sight, "one")), "it has not listed everything");
    sight.listed(&jobs(), &Scope::All);
    assert_eq!(get(&sight, "one"), Sighting::Known(Some(job("one", 1, ""))));
    assert_eq!(get(&sight, "two"), Sighting::Known(None));
    sight.lost(&jobs(), &Scope::All);
    assert!(asks(&get(&sight, "one")), "changes may be missed");
}

#[test]
fn an_event_from_before_a_write_does_not_take_the_write_away() {
    let sight = watching(Scope::All, Keeps::Objects, &[job("one", 1, "")]);
    sight.written(&job("one", 5, "Running"));
    show(&sight, &Scope::All, &job("one", 3, "Pending"));
    assert_eq!(
        get(&sight, "one"),
        Sighting::Known(Some(job("one", 5, "Running")))
    );
    show(&sight, &Scope::All, &job("one", 6, "Running"));
    assert_eq!(
        get(&sight, "one"),
        Sighting::Known(Some(job("one", 6, "Running")))
    );
}

#[test]
fn what_was_created_while_it_was_listed_is_not_forgotten() {
    let sight = watching(Scope::All, Keeps::Objects, &[job("one", 1, "")]);
    sight.lists(&jobs(), &Scope::All);
    sight.written(&job("two", 2, ""));
    sight.listed(&jobs(), &Scope::All);
    assert_eq!(get(&sight, "two"), Sighting::Known(Some(job("two", 2, ""))));
    assert_eq!(
        get(&sight, "one"),
        Sighting::Known(None),
        "the list did not show it"
    );
}

#[test]
fn a_job_that_this_process_ended_is_asked_for_until_the_watch_lets_it_go() {
    let sight = watching(Scope::Live, Keeps::Objects, &[job("one", 1, "Running")]);
    sight.written(&job("one", 5, "Succeeded"));
    assert!(asks(&get(&sight, "one")));
    show(&sight, &Scope::Live, &job("one", 4, "Running"));
    assert!(asks(&get(&sight, "one")), "that is from before it ended");
    assert_eq!(sight.live(&jobs(), "a"), Some(vec![]));
    gone(&sight, &Scope::Live, &job("one", 5, "Succeeded"));
    assert!(asks(&get(&sight, "one")), "absence here is not absence");
}

#[test]
fn what_this_process_deleted_is_asked_for_until_a_watch_tells() {
    let sight = watching(Scope::All, Keeps::Objects, &[job("one", 1, "")]);
    sight.deleted(&target("one"));
    assert!(asks(&get(&sight, "one")));
    show(&sight, &Scope::All, &job("one", 1, ""));
    assert!(
        asks(&get(&sight, "one")),
        "that is from before the deletion"
    );
    let mut ending = job("one", 2, "");
    ending["metadata"]["deletionTimestamp"] = json!("2026-11-25T00:00:00Z");
    show(&sight, &Scope::All, &ending);
    assert_eq!(get(&sight, "one"), Sighting::Known(Some(ending.clone())));
    gone(&sight, &Scope::All, &ending);
    assert_eq!(get(&sight, "one"), Sighting::Known(None));
}

#[test]
fn an_object_that_took_a_deleted_ones_name_is_known() {
    let sight = watching(Scope::All, Keeps::Objects, &[job("one", 1, "")]);
    sight.deleted(&target("one"));
    let mut another = job("one", 4, "");
    another["metadata"]["uid"] = json!("another");
    show(&sight, &Scope::All, &another);
    assert_eq!(get(&sight, "one"), Sighting::Known(Some(another)));
}

#[test]
fn a_watch_by_label_answers_for_what_it_sees_and_lists_by_job() {
    let mut made = job("made", 1, "");
    made["metadata"]["labels"] = json!({ "backups.cozystack.io/owned-by.UID": "u" });
    let sight = watching(Scope::Labelled, Keeps::Objects, &[made.clone()]);
    assert_eq!(get(&sight, "made"), Sighting::Known(Some(made.clone())));
    assert!(asks(&get(&sight, "other")));
    let of_job = selector(&[("backups.cozystack.io/owned-by.UID", "u")]);
    assert_eq!(
        sight.list(&Account::Host, &of_job),
        Sighting::Known(vec![made])
    );
    assert!(asks(&sight.list(&Account::Host, &selector(&[]))));
}

#[test]
fn names_answer_absence_only() {
    let sight = watching(Scope::All, Keeps::Names, &[job("one", 1, "")]);
    assert!(asks(&get(&sight, "one")));
    assert_eq!(get(&sight, "two"), Sighting::Known(None));
}

/// What the API server says, kept.
fn learn(sight: &Sight, name: &str, answer: Option<Value>) {
    let Sighting::Ask(Some(ticket)) = get(sight, name) else {
        panic!("there is no ticket for {name}")
    };
    sight.learned(&jobs(), ticket, &answer);
}

#[test]
fn what_was_read_once_is_kept_until_it_changes() {
    let sight = watching(Scope::All, Keeps::Nothing, &[]);
    learn(&sight, "one", Some(job("one", 3, "")));
    learn(&sight, "two", None);
    assert_eq!(get(&sight, "one"), Sighting::Known(Some(job("one", 3, ""))));
    assert_eq!(get(&sight, "two"), Sighting::Known(None));
    show(&sight, &Scope::All, &job("one", 3, ""));
    assert!(!asks(&get(&sight, "one")), "that version is the known one");
    show(&sight, &Scope::All, &job("one", 4, ""));
    assert!(asks(&get(&sight, "one")));
    show(&sight, &Scope::All, &job("two", 5, ""));
    assert!(asks(&get(&sight, "two")), "it is there now");
}

#[test]
fn an_answer_that_changed_while_it_was_on_its_way_is_not_kept() {
    let sight = watching(Scope::All, Keeps::Nothing, &[]);
    let Sighting::Ask(Some(ticket)) = get(&sight, "one") else {
        panic!("there is no ticket")
    };
    show(&sight, &Scope::All, &job("one", 4, ""));
    sight.learned(&jobs(), ticket, &Some(job("one", 3, "")));
    assert!(asks(&get(&sight, "one")));
}

#[test]
fn nothing_is_kept_while_no_watch_tells_of_changes() {
    let sight = watching(Scope::All, Keeps::Nothing, &[]);
    learn(&sight, "one", None);
    sight.lists(&jobs(), &Scope::All);
    assert_eq!(get(&sight, "one"), Sighting::Ask(None));
    sight.listed(&jobs(), &Scope::All);
    learn(&sight, "one", None);
    sight.lost(&jobs(), &Scope::All);
    assert_eq!(get(&sight, "one"), Sighting::Ask(None));
}

fn labelled(name: &str, version: u64, colour: &str) -> Value {
    let mut object = job(name, version, "");
    object["metadata"]["labels"] = json!({ "colour": colour });
    object
}

#[test]
fn a_list_is_kept_until_one_of_it_changes_joins_or_leaves() {
    let red = selector(&[("colour", "red")]);
    let known = |sight: &Sight| !asks(&sight.list(&Account::Host, &red));
    let fresh = || {
        let sight = watching(Scope::All, Keeps::Nothing, &[]);
        let Sighting::Ask(Some(ticket)) = sight.list(&Account::Host, &red) else {
            panic!("there is no ticket")
        };
        sight.learned_all(&jobs(), ticket, &[labelled("one", 1, "red")]);
        assert!(known(&sight));
        sight
    };
    let sight = fresh();
    show(&sight, &Scope::All, &labelled("two", 2, "blue"));
    assert!(known(&sight), "that one is no business of the list");
    show(&sight, &Scope::All, &labelled("two", 3, "red"));
    assert!(!known(&sight), "one joins");
    let sight = fresh();
    show(&sight, &Scope::All, &labelled("one", 2, "blue"));
    assert!(!known(&sight), "one leaves");
    let sight = fresh();
    gone(&sight, &Scope::All, &labelled("one", 2, "red"));
    assert!(!known(&sight), "one is gone");
    let sight = fresh();
    sight.written(&labelled("two", 2, "red"));
    let two = vec![labelled("one", 1, "red"), labelled("two", 2, "red")];
    assert_eq!(sight.list(&Account::Host, &red), Sighting::Known(two));
    sight.deleted(&target("two"));
    assert!(!known(&sight), "this process deleted one");
}

#[test]
fn accounts_see_what_their_own_watches_show() {
    let sight = watching(Scope::All, Keeps::Objects, &[job("one", 1, "")]);
    let other = Account::Strategy {
        namespace: "host".to_owned(),
        name: "strategy".to_owned(),
    };
    assert!(asks(&sight.get(&other, &target("one"))));
}
