//! Go templates in strategy objects: hermetic, strict, bounded.
//!
//! A strategy object is data, and its string values may be Go templates with slim-sprig's functions, as Cozystack
//! has had them. Here they are compiled once, when the strategy is accepted, and rendered for each job:
//!
//! ```text
//!  strategy spec ──compile──► Document ──render(Data)──► spec with plain strings
//!                    │                        │
//!                    ▼                        ▼
//!          all flaws, each with      one error with its field's path:
//!          its field's path          never half a spec, never a marker in a bucket's name
//! ```
//!
//! - **Hermetic**: the same template and data give the same text on any machine. No clock, no chance, no environment,
//!   no network; `set` and `unset` are left out because they change data that the next string sees.
//! - **Strict**: by default, printing an absent value is an error; testing, defaulting and passing it is fine
//!   ([`Missing`]).
//! - **Bounded**: everything that a template can make large is counted ([`mod@limits`]), so a hostile one costs little
//!   memory, little time and at most 1 MiB of stack. The counts do not depend on the machine.
//!
//! ```
//! use backup_templates::{Data, Document, Missing, Numbers};
//! use serde_json::json;
//!
//! let spec = json!({ "path": "s3://{{ .Parameters.bucket }}/{{ .Application.metadata.name }}/", "retries": 3 });
//! let document = Document::compile(&spec, Missing::Print).unwrap();
//!
//! let data = json!({ "Parameters": { "bucket": "b1" }, "Application": { "metadata": { "name": "pg" } } });
//! let data = Data::new(data, Numbers::Float).string_maps(["Parameters"]);
//! assert_eq!(document.render(&data).unwrap(), json!({ "path": "s3://b1/pg/", "retries": 3 }));
//! ```
//!
//! # The rooms
//!
//! | module | idea |
//! |---|---|
//! | `document` | a JSON document whose strings are templates |
//! | `data` | what templates see |
//! | `structure` | reads the actions of a text before it is parsed, and refuses what the engine lets pass |
//! | `rewrite` | turns the engine's tree into one that calls our functions only |
//! | `rendering` | what one rendering knows and may still use |
//! | `limits` | the numbers |
//! | `value` | values as Go names, tests and compares them |
//! | `print` | `print`, `printf`, and how Go writes values |
//! | `functions` | everything a template can call |
//!
//! The engine is `gotmpl`: it parses text to a tree and walks the tree. It knows none of its own functions here save
//! `and` and `or`, which must not evaluate all their arguments.

mod data;
mod document;
mod error;
mod functions;
pub mod limits;
mod print;
mod rendering;
mod rewrite;
mod structure;
mod value;

pub use data::{Data, Numbers};
pub use document::Document;
pub use error::{Position, TemplateError};
pub use rendering::Missing;
