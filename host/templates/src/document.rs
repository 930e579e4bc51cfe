use std::fmt;

use gotmpl::Template;
use serde_json::Value as Json;

use crate::data::Data;
use crate::error::{Flaw, Position, TemplateError};
use crate::functions;
use crate::limits;
use crate::rendering::{Missing, Output, Rendering};
use crate::rewrite;
use crate::structure;

/// A JSON document of which every string value, never a key, is a template; compiled.
///
/// Numbers, booleans and strings without `{{` are kept as they are. A `define` is seen only within its own string.
/// Compiled documents are immutable and can be shared between threads: keep one per generation of a strategy.
pub struct Document {
    plan: Plan,
    missing: Missing,
    /// Holds the trees of all strings: string `n` is the template named `n`, its definitions are named `n:name`.
    engine: Template,
}

/// A document with templates replaced by their numbers.
#[derive(Debug)]
enum Plan {
    /// Nothing to render in here.
    Keep(Json),
    Template {
        path: String,
        name: String,
    },
    List(Vec<Plan>),
    Map(Vec<(String, Plan)>),
}

impl Document {
    /// Compiles every string value of a document.
    ///
    /// What depends on the text alone shows here: syntax, unknown functions, undeclared variables, calls of templates
    /// that are defined nowhere, and the limits on text.
    ///
    /// # Errors
    ///
    /// Returns all errors, one for each string that has one.
    pub fn compile(document: &Json, missing: Missing) -> Result<Document, Vec<TemplateError>> {
        let mut compiler = Compiler {
            engine: Template::new("")
                .funcs(functions::for_engine())
                .max_range_iters(limits::RANGE_STEPS),
            templates: 0,
            errors: Vec::new(),
        };
        let plan = compiler.plan(document, &mut String::new(), limits::DATA_NESTING);
        if !compiler.errors.is_empty() {
            return Err(compiler.errors);
        }
        Ok(Document {
            plan,
            missing,
            engine: compiler.engine,
        })
    }

    /// Renders the document with data.
    ///
    /// The stack that is used stays under 1 MiB, so a worker thread with the usual 2 MiB will do.
    ///
    /// # Errors
    ///
    /// Returns the first error in the order of the document. Nothing is rendered by halves.
    pub fn render(&self, data: &Data) -> Result<Json, TemplateError> {
        if data.too_deep {
            return Err(TemplateError {
                path: String::new(),
                position: None,
                message: format!(
                    "the data is nested over {} levels deep",
                    limits::DATA_NESTING
                ),
            });
        }
        let rendering = Rendering::new(self.missing, data.string_maps.clone());
        rendering.run(|| self.render_plan(&self.plan, data, &rendering))
    }

    fn render_plan(
        &self,
        plan: &Plan,
        data: &Data,
        rendering: &Rendering,
    ) -> Result<Json, TemplateError> {
        match plan {
            Plan::Keep(json) => Ok(json.clone()),
            Plan::Template { path, name } => self
                .render_template(name, data, rendering)
                .map(Json::String)
                .map_err(|flaw| flaw.in_field(path)),
            Plan::List(items) => items
                .iter()
                .map(|item| self.render_plan(item, data, rendering))
                .collect(),
            Plan::Map(entries) => entries
                .iter()
                .map(|(key, item)| Ok((key.clone(), self.render_plan(item, data, rendering)?)))
                .collect(),
        }
    }

    fn render_template(
        &self,
        name: &str,
        data: &Data,
        rendering: &Rendering,
    ) -> Result<String, Flaw> {
        let mut output = Output::new(rendering);
        rendering.at(None);
        match self
            .engine
            .execute_template_fmt(&mut output, name, &data.root)
        {
            Ok(()) => Ok(output.text),
            Err(error) => Err(Flaw {
                position: rendering.position(),
                message: output.overflow.unwrap_or_else(|| spoken(error)),
            }),
        }
    }
}

impl fmt::Debug for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Document")
            .field("plan", &self.plan)
            .field("missing", &self.missing)
            .finish_non_exhaustive()
    }
}

