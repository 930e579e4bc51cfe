//! Random requests. They are few names and few fields, so that they meet.

use backup_engine::cluster::Part;
use backup_sandbox::contract::Propagation;
use proptest::{option, prelude::*, sample::select, sample::subsequence};
use serde_json::{Map, Value, json};

use crate::kinds::Kind;

/// Which object a precondition is about. What that is in each cluster is known when the request is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// The one that is there; of none, another.
    Current,
    /// None that ever was.
    Another,
}

/// What must hold for a request to be carried out.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Preconditions {
    pub(crate) uid: Option<Which>,
    pub(crate) version: Option<Which>,
}

/// A request.
#[derive(Clone, Debug)]
pub(crate) enum Operation {
    Create {
        kind: Kind,
        name: &'static str,
        body: Value,
        dry_run: bool,
    },
    Apply {
        kind: Kind,
        name: &'static str,
        manager: &'static str,
        body: Value,
        part: Part,
        only: Preconditions,
    },
    Merge {
        kind: Kind,
        name: &'static str,
        manager: &'static str,
        patch: Value,
        part: Part,
        only: Preconditions,
    },
    Delete {
        kind: Kind,
        name: &'static str,
        propagation: Option<Propagation>,
        only: Preconditions,
    },
    List {
        kind: Kind,
        team: Option<&'static str>,
    },
}

const NAMES: [&str; 2] = ["first", "second"];
const MANAGERS: [&str; 2] = ["alice", "bob"];

/// A row of requests on an empty namespace.
pub(crate) fn operations(length: usize) -> impl Strategy<Value = Vec<Operation>> {
    prop::collection::vec(operation(), 1..=length)
}

fn operation() -> impl Strategy<Value = Operation> {
    let place = || (select(Kind::ALL.to_vec()), select(NAMES.to_vec()));
    // Widgets are the ones with most to get wrong.
    let place = move || {
        prop_oneof![
            2 => select(NAMES.to_vec()).prop_map(|name| (Kind::Widget, name)),
            3 => place(),
        ]
    };
    let manager = || select(MANAGERS.to_vec());
    let create = (place(), any::<bool>()).prop_flat_map(|((kind, name), dry_run)| {
        body(kind, Part::Main).prop_map(move |body| Operation::Create {
            kind,
            name,
            body,
            dry_run,
        })
    });
    let apply = (place(), manager(), part(), only()).prop_flat_map(
        |((kind, name), manager, part, only)| {
            body(kind, part).prop_map(move |body| Operation::Apply {
                kind,
                name,
                manager,
                body,
                part,
                only,
            })
        },
    );
    let merge = (place(), manager(), part(), only()).prop_flat_map(
        |((kind, name), manager, part, only)| {
            patch(kind, part).prop_map(move |patch| Operation::Merge {
                kind,
                name,
                manager,
                patch,
                part,
                only,
            })
        },
    );
    let ways = [
        Propagation::Background,
        Propagation::Foreground,
        Propagation::Orphan,
    ];
    let delete = (place(), option::of(select(ways.to_vec())), only()).prop_map(
        |((kind, name), propagation, only)| Operation::Delete {
            kind,
            name,
            propagation,
            only,
        },
    );
    let list = (
        select(Kind::ALL.to_vec()),
        option::of(select(vec!["red", "blue"])),
    )
        .prop_map(|(kind, team)| Operation::List { kind, team });
    prop_oneof![3 => create, 5 => apply, 4 => merge, 2 => delete, 1 => list]
}

fn part() -> impl Strategy<Value = Part> {
    prop_oneof![3 => Just(Part::Main), 1 => Just(Part::Status)]
}

fn only() -> impl Strategy<Value = Preconditions> {
    let which = || {
        prop_oneof![
            6 => Just(None),
            2 => Just(Some(Which::Current)),
            1 => Just(Some(Which::Another)),
        ]
    };
    (which(), which()).prop_map(|(uid, version)| Preconditions { uid, version })
}

