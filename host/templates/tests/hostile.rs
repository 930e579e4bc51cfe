//! Templates that try to hurt: each must be refused or rendered, in time, in little memory, on a small stack.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::thread;
use std::time::{Duration, Instant};

use backup_templates::{Data, Document, Missing, Numbers};
use proptest::prelude::*;
use serde_json::{Value as Json, json};

/// Half of what a worker thread has, so that its caller can have the other half.
const STACK: usize = 1024 * 1024;

/// Far more than any of these takes, also without optimisation on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

fn rendered(template: &str, data: &Json) -> Result<String, String> {
    let (template, data) = (json!(template), data.clone());
    let render = move || {
        let document =
            Document::compile(&template, Missing::Go).map_err(|errors| errors[0].to_string())?;
        let rendered = document
            .render(&Data::new(data, Numbers::Float))
            .map_err(|error| error.to_string())?;
        Ok(rendered.as_str().unwrap().to_owned())
    };
    let started = Instant::now();
    let thread = thread::Builder::new()
        .stack_size(STACK)
        .spawn(render)
        .unwrap();
    let outcome = thread.join().expect("a template made its thread panic");
    assert!(started.elapsed() < PATIENCE, "took {:?}", started.elapsed());
    outcome
}

fn refusal(template: &str) -> String {
    refusal_with(template, &json!({}))
}

fn refusal_with(template: &str, data: &Json) -> String {
    match rendered(template, data) {
        Err(message) => message,
        Ok(text) => panic!("rendered {} bytes", text.len()),
    }
}

fn assert_refused(template: &str, reason: &str) {
    let message = refusal(template);
    assert!(message.contains(reason), "refused because of: {message}");
}

// Defect 26 of the reference: templates were text, and a tenant's value could write fields and actions of its own.
#[test]
fn what_a_tenant_writes_stays_a_part_of_one_text() {
    let written = "x\"}\n  hostNetwork: true\n- {{ .Storage.bucket }} $(id) {{ template \"x\" }}";
    let data =
        json!({ "Application": { "spec": { "note": written } }, "Storage": { "bucket": "b" } });
    let template = json!({ "args": ["--note={{ .Application.spec.note }}"], "hostNetwork": false });
    let document = Document::compile(&template, Missing::Go).unwrap();
    let rendered = document.render(&Data::new(data, Numbers::Float)).unwrap();
    assert_eq!(
        rendered,
        json!({ "args": [format!("--note={written}")], "hostNetwork": false })
    );
}

#[test]
fn a_template_that_calls_itself_is_refused() {
    assert_refused(
        r#"{{ define "r" }}{{ template "r" . }}{{ end }}{{ template "r" . }}"#,
        "nested too deeply",
    );
    let deep = format!(
        r#"{{{{ define "r" }}}}{}{{{{ template "r" . }}}}{}{{{{ end }}}}{{{{ template "r" . }}}}"#,
        "{{ if true }}".repeat(90),
        "{{ end }}".repeat(90)
    );
    assert_refused(&deep, "nested too deeply");
}

#[test]
fn templates_that_call_the_next_one_twice_are_refused() {
    let mut template = String::new();
    for level in 0..30 {
        let next = level + 1;
        template += &format!(
            r#"{{{{ define "t{level}" }}}}{{{{ template "t{next}" }}}}{{{{ template "t{next}" }}}}{{{{ end }}}}"#
        );
    }
    template += r#"{{ define "t30" }}{{ end }}{{ template "t0" }}"#;
    assert_refused(&template, "too much work");
}

#[test]
fn long_loops_are_refused() {
    assert_refused("{{ range 1000000000 }}{{ end }}", "ranges over more than");
    let nested = format!(
        "{}x{}",
        "{{ range 100 }}".repeat(10),
        "{{ end }}".repeat(10)
    );
    assert_refused(&nested, "ranges over more than");
    let body = "{{ if true }}{{ end }}".repeat(2000);
    assert_refused(
        &format!("{{{{ range 9999 }}}}{body}{{{{ end }}}}"),
        "too much work",
    );
    let body = "{{ $x := 1 }}".repeat(4000);
    assert_refused(
        &format!("{{{{ range 9999 }}}}{body}{{{{ end }}}}"),
        "too much work",
    );
}

