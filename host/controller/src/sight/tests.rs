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

const WHOLE: View = View {
    namespace: None,
    scope: Scope::All,
    keeps: Keeps::Objects,
};
const NAMES: View = View {
    namespace: None,
    scope: Scope::All,
    keeps: Keeps::Names,
};
const LIVE: View = View {
    namespace: None,
    scope: Scope::Live,
    keeps: Keeps::Objects,
};
const LABELLED: View = View {
    namespace: None,
    scope: Scope::Labelled,
    keeps: Keeps::Objects,
};

/// A watch that has listed these.
fn watching(view: &View, objects: &[Value]) -> Sight {
    let sight = Sight::default();
    sight.begin(&jobs(), view);
    list(&sight, view, objects);
    sight
}

fn list(sight: &Sight, view: &View, objects: &[Value]) {
    sight.lists(&jobs(), view);
    for object in objects {
        show(sight, view, object);
    }
    sight.listed(&jobs(), view);
}

fn show(sight: &Sight, view: &View, object: &Value) -> bool {
    let is_gone = false;
    sight.saw(&jobs(), view, Seen { object, is_gone })
}

fn gone(sight: &Sight, view: &View, object: &Value) {
    let is_gone = true;
    sight.saw(&jobs(), view, Seen { object, is_gone });
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
    sight.begin(&jobs(), &WHOLE);
    sight.lists(&jobs(), &WHOLE);
    show(&sight, &WHOLE, &job("one", 1, ""));
    assert!(asks(&get(&sight, "one")), "it has not listed everything");
    sight.listed(&jobs(), &WHOLE);
    assert_eq!(get(&sight, "one"), Sighting::Known(Some(job("one", 1, ""))));
    assert_eq!(get(&sight, "two"), Sighting::Known(None));
    sight.lost(&jobs(), &WHOLE);
    assert!(asks(&get(&sight, "one")), "changes may be missed");
}

#[test]
fn an_event_from_before_a_write_does_not_take_the_write_away() {
    let sight = watching(&WHOLE, &[job("one", 1, "")]);
    sight.written(&job("one", 5, "Running"));
    let is_news = show(&sight, &WHOLE, &job("one", 3, "Pending"));
    assert!(!is_news);
    assert_eq!(
        get(&sight, "one"),
        Sighting::Known(Some(job("one", 5, "Running")))
    );
    let is_news = show(&sight, &WHOLE, &job("one", 6, "Running"));
    assert!(is_news);
    assert_eq!(
        get(&sight, "one"),
        Sighting::Known(Some(job("one", 6, "Running")))
    );
}

#[test]
fn a_write_whose_answer_comes_behind_the_deletion_brings_nothing_back() {
    for version in [2, 3] {
        let sight = watching(&LIVE, &[job("one", 1, "Running")]);
        gone(&sight, &LIVE, &job("one", 3, "Running"));
        sight.written(&job("one", version, "Running"));
        let live = sight.live(&jobs(), None);
        assert_eq!(live.map(|live| live.len()), Some(0));
    }
}

#[test]
fn what_was_created_while_it_was_listed_is_not_forgotten() {
    let sight = watching(&WHOLE, &[job("one", 1, "")]);
    sight.lists(&jobs(), &WHOLE);
    sight.written(&job("two", 2, ""));
    sight.listed(&jobs(), &WHOLE);
    assert_eq!(get(&sight, "two"), Sighting::Known(Some(job("two", 2, ""))));
    assert_eq!(
        get(&sight, "one"),
        Sighting::Known(None),
        "the list did not show it"
    );
}

#[test]
fn a_job_that_this_process_ended_is_asked_for_until_the_watch_lets_it_go() {
    let sight = watching(&LIVE, &[job("one", 1, "Running")]);
    sight.written(&job("one", 5, "Succeeded"));
    assert!(asks(&get(&sight, "one")));
    show(&sight, &LIVE, &job("one", 4, "Running"));
    assert!(asks(&get(&sight, "one")), "that is from before it ended");
    assert_eq!(sight.live(&jobs(), Some("a")), Some(vec![]));
    gone(&sight, &LIVE, &job("one", 5, "Succeeded"));
    assert!(asks(&get(&sight, "one")), "absence here is not absence");
}

