//! Components written by hand, in WebAssembly text, so that no toolchain is needed to test with them.
//!
//! A guest has a body for one or a few questions; the others are answered with the contract's default. Inside a
//! body `'text'` stands for a text's address and length, `@name` for the address of [`Guest::data`], and the
//! functions of the contract are called as `$plan.purge`. A body that falls through answers with the default.
#![allow(dead_code)]

use std::{collections::BTreeMap, fmt::Write, path::Path};

use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};
use wit_parser::Resolve;

/// The contract as it is.
pub const WIT: &str = include_str!("../../../../wit/strategy.wit");

/// A manifest that says no more than it must.
pub const MANIFEST: &str = r#"{
    "name": "guest", "version": "1.2.3", "contract": "1.0.0",
    "strategyKind": { "kind": "Guest", "plural": "guests", "schema": { "type": "object" } },
    "applications": [{ "group": "apps.cozystack.io", "kind": "Postgres" }]
}"#;

/// Where data begins; below are answers made of zeros.
const DATA: usize = 1024;

/// Where the heap begins.
const HEAP: usize = 64 << 10;

/// The functions of the contract, lowered: so many `i32`, and a result.
const LOWERED: [(&str, &str, usize, &str); 33] = [
    ("context", "now", 0, "i64"),
    ("context", "job", 1, ""),
    ("context", "options", 1, ""),
    ("context", "subject", 1, ""),
    ("context", "application", 1, ""),
    ("context", "release", 9, ""),
    ("context", "spec", 2, ""),
    ("context", "child-name", 4, ""),
    ("context", "parameters", 1, ""),
    ("context", "source", 1, ""),
    ("context", "state", 1, ""),
    ("context", "refused", 1, ""),
    ("cluster", "get", 10, ""),
    ("cluster", "find", 10, ""),
    ("cluster", "serves", 4, "i32"),
    ("cluster", "log-tail", 9, ""),
    ("storage", "target", 1, ""),
    ("storage", "ca-key", 1, ""),
    ("storage", "prefixes", 1, ""),
    ("storage", "objects", 7, ""),
    ("plan", "create", 3, ""),
    ("plan", "dry-run", 2, ""),
    ("plan", "apply", 2, ""),
    ("plan", "merge", 11, ""),
    ("plan", "delete", 13, ""),
    ("plan", "delete-all", 10, ""),
    ("plan", "suspend", 4, ""),
    ("plan", "resume", 4, ""),
    ("plan", "purge", 2, ""),
    ("plan", "condition", 7, ""),
    ("plan", "event", 5, ""),
    ("plan", "remember", 3, ""),
    ("log", "write", 3, ""),
];

/// A function that a later contract adds to every interface: without arguments or result.
pub const ADDED: &str = "attempt";

/// The contract's text with another version, and with that function.
pub fn later(version: &str) -> String {
    let mut text = WIT.replace("@1.0.0", &format!("@{version}"));
    for interface in ["context", "cluster", "storage", "plan", "log"] {
        let head = format!("\ninterface {interface} {{\n");
        text = text.replace(&head, &format!("{head}    {ADDED}: func();\n"));
    }
    text
}

/// A component to be.
pub struct Guest {
    wit: String,
    world: &'static str,
    version: &'static str,
    manifest: String,
    memory: String,
    module: String,
    bodies: BTreeMap<&'static str, String>,
    data: Vec<u8>,
    named: BTreeMap<String, usize>,
    results: BTreeMap<&'static str, &'static str>,
}

impl Default for Guest {
    fn default() -> Self {
        Self {
            wit: WIT.to_owned(),
            world: "backup-strategy",
            version: "1.0.0",
            manifest: MANIFEST.to_owned(),
            memory: "2".to_owned(),
            module: String::new(),
            bodies: BTreeMap::new(),
            data: Vec::new(),
            named: BTreeMap::new(),
            results: BTreeMap::new(),
        }
    }
}

impl Guest {
    /// A guest that does this when it is asked to restore, and is done then.
    pub fn restoring(body: &str) -> Self {
        Self::default().on("restore", body)
    }

    /// Adds a body.
    pub fn on(mut self, question: &'static str, body: &str) -> Self {
        self.bodies.insert(question, body.to_owned());
        self
    }

    /// Built against another text of the contract.
    pub fn against(mut self, wit: &str, world: &'static str, version: &'static str) -> Self {
        self.wit = wit.to_owned();
        self.world = world;
        self.version = version;
        self
    }

    /// A function of the contract that it was built against returns something else.
    pub fn with_result(mut self, function: &'static str, result: &'static str) -> Self {
        self.results.insert(function, result);
        self
    }

    /// Another answer to `describe`.
    pub fn manifest(mut self, manifest: &str) -> Self {
        self.manifest = manifest.to_owned();
        self
    }

    /// Pages of memory, with or without a maximum.
    pub fn memory(mut self, pages: &str) -> Self {
        self.memory = pages.to_owned();
        self
    }

    /// More fields of the core module.
    pub fn module(mut self, fields: &str) -> Self {
        self.module.push_str(fields);
        self
    }