#[test]
fn text_that_doubles_is_refused() {
    for double in [
        "print $x $x",
        r#"printf "%s%s" $x $x"#,
        "cat $x $x",
        r#"printf "%q" $x"#,
        r#"join "" (list $x $x)"#,
    ] {
        let template = format!(
            r#"{{{{ $x := "\x01\x01" }}}}{{{{ range 40 }}}}{{{{ $x = {double} }}}}{{{{ end }}}}{{{{ $x }}}}"#
        );
        refusal(&template);
    }
}

#[test]
fn nested_and_shared_lists_are_refused() {
    assert_refused(
        "{{ $x := list 1 }}{{ range 9999 }}{{ $x = list $x }}{{ end }}",
        "nested too deeply",
    );
    for double in [
        "list $x $x",
        r#"dict "a" $x "b" $x"#,
        "concat $x $x",
        "append $x $x",
    ] {
        let template = format!(
            "{{{{ $x := list 1 }}}}{{{{ range 60 }}}}{{{{ $x = {double} }}}}{{{{ end }}}}{{{{ $x }}}}"
        );
        refusal(&template);
    }
}

#[test]
fn deep_parentheses_are_refused() {
    for count in [101, 1000, 20_000] {
        let template = format!("{{{{ {}1{} }}}}", "(".repeat(count), ")".repeat(count));
        assert_refused(&template, "nested over 100 deep");
    }
    let deepest = format!("{{{{ {}1{} }}}}", "(".repeat(95), ")".repeat(95));
    assert_eq!(rendered(&deepest, &json!({})).unwrap(), "1");
    let calls = format!("{{{{ {}1{} }}}}", "(default 2 ".repeat(95), ")".repeat(95));
    assert_eq!(rendered(&calls, &json!({})).unwrap(), "1");
}

#[test]
fn long_chains_of_else_if_are_refused() {
    let chain = |count: usize| {
        format!(
            "{{{{ if false }}}}{}{{{{ end }}}}",
            "{{ else if false }}".repeat(count)
        )
    };
    for count in [100, 3_000] {
        assert_refused(&chain(count), "nested over 100 deep");
    }
    assert_eq!(rendered(&chain(99), &json!({})).unwrap(), "");
    // Chains within chains are levels as well.
    let mut nested = String::from("x");
    for _ in 0..40 {
        nested = format!(
            "{{{{ if false }}}}{}{nested}{{{{ end }}}}",
            "{{ else if true }}".repeat(40)
        );
    }
    assert_refused(&nested, "nested over 100 deep");
}

#[test]
fn the_deepest_allowed_nesting_fits_the_stack() {
    let open = "{{ if true }}".repeat(50);
    let deep = format!(
        "{{{{ define \"r\" }}}}{open}{{{{ {}.{} }}}}{{{{ template \"r\" . }}}}{}{{{{ end }}}}{{{{ template \"r\" . }}}}",
        "(default 2 ".repeat(48),
        ")".repeat(48),
        "{{ end }}".repeat(50)
    );
    assert!(refusal_with(&deep, &json!({ "a": 1 })).contains("nested too deeply"));
}

#[test]
fn large_results_of_functions_are_refused() {
    for template in [
        r#"{{ repeat 1000000000 "x" }}"#,
        r#"{{ repeat 9223372036854775807 "xx" }}"#,
        r#"{{ indent 1000000000 "x" }}"#,
        r#"{{ nindent 1000000 "a\nb" }}"#,
        r#"{{ replace "" (repeat 100000 "x") (repeat 100000 "y") }}"#,
        r#"{{ regexReplaceAll "" (repeat 100000 "x") (repeat 100000 "y") }}"#,
        r#"{{ join (repeat 100000 "x") (until 1000) }}"#,
        "{{ until 1000000000 }}",
        "{{ untilStep 0 1000000000 1 }}",
        "{{ seq 1000000000 }}",
        "{{ seq -9223372036854775808 9223372036854775807 }}",
        r#"{{ printf "%1000000000d" 1 }}"#,
        r#"{{ printf "%.99999f" 1.0 }}"#,
        r#"{{ printf "%*d" 99999999 1 }}"#,
        r#"{{ printf "%99999999999999999999999d" 1 }}"#,
        r#"{{ range 9999 }}{{ repeat 1000 "x" }}{{ end }}"#,
        r#"{{ $l := until 10000 }}{{ range 100 }}{{ $l }}{{ end }}"#,
        "{{ uniq (until 5000) }}",
    ] {
        refusal(template);
    }
}