#[test]
fn what_this_process_deleted_is_asked_for_until_a_watch_tells() {
    let sight = watching(&WHOLE, &[job("one", 1, "")]);
    sight.deleted(&target("one"));
    assert!(asks(&get(&sight, "one")));
    show(&sight, &WHOLE, &job("one", 1, ""));
    assert!(
        asks(&get(&sight, "one")),
        "that is from before the deletion"
    );
    let mut ending = job("one", 2, "");
    ending["metadata"]["deletionTimestamp"] = json!("2026-11-25T00:00:00Z");
    show(&sight, &WHOLE, &ending);
    assert_eq!(get(&sight, "one"), Sighting::Known(Some(ending.clone())));
    gone(&sight, &WHOLE, &ending);
    assert_eq!(get(&sight, "one"), Sighting::Known(None));
}

#[test]
fn an_object_that_took_a_deleted_ones_name_is_known() {
    let sight = watching(&WHOLE, &[job("one", 1, "")]);
    sight.deleted(&target("one"));
    let mut another = job("one", 4, "");
    another["metadata"]["uid"] = json!("another");
    show(&sight, &WHOLE, &another);
    assert_eq!(get(&sight, "one"), Sighting::Known(Some(another)));
}

#[test]
fn a_watch_by_label_answers_for_what_it_sees_and_lists_by_job() {
    let mut made = job("made", 1, "");
    made["metadata"]["labels"] = json!({ "backups.cozystack.io/owned-by.UID": "u" });
    let sight = watching(&LABELLED, &[made.clone()]);
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
    let sight = watching(&NAMES, &[job("one", 1, "")]);
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
    let sight = watching(&NAMES, &[]);
    show(&sight, &NAMES, &job("one", 3, ""));
    learn(&sight, "one", Some(job("one", 3, "")));
    assert_eq!(get(&sight, "one"), Sighting::Known(Some(job("one", 3, ""))));
    assert_eq!(get(&sight, "two"), Sighting::Known(None));
    show(&sight, &NAMES, &job("one", 3, ""));
    assert!(!asks(&get(&sight, "one")), "that version is the known one");
    show(&sight, &NAMES, &job("one", 4, ""));
    assert!(asks(&get(&sight, "one")));
    show(&sight, &NAMES, &job("two", 5, ""));
    assert!(asks(&get(&sight, "two")), "it is there now");
}

#[test]
fn an_answer_that_changed_while_it_was_on_its_way_is_not_kept() {
    let sight = watching(&NAMES, &[job("one", 3, "")]);
    let Sighting::Ask(Some(ticket)) = get(&sight, "one") else {
        panic!("there is no ticket")
    };
    show(&sight, &NAMES, &job("one", 4, ""));
    sight.learned(&jobs(), ticket, &Some(job("one", 3, "")));
    assert!(asks(&get(&sight, "one")));
}

#[test]
fn nothing_is_kept_while_no_watch_tells_of_changes() {
    let one = job("one", 3, "");
    let sight = watching(&NAMES, std::slice::from_ref(&one));
    learn(&sight, "one", Some(one.clone()));
    sight.lists(&jobs(), &NAMES);
    assert_eq!(get(&sight, "one"), Sighting::Ask(None));
    show(&sight, &NAMES, &one);
    sight.listed(&jobs(), &NAMES);
    learn(&sight, "one", Some(one));
    sight.lost(&jobs(), &NAMES);
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
        let sight = watching(&NAMES, &[]);
        let Sighting::Ask(Some(ticket)) = sight.list(&Account::Host, &red) else {
            panic!("there is no ticket")
        };
        sight.learned_all(&jobs(), ticket, &[labelled("one", 1, "red")]);
        assert!(known(&sight));
        sight
    };
    let sight = fresh();
    show(&sight, &NAMES, &labelled("two", 2, "blue"));
    assert!(known(&sight), "that one is no business of the list");
    show(&sight, &NAMES, &labelled("two", 3, "red"));
    assert!(!known(&sight), "one joins");
    let sight = fresh();
    show(&sight, &NAMES, &labelled("one", 2, "blue"));
    assert!(!known(&sight), "one leaves");
    let sight = fresh();
    gone(&sight, &NAMES, &labelled("one", 2, "red"));
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
    let sight = watching(&WHOLE, &[job("one", 1, "")]);
    let other = Account::Strategy {
        namespace: "host".to_owned(),
        name: "strategy".to_owned(),
    };
    assert!(asks(&sight.get(&other, &target("one"))));
}

