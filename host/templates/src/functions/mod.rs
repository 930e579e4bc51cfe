//! Everything that a template can call: slim-sprig's hermetic functions, and our own versions of Go's built-in ones.
//!
//! Each function is a row of its module's table: name, parameters, body. A call checks sizes, work, the number and the
//! types of all arguments, used or not, as Go does; then the body runs. The engine keeps `and` and `or`.

mod basics;
mod defaults;
mod encoding;
pub(crate) mod hidden;
mod json;
mod lists;
mod maps;
mod numbers;
mod paths;
mod pattern;
mod regex;
mod text;
mod url;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use gotmpl::{FuncMap, TemplateError};

use crate::error::{Failure, Outcome};
use crate::limits;
use crate::rendering::Rendering;
use crate::value::{self, Map, Size, Value};

/// The type of a parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Any,
    Text,
    Int,
    Float,
    Bool,
    /// A map, or nothing: Go takes an absent value for an empty map, and here a null is one as well.
    Map,
}

/// Something a template can call.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function {
    parameters: &'static [Kind],
    /// The type of further arguments, if there can be any.
    rest: Option<Kind>,
    body: fn(&Call<'_>) -> Outcome<Value>,
    /// Looks at the top of its arguments only and hands out parts of them, so their size costs no work.
    picks: bool,
}

/// A row of a table of functions.
type Row = (&'static str, Function);

impl Function {
    const fn fixed(parameters: &'static [Kind], body: fn(&Call<'_>) -> Outcome<Value>) -> Function {
        Function {
            parameters,
            rest: None,
            body,
            picks: false,
        }
    }

    const fn open(
        parameters: &'static [Kind],
        rest: Kind,
        body: fn(&Call<'_>) -> Outcome<Value>,
    ) -> Function {
        Function {
            parameters,
            rest: Some(rest),
            body,
            picks: false,
        }
    }

    const fn picking(self) -> Function {
        Function {
            picks: true,
            ..self
        }
    }

    /// The type that an argument must have.
    pub(crate) fn kind(&self, index: usize) -> Option<Kind> {
        self.parameters.get(index).copied().or(self.rest)
    }

    fn check(&self, args: &[Value]) -> Outcome<()> {
        let wanted = self.parameters.len();
        if args.len() < wanted || (args.len() > wanted && self.rest.is_none()) {
            let at_least = if self.rest.is_some() { "at least " } else { "" };
            return Err(Failure(format!(
                "wants {at_least}{wanted} arguments, got {}",
                args.len()
            )));
        }
        for (index, arg) in args.iter().enumerate() {
            self.kind(index)
                .map_or(Ok(()), |kind| check_kind(kind, index, arg))?;
        }
        Ok(())
    }

    fn call(&self, args: &[Value]) -> Outcome<Value> {
        let rendering = Rendering::current()?;
        let mut size = Size::default();
        if !self.picks {
            for arg in args {
                size.add(arg, limits::ARGUMENT_SIZE)?;
            }
        }
        rendering.charge(CALL_WORK + size.work())?;
        self.check(args)?;
        let value = (self.body)(&Call {
            args,
            rendering: &rendering,
        })?;
        if !self.picks {
            let mut made = Size::default();
            made.add(&value, limits::OUTPUT_BYTES)?;
            rendering.charge(made.work())?;
        }
        Ok(value)
    }
}

/// What a call costs whatever its arguments are, in the unit of [`limits::WORK`].
const CALL_WORK: u64 = 64;

fn check_kind(kind: Kind, index: usize, arg: &Value) -> Outcome<()> {
    let fits = match kind {
        Kind::Any => true,
        Kind::Text => matches!(arg, Value::String(_)),
        Kind::Int => matches!(arg, Value::Int(_)),
        // An integer that is written in the template fits a float in Go.
        Kind::Float => matches!(arg, Value::Float(_) | Value::Int(_)),
        Kind::Bool => matches!(arg, Value::Bool(_)),
        Kind::Map => matches!(arg, Value::Map(_) | Value::Nil),
    };
    if fits {
        return Ok(());
    }
    let wanted = match kind {
        Kind::Any => "anything",
        Kind::Text => "a string",
        Kind::Int => "an integer",
        Kind::Float => "a number",
        Kind::Bool => "a boolean",
        Kind::Map => "a map",
    };
    Err(Failure(format!(
        "argument {} must be {wanted}, not {}",
        index + 1,
        value::description(arg)
    )))
}

/// A call: arguments that were checked against the function's parameters, and the rendering it belongs to.
pub(crate) struct Call<'a> {
    args: &'a [Value],
    rendering: &'a Rendering,
}