#[test]
fn little_text_that_makes_much_work_is_refused() {
    let data = json!({ "s": "ab".repeat(60_000), "l": vec!["x"; 60_000] });
    for work in [
        "sha256sum $.s",
        "toJson $.l",
        r#"regexMatch "(a|b)*c" $.s"#,
        r#"regexMatch "[ab]*a[ab]{300}c" $.s"#,
        "uniq (slice $.l 0 1000)",
        r#"has "y" $.l"#,
        "reverse $.l",
        "$.l | len | until",
        "eq $.s $.s",
        "deepEqual $.l $.l",
        r#"printf "%v" $.l"#,
    ] {
        let template = format!("{{{{ range 9999 }}}}{{{{ $x := {work} }}}}{{{{ end }}}}");
        refusal_with(&template, &data);
    }
    let many = "{{ $l := until 9000 }}{{ range 9999 }}{{ $x := without $l ".to_owned()
        + &"1 ".repeat(9000)
        + "}}{{ end }}";
    refusal(&many);
}

#[test]
fn large_expressions_are_refused() {
    for pattern in [
        "(x{1000}){1000}",
        "((a{100}){100}){100}",
        r"\\pL{500}",
        r"(\\w{99}|\\pN{99}){9}",
    ] {
        refusal(&format!(
            r#"{{{{ range 9999 }}}}{{{{ $x := mustRegexMatch "{pattern}" "y" }}}}{{{{ end }}}}"#
        ));
    }
    let nested = format!(
        r#"{{{{ mustRegexMatch "{}x{}" "y" }}}}"#,
        "(".repeat(20_000),
        ")".repeat(20_000)
    );
    refusal(&nested);
}