#[test]
fn two_watches_of_a_kind_are_kept_apart() {
    let sight = watching(&NAMES, &[job("one", 1, "Running")]);
    sight.begin(&jobs(), &WHOLE);
    let mut metadata = job("one", 2, "");
    metadata.as_object_mut().unwrap().remove("status");
    list(&sight, &WHOLE, &[job("one", 1, "Running")]);
    show(&sight, &NAMES, &metadata);
    assert_eq!(
        get(&sight, "one"),
        Sighting::Known(Some(job("one", 1, "Running"))),
        "metadata of one watch is no object of the other"
    );
}

fn first(sight: &Sight) -> Option<Option<ObjectRef>> {
    sight.first(&Account::Host, &selector(&[]))
}

#[test]
fn the_first_of_a_namespace_is_told_from_names_alone() {
    let mut elsewhere = job("one", 1, "");
    elsewhere["metadata"]["namespace"] = json!("b");
    for view in [&WHOLE, &NAMES] {
        let sight = watching(view, &[elsewhere.clone()]);
        assert_eq!(first(&sight), Some(None));
        show(&sight, view, &job("two", 2, ""));
        assert_eq!(first(&sight), Some(Some(target("two"))));
        sight.lost(&jobs(), view);
        assert_eq!(first(&sight), None, "changes may be missed");
    }
    for view in [&LIVE, &LABELLED] {
        assert_eq!(first(&watching(view, &[])), None, "it does not see all");
    }
}

#[test]
fn of_one_that_was_deleted_it_is_not_sure_until_the_watch_tells() {
    let sight = watching(&NAMES, &[job("one", 1, "")]);
    sight.deleted(&target("one"));
    assert_eq!(first(&sight), None);
    show(&sight, &NAMES, &job("two", 2, ""));
    assert_eq!(first(&sight), Some(Some(target("two"))));
    gone(&sight, &NAMES, &job("two", 3, ""));
    gone(&sight, &NAMES, &job("one", 4, ""));
    assert_eq!(first(&sight), Some(None));
}

/// The same view of one namespace.
fn within(namespace: &str, view: &View) -> View {
    View {
        namespace: Some(namespace.to_owned()),
        ..view.clone()
    }
}

#[test]
fn a_watch_of_one_namespace_answers_for_no_other() {
    for view in [&WHOLE, &NAMES] {
        let own = watching(&within("a", view), &[]);
        assert_eq!(get(&own, "one"), Sighting::Known(None));
        assert_eq!(first(&own), Some(None));
        let other = watching(&within("b", view), &[]);
        assert!(asks(&get(&other, "one")));
        assert_eq!(first(&other), None);
        let mut everywhere = selector(&[]);
        everywhere.namespace = None;
        assert!(asks(&own.list(&Account::Host, &everywhere)));
        assert_eq!(own.first(&Account::Host, &everywhere), None);
    }
    let labelled = watching(&within("b", &LABELLED), &[]);
    assert!(asks(&labelled.list(
        &Account::Host,
        &selector(&[(backup_api::names::OWNED_BY_UID, "1")])
    )));
}

#[test]
fn what_was_read_once_is_kept_only_where_a_watch_tells_of_changes() {
    let view = within("b", &NAMES);
    let sight = watching(&view, &[]);
    assert_eq!(get(&sight, "one"), Sighting::Ask(None));
    let mut elsewhere = target("one");
    elsewhere.namespace = Some("b".to_owned());
    show(&sight, &view, &{
        let mut one = job("one", 1, "");
        one["metadata"]["namespace"] = json!("b");
        one
    });
    let asked = sight.get(&Account::Host, &elsewhere);
    assert!(matches!(asked, Sighting::Ask(Some(_))), "{asked:?}");
    // Another watch that begins anew takes nothing away from this one.
    let other = within("a", &NAMES);
    sight.begin(&jobs(), &other);
    sight.lists(&jobs(), &other);
    let asked = sight.get(&Account::Host, &elsewhere);
    assert!(matches!(asked, Sighting::Ask(Some(_))), "{asked:?}");
    sight.lost(&jobs(), &view);
    assert_eq!(
        sight.get(&Account::Host, &elsewhere),
        Sighting::Ask(None),
        "changes may be missed"
    );
}