struct Compiler {
    engine: Template,
    templates: usize,
    errors: Vec<TemplateError>,
}

impl Compiler {
    fn plan(&mut self, document: &Json, path: &mut String, levels: usize) -> Plan {
        let Some(levels) = levels.checked_sub(1) else {
            self.errors.push(TemplateError {
                path: path.clone(),
                position: None,
                message: format!("nested over {} levels deep", limits::DATA_NESTING),
            });
            return Plan::Keep(Json::Null);
        };
        match document {
            Json::String(text) if text.contains("{{") => self.template(text, path),
            Json::Array(items) => {
                let plans = items
                    .iter()
                    .enumerate()
                    .map(|(index, item)| self.below(item, path, &index.to_string(), levels))
                    .collect::<Vec<_>>();
                if plans.iter().all(Plan::is_kept) {
                    return Plan::Keep(document.clone());
                }
                Plan::List(plans)
            }
            Json::Object(entries) => {
                let plans = entries
                    .iter()
                    .map(|(key, item)| (key.clone(), self.below(item, path, key, levels)))
                    .collect::<Vec<_>>();
                if plans.iter().all(|(_, plan)| plan.is_kept()) {
                    return Plan::Keep(document.clone());
                }
                Plan::Map(plans)
            }
            _ => Plan::Keep(document.clone()),
        }
    }

    fn below(&mut self, item: &Json, path: &mut String, key: &str, levels: usize) -> Plan {
        let parent = path.len();
        path.push('/');
        // RFC 6901's escapes.
        path.push_str(&key.replace('~', "~0").replace('/', "~1"));
        let plan = self.plan(item, path, levels);
        path.truncate(parent);
        plan
    }

    fn template(&mut self, text: &str, path: &str) -> Plan {
        let name = self.templates.to_string();
        self.templates += 1;
        match compiled(text, &name) {
            Ok(trees) => {
                let engine = std::mem::replace(&mut self.engine, Template::new(""));
                self.engine = trees.into_iter().fold(engine, |engine, (name, tree)| {
                    engine.add_parse_tree(&name, tree)
                });
            }
            Err(flaw) => self.errors.push(flaw.in_field(path)),
        }
        Plan::Template {
            path: path.to_owned(),
            name,
        }
    }
}

impl Plan {
    fn is_kept(&self) -> bool {
        matches!(self, Plan::Keep(_))
    }
}

/// Reads a text, has the engine parse it, and rewrites its trees.
fn compiled(text: &str, name: &str) -> Result<rewrite::Trees, Flaw> {
    structure::check(text)?;
    let (body, definitions) = gotmpl::parse::Parser::new(text, "{{", "}}")
        .and_then(gotmpl::parse::Parser::parse)
        .map_err(syntax)?;
    rewrite::rewritten(text, name, body, definitions)
}

/// A flaw that the engine's own parser found.
fn syntax(error: gotmpl::TemplateError) -> Flaw {
    use gotmpl::TemplateError as E;
    match error {
        E::Parse {
            line, col, message, ..
        }
        | E::Lex {
            line, col, message, ..
        } => Flaw {
            position: (line > 0).then_some(Position { line, column: col }),
            message,
        },
        other => Flaw {
            position: None,
            message: spoken(other),
        },
    }
}

/// The engine's error as we say it.
fn spoken(error: gotmpl::TemplateError) -> String {
    use gotmpl::TemplateError as E;
    match error {
        E::Exec(message) if message.starts_with("can't give argument") => {
            "only functions take arguments".to_owned()
        }
        // Failures of our functions arrive like this as well.
        E::Exec(message) => message,
        E::RangeIterLimit => format!(
            "the template ranges over more than {} elements",
            limits::RANGE_STEPS
        ),
        E::RecursionLimit => "blocks and templates are nested too deeply".to_owned(),
        E::FuncPanic { name, .. } => {
            format!("{name}: failed in a way it should not; please report this")
        }
        other => other.to_string(),
    }
}