#[test]
fn large_templates_are_refused() {
    assert_refused(&format!("{{{{ . }}}}{}", "x".repeat(70_000)), "bytes long");
    let definitions: String = (0..40)
        .map(|n| format!(r#"{{{{ define "t{n}" }}}}{{{{ end }}}}"#))
        .collect();
    assert_refused(&definitions, "definitions");
}

#[test]
fn deep_data_is_refused_and_does_not_overflow() {
    let mut data = json!(1);
    for _ in 0..200 {
        data = json!([data]);
    }
    assert!(refusal_with("{{ . }}", &data).contains("nested"));
    let errors = Document::compile(&data, Missing::Go).unwrap_err();
    assert!(errors[0].message.contains("nested"));

    let mut data = json!(1);
    for _ in 0..100 {
        data = json!([data]);
    }
    assert!(refusal_with("{{ . }}", &data).contains("nested"));
    assert_eq!(rendered("{{ if . }}yes{{ end }}", &data).unwrap(), "yes");
}

/// Text that looks like templates often enough to reach all parts.
fn templates() -> impl Strategy<Value = String> {
    let pieces = prop::sample::select(vec![
        "{{",
        "}}",
        "{{-",
        "-}}",
        " ",
        "\n",
        "(",
        ")",
        "|",
        ":=",
        "=",
        ",",
        "$x",
        "$",
        ".",
        ".a",
        ".a.b",
        "..",
        "if ",
        "else ",
        "else if ",
        "end",
        "range ",
        "with ",
        "define ",
        "block ",
        "template ",
        "break",
        "continue",
        "nil",
        "true",
        "\"t\"",
        "`r`",
        "'c'",
        "1",
        "-2",
        "1.5",
        "0x1p4",
        "1e9",
        "/*",
        "*/",
        "\"\\x4\"",
        "'\\'",
        "é",
        "\u{a0}",
        "index ",
        "slice ",
        "printf ",
        "\"%v%[2]d%.*f\" ",
        "list ",
        "dict ",
        "default ",
        "upper ",
        "trunc ",
        "len ",
        "and ",
        "or ",
        "regexFind ",
        "\"[a-\" ",
        "toJson ",
        "{{ if .a }}",
        "{{ end }}",
        "{{ range .l }}",
        "{{ else }}",
        "{{ .a }}",
        "{{ $x := .a }}",
        "{{ define \"t\" }}",
        "{{ template \"t\" . }}",
    ]);
    prop::collection::vec(
        prop_oneof![4 => pieces.prop_map(str::to_owned), 1 => any::<char>().prop_map(String::from)],
        0..40,
    )
    .prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_a_template_panic(template in templates()) {
        let data = json!({ "a": { "b": "x" }, "l": [1, null, "y"] });
        for missing in [Missing::Go, Missing::Print, Missing::Error] {
            if let Ok(document) = Document::compile(&json!(template), missing) {
                let _ = document.render(&Data::new(data.clone(), Numbers::Integer));
            }
        }
    }

    #[test]
    fn no_pipeline_makes_a_function_panic(
        function in prop::sample::select(FUNCTIONS.to_vec()),
        arguments in prop::collection::vec(prop::sample::select(ARGUMENTS.to_vec()), 0..5),
    ) {
        let template = json!(format!("{{{{ {function} {} }}}}", arguments.join(" ")));
        let data = json!({ "a": { "b": "x", "scheme": "s" }, "l": [1, null, "y"], "n": 1.5, "s": "aé漢😀" });
        let document = Document::compile(&template, Missing::Go).unwrap();
        let _ = document.render(&Data::new(data, Numbers::Float));
    }

    #[test]
    fn text_without_actions_is_unchanged(text in "([^{]|\\{[^{])*") {
        let document = Document::compile(&json!(text), Missing::Print).unwrap();
        prop_assert_eq!(document.render(&Data::new(json!({}), Numbers::Float)).unwrap(), json!(text));
    }
}

const ARGUMENTS: [&str; 24] = [
    "1",
    "0",
    "-1",
    "9223372036854775807",
    "-9223372036854775807",
    "1.5",
    "1e300",
    "true",
    "nil",
    "\"\"",
    "\"a\"",
    "\"é漢\"",
    "\"%v%5.2f%[9]d%\"",
    "\"[a-z]+(\"",
    "\"http://[::1%25a]:80/%zz\"",
    "\"a=\"",
    ".",
    ".a",
    ".l",
    ".n",
    ".s",
    ".absent",
    "(list)",
    "(dict \"a\" .l)",
];

const FUNCTIONS: [&str; 157] = [
    "index",
    "len",
    "not",
    "eq",
    "ne",
    "lt",
    "le",
    "gt",
    "ge",
    "print",
    "printf",
    "println",
    "html",
    "js",
    "urlquery",
    "call",
    "default",
    "empty",
    "coalesce",
    "all",
    "any",
    "ternary",
    "fail",
    "hello",
    "trim",
    "trimAll",
    "trimall",
    "trimPrefix",
    "trimSuffix",
    "upper",
    "lower",
    "title",
    "trunc",
    "substr",
    "repeat",
    "replace",
    "contains",
    "hasPrefix",
    "hasSuffix",
    "quote",
    "squote",
    "cat",
    "indent",
    "nindent",
    "plural",
    "join",
    "split",
    "splitn",
    "splitList",
    "sortAlpha",
    "toString",
    "toStrings",
    "b64enc",
    "b64dec",
    "b32enc",
    "b32dec",
    "sha1sum",
    "sha256sum",
    "adler32sum",
    "regexMatch",
    "regexFind",
    "regexFindAll",
    "regexReplaceAll",
    "regexReplaceAllLiteral",
    "regexSplit",
    "regexQuoteMeta",
    "mustRegexMatch",
    "mustRegexFind",
    "mustRegexFindAll",
    "mustRegexReplaceAll",
    "mustRegexReplaceAllLiteral",
    "mustRegexSplit",
    "int",
    "int64",
    "float64",
    "atoi",
    "toDecimal",
    "add",
    "add1",
    "sub",
    "mul",
    "div",
    "mod",
    "max",
    "biggest",
    "min",
    "maxf",
    "minf",
    "floor",
    "ceil",
    "round",
    "until",
    "untilStep",
    "seq",
    "toJson",
    "toPrettyJson",
    "toRawJson",
    "fromJson",
    "mustToJson",
    "mustToPrettyJson",
    "mustToRawJson",
    "mustFromJson",
    "typeOf",
    "typeIs",
    "typeIsLike",
    "kindOf",
    "kindIs",
    "deepEqual",
    "list",
    "tuple",
    "first",
    "last",
    "rest",
    "initial",
    "append",
    "push",
    "prepend",
    "concat",
    "reverse",
    "uniq",
    "compact",
    "without",
    "has",
    "slice",
    "chunk",
    "mustFirst",
    "mustLast",
    "mustRest",
    "mustInitial",
    "mustAppend",
    "mustPush",
    "mustPrepend",
    "mustReverse",
    "mustUniq",
    "mustCompact",
    "mustWithout",
    "mustHas",
    "mustSlice",
    "mustChunk",
    "dict",
    "get",
    "hasKey",
    "keys",
    "values",
    "pick",
    "omit",
    "pluck",
    "dig",
    "base",
    "dir",
    "clean",
    "ext",
    "isAbs",
    "osBase",
    "urlParse",
    "urlJoin",
    "duration",
];