/// A value of each of some of the fields.
fn fields(pool: Vec<(&'static str, Vec<Value>)>) -> impl Strategy<Value = Value> {
    let most = pool.len().min(4);
    subsequence(pool, 0..=most).prop_flat_map(|chosen| {
        chosen
            .into_iter()
            .map(|(field, values)| select(values).prop_map(move |value| (field.to_owned(), value)))
            .collect::<Vec<_>>()
            .prop_map(|members| Value::Object(Map::from_iter(members)))
    })
}

/// What an object says, but for its kind, namespace and name.
fn body(kind: Kind, part: Part) -> BoxedStrategy<Value> {
    (metadata(false), content(kind, part, false))
        .prop_map(together)
        .boxed()
}

/// A merge patch: as a body, with nulls that remove.
fn patch(kind: Kind, part: Part) -> BoxedStrategy<Value> {
    (metadata(true), content(kind, part, true))
        .prop_map(together)
        .boxed()
}

fn together((metadata, mut content): (Value, Value)) -> Value {
    if metadata != json!({}) {
        content["metadata"] = metadata;
    }
    content
}

fn removable(pool: &mut [(&'static str, Vec<Value>)], nulls: bool) {
    if nulls {
        for (_, values) in pool {
            values.push(Value::Null);
        }
    }
}

fn metadata(nulls: bool) -> impl Strategy<Value = Value> {
    let owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "11111111-2222-3333-4444-555555555555" });
    let mut pool = vec![
        (
            "labels",
            vec![
                json!({ "team": "red" }),
                json!({ "team": "blue", "tier": "x" }),
                json!({ "tier": "bad value" }),
            ],
        ),
        (
            "annotations",
            vec![json!({ "a": "1" }), json!({ "b": "2" }), json!({})],
        ),
        (
            "finalizers",
            vec![
                json!(["example.com/hold"]),
                json!(["example.com/hold", "example.com/wait"]),
                json!([]),
            ],
        ),
        ("ownerReferences", vec![json!([owner])]),
        ("misspelt", vec![json!("x")]),
    ];
    removable(&mut pool, nulls);
    // Most objects are plain.
    prop_oneof![2 => Just(json!({})), 3 => fields(pool)]
}

fn content(kind: Kind, part: Part, nulls: bool) -> BoxedStrategy<Value> {
    match (kind, part) {
        (Kind::Widget, _) => {
            let spec = within("spec", widget_spec(nulls));
            let status = within("status", widget_status(nulls));
            match part {
                Part::Main => prop_oneof![12 => spec, 1 => status].boxed(),
                Part::Status => prop_oneof![6 => status, 1 => spec].boxed(),
            }
        }
        (Kind::Note, _) => {
            let mut pool = vec![
                (
                    "content",
                    vec![
                        json!(1),
                        json!("text"),
                        json!({ "a": 1, "b": [1, 2] }),
                        json!({ "a": { "c": 2 } }),
                        json!({ "a": {} }),
                        json!({}),
                    ],
                ),
                ("status", vec![json!({ "phase": "Done" })]),
            ];
            removable(&mut pool, nulls);
            fields(pool).boxed()
        }
        (Kind::ConfigMap, _) => {
            let mut pool = vec![
                (
                    "data",
                    vec![
                        json!({ "a": "1" }),
                        json!({ "a": "2", "b": "1" }),
                        json!({}),
                    ],
                ),
                ("binaryData", vec![json!({ "c": "AAAA" })]),
            ];
            removable(&mut pool, nulls);
            fields(pool).boxed()
        }
        (Kind::Secret, _) => {
            let mut pool = vec![
                (
                    "data",
                    vec![json!({ "a": "AAAA" }), json!({ "a": "QUJD", "b": "AAAA" })],
                ),
                ("stringData", vec![json!({ "a": "text" })]),
                ("type", vec![json!("Opaque"), json!("example.com/own")]),
            ];
            removable(&mut pool, nulls);
            fields(pool).boxed()
        }
    }
}

fn within(
    field: &'static str,
    values: impl Strategy<Value = Value> + 'static,
) -> BoxedStrategy<Value> {
    values
        .prop_map(move |value| json!({ field: value }))
        .boxed()
}

fn widget_spec(nulls: bool) -> impl Strategy<Value = Value> {
    let mut pool = vec![
        ("size", vec![json!(1), json!(3), json!(11), json!("x")]),
        ("colour", vec![json!("red"), json!("blue"), json!("green")]),
        ("mode", vec![json!("fast"), json!("slow")]),
        ("note", vec![json!("n"), Value::Null]),
        (
            "tags",
            vec![json!(["a"]), json!(["b", "a"]), json!(["a", "a"])],
        ),
        ("list", vec![json!(["x", "y"]), json!(["y"]), json!([])]),
        (
            "parts",
            vec![
                json!([{ "name": "a", "weight": 1 }]),
                json!([{ "name": "b" }, { "name": "a", "grade": "fine" }]),
                json!([{ "weight": 2 }]),
                json!([]),
                json!([{ "name": "a", "wieght": 1 }]),
            ],
        ),
        ("whole", vec![json!({ "k": "v" }), json!({ "l": "w" })]),
        (
            "map",
            vec![json!({ "k": "v" }), json!({ "l": "w" }), json!({})],
        ),
        (
            "free",
            vec![
                json!({ "any": [1, { "b": null }] }),
                json!({ "other": { "d": 1.5 } }),
            ],
        ),
    ];
    removable(&mut pool, nulls);
    fields(pool)
}

fn widget_status(nulls: bool) -> impl Strategy<Value = Value> {
    let mut pool = vec![
        ("phase", vec![json!("Running"), json!("Done"), json!(1)]),
        ("count", vec![json!(0), json!(7)]),
        ("misspelt", vec![json!({ "a": 1 })]),
        (
            "conditions",
            vec![
                json!([{ "type": "Ready", "status": "True" }]),
                json!([{ "type": "Done" }, { "type": "Ready", "status": "False" }]),
            ],
        ),
    ];
    removable(&mut pool, nulls);
    fields(pool)
}
