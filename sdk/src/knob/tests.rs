use serde::Deserialize;

use super::*;
use crate::Stop;

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "build", derive(schemars::JsonSchema))]
struct Spec {
    #[allow(dead_code, reason = "only read")]
    template: Template,
}

#[derive(Debug, Deserialize)]
#[cfg_attr(feature = "build", derive(schemars::JsonSchema))]
#[allow(dead_code, reason = "only read")]
struct Template {
    /// URL of the service. When absent: the platform's.
    endpoint: Option<String>,
    /// How many at a time.
    #[cfg_attr(feature = "build", schemars(range(min = 1)))]
    jobs: Option<u32>,
    /// Whether it is so.
    secure: Option<bool>,
    /// What is dumped.
    databases: Option<Vec<String>>,
    volume: Option<Value>,
    colour: Option<Colour>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
#[cfg_attr(feature = "build", derive(schemars::JsonSchema))]
enum Colour {
    Red,
}

const WORD: Rule = Rule::new(|text| !text.contains(' '), "is one word");

const KNOBS: Knobs = Knobs {
    all: &[
        knob("endpoint").ruled(Rule::URL),
        knob("jobs"),
        knob("secure"),
        knob("databases").ruled(WORD),
        knob("volume.size")
            .only_in("/template/volume")
            .about("Size of the volume."),
        knob("colour"),
    ],
    forms: &[Form::Text, Form::Number, Form::Flag, Form::List],
};

fn class(parameters: &[(&str, &str)]) -> Vec<Entry> {
    let entry = |(key, value): &(&str, &str)| Entry {
        key: (*key).into(),
        value: (*value).into(),
    };
    parameters.iter().map(entry).collect()
}

fn settings(spec: &Value, parameters: &[(&str, &str)]) -> Outcome<Value> {
    KNOBS.settings(&spec.to_string(), &class(parameters))
}

fn problems(spec: &Value, parameters: &[(&str, &str)]) -> Vec<(String, String)> {
    let problems = KNOBS.problems::<Spec>(&spec.to_string(), &class(parameters));
    let told = |problem: Problem| (problem.path, problem.message);
    problems.into_iter().map(told).collect()
}

fn told(path: &str, message: &str) -> (String, String) {
    (path.into(), message.into())
}

#[test]
fn a_parameter_wins_over_the_setting_in_the_form_that_the_setting_has() {
    let own = json!({ "template": { "endpoint": "https://a", "jobs": 1, "databases": ["a"] } });
    let said = [
        ("endpoint", "https://b"),
        ("jobs", "2"),
        ("secure", "false"),
        ("databases", "b, c,"),
        ("for-a-template", "x"),
    ];
    let wanted = json!({ "template": {
        "databases": ["b", "c"], "endpoint": "https://b", "jobs": 2, "secure": false,
    } });
    assert_eq!(settings(&own, &said), Ok(wanted));
    let nothing = [("endpoint", ""), ("databases", " , "), ("jobs", "")];
    assert_eq!(settings(&own, &nothing), Ok(own));
}

#[test]
fn a_parameter_about_a_part_that_the_strategy_does_not_have_is_passed_over() {
    let without = json!({ "template": {} });
    assert_eq!(settings(&without, &[("volume.size", "1Gi")]), Ok(without));
    let with = json!({ "template": { "volume": { "class": "fast" } } });
    let wanted = json!({ "template": { "volume": { "class": "fast", "size": "1Gi" } } });
    assert_eq!(settings(&with, &[("volume.size", "1Gi")]), Ok(wanted));
}

#[test]
fn what_is_not_there_is_made_and_what_is_in_the_way_stays() {
    let made = json!({ "template": { "jobs": 3 } });
    assert_eq!(settings(&json!({}), &[("jobs", "3")]), Ok(made));
    let odd = json!({ "template": [1] });
    assert_eq!(settings(&odd, &[("jobs", "3")]), Ok(odd));
}

#[test]
fn templates_and_what_is_empty_are_not_judged() {
    let own = json!({ "template": { "endpoint": "{{ .Storage.endpoint }}", "databases": ["", "{{ a b }}"] } });
    assert_eq!(problems(&own, &[("endpoint", "")]), []);
}

#[test]
fn problems_name_the_setting_or_the_parameter() {
    let own = json!({ "template": { "endpoint": "s3.example.org", "databases": ["a", "b c"] } });
    assert_eq!(
        problems(&own, &[("endpoint", "s3"), ("databases", "d e, f g")]),
        [
            told("/spec/template/endpoint", "begins with https:// or http://"),
            told("/spec/template/databases/1", "is one word"),
            told("/parameters/endpoint", "begins with https:// or http://"),
            told("/parameters/databases", "is one word"),
        ]
    );
    let own = json!({ "template": {} });
    assert_eq!(
        problems(&own, &[("jobs", "two"), ("secure", "maybe")]),
        [
            told(
                "/parameters/jobs",
                "\"two\" where a whole number is expected"
            ),
            told(
                "/parameters/secure",
                "\"maybe\" where `true` or `false` is expected"
            ),
        ]
    );
    assert_eq!(
        problems(&own, &[("jobs", "-1")]),
        [told("/parameters/jobs", "`-1` where u32 is expected")]
    );
    assert_eq!(
        problems(&own, &[("colour", "blue")]),
        [told(
            "/parameters/colour",
            "unknown variant `blue`, expected `red`"
        )]
    );
}

#[test]
fn what_a_template_made_of_itself_is_held_to_the_rule_once_more() {
    let failure = |spec: &Value, parameters: &[(&str, &str)]| match settings(spec, parameters) {
        Err(Stop::Fail(failure)) => format!("{}: {}", failure.reason, failure.message),
        other => format!("{other:?}"),
    };
    assert_eq!(
        failure(&json!({ "template": { "endpoint": "s3" } }), &[]),
        "InvalidSpec: the strategy's spec: template.endpoint: begins with https:// or http://"
    );
    assert_eq!(
        failure(&json!({}), &[("databases", "a b")]),
        "InvalidParameters: the BackupClass's parameters: databases: is one word"
    );
    assert_eq!(
        failure(&json!({}), &[("jobs", "two")]),
        "InvalidParameters: the BackupClass's parameters: jobs: \"two\" where a whole number is expected"
    );
}

#[test]
fn settings_that_cannot_be_read_are_told_of_whoever_set_them() {
    let failure = |spec: &Value, parameters: &[(&str, &str)]| {
        let parameters = class(parameters);
        let settings = KNOBS.settings(&spec.to_string(), &parameters).unwrap();
        let misfit = read_value::<Spec>(&settings).unwrap_err();
        match KNOBS.unreadable::<()>(&misfit, &settings, &parameters) {
            Err(Stop::Fail(failure)) => format!("{}: {}", failure.reason, failure.message),
            other => format!("{other:?}"),
        }
    };
    let blue = "unknown variant `blue`, expected `red`";
    assert_eq!(
        failure(&json!({ "template": { "colour": "blue" } }), &[]),
        format!("InvalidSpec: the strategy's spec: template.colour: {blue}")
    );
    assert_eq!(
        failure(&json!({}), &[("colour", "blue")]),
        format!("InvalidParameters: the BackupClass's parameters: colour: {blue}")
    );
}
