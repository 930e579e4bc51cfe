//! What a strategy's author meets: absent values, errors that say where, documents that are kept.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use backup_templates::{Data, Document, Missing, Numbers, Position};
use serde_json::{Value as Json, json};

fn data() -> Data {
    let data = json!({
        "Parameters": { "bucket": "b1", "secret": "hunter2" },
        "Application": { "metadata": { "name": "pg" }, "spec": { "note": null, "size": 20971520, "list": [1, null] } },
    });
    Data::new(data, Numbers::Float).string_maps(["Parameters", "Backup.ApplicationRef"])
}

fn render(template: &str, missing: Missing) -> Result<String, String> {
    let document =
        Document::compile(&json!(template), missing).map_err(|errors| errors[0].to_string())?;
    let rendered = document
        .render(&data())
        .map_err(|error| error.to_string())?;
    Ok(rendered.as_str().unwrap().to_owned())
}

fn printed(template: &str) -> String {
    render(template, Missing::Print).unwrap()
}

fn refused(template: &str) -> String {
    render(template, Missing::Print).unwrap_err()
}

#[test]
fn printing_an_absent_value_names_what_is_absent() {
    assert_eq!(
        refused("a/{{ .Backup.ApplicationRef.Name }}"),
        "nothing to print: .Backup is absent (line 1, column 6)"
    );
    assert_eq!(
        refused("{{ .Parameters.region }}"),
        "nothing to print: .Parameters.region is absent (line 1, column 4)"
    );
    assert_eq!(
        refused("{{ .Application.spec.note }}"),
        "nothing to print: .Application.spec.note is null (line 1, column 4)"
    );
    assert_eq!(
        refused("{{ $a := .Application }}\n{{ $a.spec.x }}"),
        "nothing to print: $a.spec.x is absent (line 2, column 4)"
    );
    assert_eq!(
        refused(r#"{{ coalesce "" .x }}"#),
        "nothing to print: the result of coalesce is absent or null (line 1, column 4)"
    );
    assert_eq!(
        refused("{{ range .Application.spec.list }}{{ . }}{{ end }}"),
        "nothing to print: the dot is absent or null (line 1, column 38)"
    );
}

#[test]
fn absent_values_may_be_tested_defaulted_and_passed() {
    assert_eq!(
        printed("{{ if .Backup.ApplicationRef }}restore{{ else }}backup{{ end }}"),
        "backup"
    );
    assert_eq!(printed(r#"{{ .Parameters.region | default "eu" }}"#), "eu");
    assert_eq!(printed("{{ with .Backup }}{{ .Name }}{{ end }}"), "");
    assert_eq!(printed("{{ range .Backups }}x{{ end }}"), "");
    assert_eq!(printed("{{ $x := .nosuch }}{{ $x | empty }}"), "true");
    assert_eq!(printed("{{ .nosuch | toJson }}"), "null");
    assert_eq!(printed("[{{ .nosuch | quote }}]"), "[]");
    assert_eq!(printed(r#"[{{ index .Parameters "nosuch" }}]"#), "[]");
}

#[test]
fn markers_and_complaints_are_errors_by_default_and_text_in_go() {
    for (template, go) in [
        ("{{ .nosuch }}", "<no value>"),
        (r#"{{ printf "%s" .nosuch }}"#, "%!s(<nil>)"),
        (r#"{{ printf "%v" .nosuch }}"#, "<nil>"),
        (
            r#"{{ printf "%d" .Application.spec.size }}"#,
            "%!d(float64=2.097152e+07)",
        ),
        (r#"{{ printf "%s" "a" "b" }}"#, "a%!(EXTRA string=b)"),
        (r#"{{ printf "50%" }}"#, "50%!(NOVERB)"),
        ("{{ print .nosuch }}", "<nil>"),
        ("{{ html .nosuch }}", "&lt;no value&gt;"),
        ("{{ toString .nosuch }}", "<nil>"),
        (r#"{{ b64dec "!" }}"#, "illegal base64 data at input byte 0"),
        (r#"{{ dict .nosuch 1 }}"#, "map[<nil>:1]"),
    ] {
        assert_eq!(
            render(template, Missing::Go).as_deref(),
            Ok(go),
            "{template}"
        );
        refused(template);
    }
}

#[test]
fn no_error_shows_values_of_the_data() {
    for template in [
        "{{ .Parameters.secret.x }}",
        "{{ range .Parameters.secret }}{{ end }}",
        "{{ index .Parameters.secret \"x\" }}",
        "{{ len .Application.spec.size }}",
        "{{ trunc .Parameters.secret 1 }}",
        "{{ eq .Parameters.secret 1 }}",
        "{{ mustFromJson .Parameters.secret }}",
        "{{ mustRegexMatch (print \"(\" .Parameters.secret) \"x\" }}",
        "{{ printf \"%d\" .Parameters.secret }}",
        "{{ printf .Parameters.secret 1 }}",
        "{{ urlParse (print \"http://[\" .Parameters.secret) }}",
        "{{ urlJoin (dict \"host\" (list .Parameters.secret)) }}",
        "{{ .Parameters.secret | .Application }}",
        "{{ call .Parameters.secret }}",
        "{{ range $i, $x := int .Application.spec.size }}{{ end }}",
        "{{ range int .Application.spec.size }}{{ end }}",
    ] {
        let message = refused(template);
        assert!(
            !message.contains("hunter2") && !message.contains("20971520"),
            "{message}"
        );
    }
}

#[test]
fn compiling_reports_every_string_that_is_wrong() {
    let document = json!({
        "good": "{{ .Parameters.bucket }}",
        "a/b~c": ["x", { "y": "{{ if }}x{{ end }}" }],
        "script": "line\n  {{ now }}",
        "loose": "{{ if true }}x",
    });
    let errors = Document::compile(&document, Missing::Print).unwrap_err();
    let said: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        [
            "/a~1b~0c/1/y: empty command (line 1, column 9)",
            "/script: function \"now\" is not offered: it depends on the clock or the time zone (line 2, column 6)",
            "/loose: this {{ if }} has no {{ end }} (line 1, column 4)",
        ]
    );
    assert_eq!(errors[1].path, "/script");
    assert_eq!(errors[1].position, Some(Position { line: 2, column: 6 }));
}

#[test]
fn rendering_names_the_field_and_the_place() {
    let document = json!({ "bucket": "{{ .Parameters.bucket }}", "env": [{ "value": "x\ny {{ upper .nosuch }}" }] });
    let error = Document::compile(&document, Missing::Print)
        .unwrap()
        .render(&data())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "/env/0/value: upper: argument 1 must be a string, not an absent or null value (line 2, column 6)"
    );
}

#[test]
fn only_string_values_are_rendered_and_their_order_is_kept() {
    let document = json!({
        "z": "{{ .Application.metadata.name }}",
        "{{ key }}": 3,
        "a": [true, null, 1.5, "{{ .Parameters.bucket }}/x", "}} {"],
        "kept": { "deep": ["text"] },
    });
    let rendered = Document::compile(&document, Missing::Print)
        .unwrap()
        .render(&data())
        .unwrap();
    assert_eq!(
        serde_json::to_string(&rendered).unwrap(),
        r#"{"z":"pg","{{ key }}":3,"a":[true,null,1.5,"b1/x","}} {"],"kept":{"deep":["text"]}}"#
    );
}

#[test]
fn a_definition_is_seen_in_its_own_string_only() {
    let document = json!([
        "{{ define \"t\" }}1{{ end }}{{ template \"t\" }}",
        "{{ define \"t\" }}2{{ end }}{{ template \"t\" }}"
    ]);
    let rendered = Document::compile(&document, Missing::Print)
        .unwrap()
        .render(&data())
        .unwrap();
    assert_eq!(rendered, json!(["1", "2"]));

    let document = json!(["{{ define \"t\" }}1{{ end }}", "{{ template \"t\" }}"]);
    let errors = Document::compile(&document, Missing::Print).unwrap_err();
    assert_eq!(
        errors[0].to_string(),
        "/1: template \"t\" is not defined in this text (line 1, column 4)"
    );
}

#[test]
fn names_are_resolved_when_a_text_is_compiled() {
    for (template, reason) in [
        (
            "{{ if false }}{{ $x = 1 }}{{ end }}",
            "variable \"$x\" is not declared here",
        ),
        (
            "{{ range $i, $x := .l }}{{ else }}{{ $i }}{{ end }}",
            "not set in the else of its range",
        ),
        (
            "{{ define \"t\" }}{{ set . \"a\" 1 }}{{ end }}",
            "changes data that other templates see",
        ),
        ("{{ nosuch }}", "function \"nosuch\" does not exist"),
        ("{{ required \"x\" .x }}", "write {{ if empty .x }}"),
    ] {
        let errors = Document::compile(&json!(template), Missing::Print).unwrap_err();
        assert!(errors[0].message.contains(reason), "{}", errors[0]);
    }
    assert_eq!(
        refused("{{ .Application 1 }}"),
        "only functions take arguments (line 1, column 4)"
    );
}

#[test]
fn string_maps_are_known_however_they_are_reached() {
    for template in [
        r#"[{{ with .Parameters }}{{ index . "x" }}{{ end }}]"#,
        r#"{{ $p := $.Parameters }}[{{ index $p "x" }}]"#,
        r#"[{{ index . "Parameters" "x" }}]"#,
    ] {
        assert_eq!(printed(template), "[]");
    }
    refused(r#"{{ index .Application "x" }}"#);
}

#[test]
fn whole_numbers_are_floats_or_integers() {
    let document = Document::compile(&json!("{{ .n }} {{ .f }}"), Missing::Print).unwrap();
    let data = json!({ "n": 20971520, "f": 3.0 });
    let rendered = |numbers| document.render(&Data::new(data.clone(), numbers)).unwrap();
    assert_eq!(rendered(Numbers::Float), json!("2.097152e+07 3"));
    assert_eq!(rendered(Numbers::Integer), json!("20971520 3"));
}

#[test]
fn documents_and_data_can_be_shared_between_threads() {
    fn shared<T: Send + Sync>(_: &T) {}
    let document =
        Document::compile(&json!("{{ .Parameters.bucket }}"), Missing::default()).unwrap();
    let data = data();
    shared(&document);
    shared(&data);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| assert_eq!(document.render(&data), Ok(Json::from("b1"))));
        }
    });
}