    /// Bytes that bodies call `@name`.
    pub fn data(mut self, name: &str, bytes: &[u8]) -> Self {
        let at = self.place(bytes);
        self.named.insert(name.to_owned(), at);
        self
    }

    /// Words that bodies call `@name`: an answer that is a record.
    pub fn words(self, name: &str, words: &[u32]) -> Self {
        let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        self.data(name, &bytes)
    }

    fn place(&mut self, bytes: &[u8]) -> usize {
        while !self.data.len().is_multiple_of(8) {
            self.data.push(0);
        }
        let at = DATA + self.data.len();
        self.data.extend_from_slice(bytes);
        at
    }

    /// The component's bytes.
    pub fn build(mut self) -> Vec<u8> {
        let text = self.text();
        let mut module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{error}\n{text}"));
        let mut resolve = Resolve::default();
        let package = resolve
            .push_str(Path::new("strategy.wit"), &self.wit)
            .unwrap();
        let world = resolve.select_world(&[package], Some(self.world)).unwrap();
        embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
        ComponentEncoder::default()
            .validate(true)
            .module(&module)
            .unwrap()
            .encode()
            .unwrap()
    }

    /// The core module's text.
    fn text(&mut self) -> String {
        let manifest = self.manifest.clone();
        let (at, length) = (self.place(manifest.as_bytes()), manifest.len());
        let described =
            self.place(&[(at as u32).to_le_bytes(), (length as u32).to_le_bytes()].concat());
        // Progress::Succeeded, Step::Done and Verdict::Present are case 1; all that they hold is none or empty.
        let mut case = [0; 128];
        case[0] = 1;
        let one = self.place(&case);
        let exports = [
            ("describe", "", described),
            ("validate", "(param i32 i32 i32 i32)", 0),
            ("paths", "", 0),
            ("backup", "", one),
            ("restore", "", one),
            ("abort", "", one),
            ("forget", "", one),
            ("check", "", one),
        ];
        let mut functions = String::new();
        let version = self.version;
        for (name, parameters, answer) in exports {
            let body = self.bodies.get(name).cloned().unwrap_or_default();
            let body = self.expand(&body);
            writeln!(
                functions,
                r#"(func (export "cozystack:backup-strategy/strategy@{version}#{name}") {parameters} (result i32)
                    (local $i i32) {body} (i32.const {answer}))"#
            )
            .unwrap();
        }
        let module = self.expand(&self.module.clone());
        let imports = self.imports(&[functions.as_str(), &module].concat());
        let memory = &self.memory;
        let data: String = self
            .data
            .iter()
            .map(|byte| format!("\\{byte:02x}"))
            .collect();
        format!(
            r#"(module {imports}
            (memory (export "memory") {memory})
            (global $heap (mut i32) (i32.const {HEAP}))
            (func $realloc (export "cabi_realloc") (param i32 i32 i32) (param $new i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $heap) (i32.const 7)) (i32.const -8)))
                (global.set $heap (i32.add (local.get $at) (local.get $new)))
                (if (i32.gt_u (global.get $heap) (i32.mul (memory.size) (i32.const 65536)))
                    (then (drop (memory.grow (i32.add (i32.const 1) (i32.div_u (local.get $new) (i32.const 65536)))))))
                (local.get $at))
            (data (i32.const {DATA}) "{data}")
            {module} {functions})"#
        )
    }

    /// The imports that are called.
    fn imports(&self, code: &str) -> String {
        let added = ["context", "cluster", "storage", "plan", "log"]
            .map(|interface| (interface, ADDED, 0, ""));
        let mut imports = String::new();
        for (interface, name, parameters, result) in LOWERED.into_iter().chain(added) {
            let called = format!("${interface}.{name}");
            if !code
                .split(|c: char| c.is_whitespace() || c == ')')
                .any(|word| word == called)
            {
                continue;
            }
            let parameters = "i32 ".repeat(parameters);
            let result = self.results.get(&called[1..]).copied().unwrap_or(result);
            let version = self.version;
            let result = if result.is_empty() {
                String::new()
            } else {
                format!("(result {result})")
            };
            writeln!(
                imports,
                r#"(import "cozystack:backup-strategy/{interface}@{version}" "{name}"
                    (func {called} (param {parameters}) {result}))"#
            )
            .unwrap();
        }
        imports
    }

    /// Puts addresses in the place of texts and names.
    fn expand(&mut self, body: &str) -> String {
        let mut parts = body.split('\'');
        let mut code = parts.next().unwrap_or_default().to_owned();
        while let Some(text) = parts.next() {
            let at = self.place(text.as_bytes());
            write!(code, "(i32.const {at}) (i32.const {})", text.len()).unwrap();
            code.push_str(parts.next().unwrap_or_default());
        }
        for (name, at) in &self.named {
            code = code.replace(&format!("@{name}"), &format!("(i32.const {at})"));
        }
        code
    }
}

/// Runs a body over and over.
pub fn forever(body: &str) -> String {
    format!("(loop $again {body} (br $again))")
}

/// Runs a body so many times.
pub fn times(count: u32, body: &str) -> String {
    format!(
        "(local.set $i (i32.const {count}))
         (loop $again {body} (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $again (local.get $i)))"
    )
}