impl Call<'_> {
    fn any(&self, index: usize) -> &Value {
        self.args.get(index).unwrap_or(&Value::Nil)
    }

    fn text(&self, index: usize) -> Outcome<&str> {
        match self.any(index) {
            Value::String(text) => Ok(text),
            other => Err(wrong("a string", other)),
        }
    }

    fn int(&self, index: usize) -> Outcome<i64> {
        match self.any(index) {
            Value::Int(int) => Ok(*int),
            other => Err(wrong("an integer", other)),
        }
    }

    fn float(&self, index: usize) -> Outcome<f64> {
        match self.any(index) {
            Value::Float(float) => Ok(*float),
            Value::Int(int) => Ok(*int as f64),
            other => Err(wrong("a number", other)),
        }
    }

    fn bool(&self, index: usize) -> Outcome<bool> {
        match self.any(index) {
            Value::Bool(truth) => Ok(*truth),
            other => Err(wrong("a boolean", other)),
        }
    }

    fn map(&self, index: usize) -> Outcome<Cow<'_, Map>> {
        as_map(self.any(index))
    }

    fn list(&self, index: usize) -> Outcome<&[Value]> {
        match self.any(index) {
            Value::List(items) => Ok(items),
            other => Err(wrong("a list", other)),
        }
    }

    fn rest(&self, from: usize) -> &[Value] {
        self.args.get(from..).unwrap_or_default()
    }

    /// A value as text, as `%v` has it.
    fn show(&self, value: &Value) -> Outcome<String> {
        self.rendering.show(value)
    }
}

fn as_map(value: &Value) -> Outcome<Cow<'_, Map>> {
    match value {
        Value::Map(map) => Ok(Cow::Borrowed(map)),
        Value::Nil => Ok(Cow::Owned(Map::new())),
        other => Err(wrong("a map", other)),
    }
}

fn wrong(wanted: &str, got: &Value) -> Failure {
    Failure(format!("wants {wanted}, got {}", value::description(got)))
}

/// Refuses text before it is made.
fn check_length(bytes: usize) -> Outcome<()> {
    if bytes > limits::OUTPUT_BYTES {
        return Err(Failure(format!(
            "the text would be over {} bytes",
            limits::OUTPUT_BYTES
        )));
    }
    Ok(())
}

static FUNCTIONS: LazyLock<BTreeMap<&'static str, Function>> = LazyLock::new(|| {
    [
        basics::TABLE,
        defaults::TABLE,
        encoding::TABLE,
        hidden::TABLE,
        json::TABLE,
        lists::TABLE,
        maps::TABLE,
        numbers::TABLE,
        paths::TABLE,
        regex::TABLE,
        text::TABLE,
    ]
    .into_iter()
    .flatten()
    .copied()
    .collect()
});

static FOR_ENGINE: LazyLock<FuncMap> = LazyLock::new(|| {
    FUNCTIONS
        .iter()
        .map(|(&name, &function)| {
            let call = move |args: &[Value]| {
                function
                    .call(args)
                    .map_err(|Failure(message)| TemplateError::Exec(hidden::named(name, message)))
            };
            (name.to_owned(), Arc::new(call) as gotmpl::ValueFunc)
        })
        .collect()
});

/// All functions, as the engine takes them.
pub(crate) fn for_engine() -> FuncMap {
    FOR_ENGINE.clone()
}

/// The function of a name.
pub(crate) fn find(name: &str) -> Option<&'static Function> {
    FUNCTIONS.get(name)
}

/// Why a name cannot be called, if it cannot.
pub(crate) fn refusal(name: &str) -> Option<String> {
    if FUNCTIONS.contains_key(name) || matches!(name, "and" | "or") {
        return None;
    }
    let reason = match name {
        "env" | "expandenv" => "it reads the environment",
        "getHostByName" => "it asks the network",
        "randInt" => "it gives another value each time",
        "now" | "ago" | "date" | "dateInZone" | "date_in_zone" | "dateModify" | "date_modify"
        | "mustDateModify" | "must_date_modify" | "htmlDate" | "htmlDateInZone" | "toDate"
        | "mustToDate" | "unixEpoch" | "durationRound" => {
            "it depends on the clock or the time zone"
        }
        "set" | "unset" => "it changes data that other templates see; use dict, pick or omit",
        "required" => "write {{ if empty .x }}{{ fail \"x is required\" }}{{ end }}",
        _ => return Some(format!("function {name:?} does not exist")),
    };
    Some(format!("function {name:?} is not offered: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hermetic_functions_of_slim_sprig_and_those_of_go_are_all_there() {
        let visible = FUNCTIONS
            .keys()
            .filter(|name| !name.starts_with('#'))
            .count();
        // 145 of slim-sprig, of which `slice` takes the place of Go's; 16 more of Go's 19, `and` and `or` being the
        // engine's.
        assert_eq!(visible, 145 + 16);
    }
}
