//! Knobs: settings of a strategy's object that a BackupClass may set, too.

use crate::{
    Outcome, Problem, Rule, Value,
    bindings::cozystack::backup_strategy::types::Entry,
    fail, json,
    text::{Misfit, read_value},
};

/// Where most settings stand in the `spec` of a strategy's object.
const ROOT: &str = "/template";

/// A setting that a BackupClass may set, too, as a parameter: the class's word wins over the strategy's.
///
/// A strategy lists its knobs once, in [`Strategy::KNOBS`](crate::Strategy::KNOBS). From that follow
///
/// - what [`Context::spec`](crate::Context::spec) says: the settings with the class's parameters laid over them. A
///   parameter is a text; whether it stands for a number, a boolean or a list, the type of the setting tells. An empty
///   one counts as none;
/// - the rule of the setting, which holds for the strategy's object and for the class alike, before any job begins and
///   once more when templates are rendered;
/// - the schema of the parameters in the manifest, made of that of the settings (`build::schemas_with`).
///
/// ```
/// use backup_strategy::{Knob, Rule, is_bucket_name, knob};
///
/// const NAME: Rule = Rule::new(is_bucket_name, "is a name; the folder is `key`");
///
/// pub const KNOBS: &[Knob] = &[
///     // The parameter `s3.bucket` is the setting `spec.template.s3.bucket`.
///     knob("s3.bucket").ruled(NAME),
///     knob("s3.endpoint").ruled(Rule::URL),
///     knob("jobs"),
///     // The parameter `data.compression` is the setting `spec.template.store.data.compression`.
///     knob("data.compression").below("/template/store"),
/// ];
/// # assert_eq!(KNOBS.len(), 4);
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Knob {
    pub(crate) name: &'static str,
    root: &'static str,
    only_in: Option<&'static str>,
    separator: char,
    pub(crate) rule: Option<Rule>,
    #[cfg_attr(not(feature = "build"), allow(dead_code, reason = "for the schema"))]
    about: Option<&'static str>,
}

/// A parameter of this name, and the setting below `/template` that it stands for: each dot is a step further in.
#[must_use]
pub const fn knob(name: &'static str) -> Knob {
    Knob {
        name,
        root: ROOT,
        only_in: None,
        separator: ',',
        rule: None,
        about: None,
    }
}

impl Knob {
    /// The setting stands below another place of the `spec`, a JSON pointer; below the `spec` itself for an empty one.
    #[must_use]
    pub const fn below(self, root: &'static str) -> Self {
        Self { root, ..self }
    }

    /// The parameter is passed over where the strategy's object has no such part, a JSON pointer: what is about a bucket
    /// says nothing to a strategy that writes to a volume.
    #[must_use]
    pub const fn only_in(self, part: &'static str) -> Self {
        Self {
            only_in: Some(part),
            ..self
        }
    }

    /// What stands between the items of a list, where that is no comma. Space around it is no part of an item.
    #[must_use]
    pub const fn parted_by(self, separator: char) -> Self {
        Self { separator, ..self }
    }

    /// How the setting, or each item of a list, has to be.
    #[must_use]
    pub const fn ruled(self, rule: Rule) -> Self {
        Self {
            rule: Some(rule),
            ..self
        }
    }

    /// What the parameter is, where the words about the setting do not say it by themselves.
    #[must_use]
    pub const fn about(self, words: &'static str) -> Self {
        Self {
            about: Some(words),
            ..self
        }
    }

    /// Where the setting stands in the `spec`.
    pub(crate) fn pointer(&self) -> String {
        format!("{}/{}", self.root, self.name.replace('.', "/"))
    }

    /// What a class says: none where it says nothing, or nothing that counts in this `spec`.
    fn said<'a>(&self, spec: &Value, parameters: &'a [Entry]) -> Option<&'a str> {
        let said = parameters.iter().find(|said| said.key == self.name)?;
        let counts = |part| spec.pointer(part).is_some_and(|part| !part.is_null());
        let text = Some(said.value.as_str()).filter(|_| self.only_in.is_none_or(counts));
        crate::set(text)
    }

    /// The text as the setting has it; an error says what was expected.
    fn value(&self, form: Form, text: &str) -> Result<Value, String> {
        let wanted = |what: &str| format!("\"{text}\" where {what} is expected");
        match form {
            Form::Text => Ok(text.into()),
            Form::Number => match text.parse::<i64>() {
                Ok(number) => Ok(number.into()),
                Err(_) => Err(wanted("a whole number")),
            },
            Form::Flag => match text {
                "true" => Ok(true.into()),
                "false" => Ok(false.into()),
                _ => Err(wanted("`true` or `false`")),
            },
            Form::List => {
                let items = text.split(self.separator).map(str::trim);
                Ok(items.filter(|item| !item.is_empty()).collect())
            }
        }
    }
}

/// What a setting is, and so what the text of its parameter stands for.
#[doc(hidden)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    Text,
    Number,
    Flag,
    List,
}

/// The knobs of a strategy, as the build has made them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Knobs {
    pub(crate) all: &'static [Knob],
    /// Of each. Without a build script all are texts.
    pub(crate) forms: &'static [Form],
}

impl Knobs {
    fn each(self) -> impl Iterator<Item = (&'static Knob, Form)> {
        let forms = self
            .forms
            .iter()
            .copied()
            .chain(std::iter::repeat(Form::Text));
        self.all.iter().zip(forms)
    }

    /// A rendered `spec` with what the class says laid over it.
    pub(crate) fn settings(self, spec: &str, parameters: &[Entry]) -> Outcome<Value> {
        let mut spec = match crate::text::parse(spec) {
            Ok(spec) => spec,
            Err(misfit) => return invalid_spec(&misfit.to_string()),
        };
        if let Some(problem) = self.lay_over(&mut spec, parameters).into_iter().next() {
            return invalid(&problem);
        }
        match self.broken_rules(&spec, "/spec").into_iter().next() {
            Some(problem) => invalid(&self.blamed(problem, &spec, parameters)),
            None => Ok(spec),
        }
    }

    /// Why such settings cannot be read.
    #[inline(never)]
    pub(crate) fn unreadable<T>(
        self,
        misfit: &Misfit,
        spec: &Value,
        parameters: &[Entry],
    ) -> Outcome<T> {
        let problem = Problem::at(&format!("/spec{}", misfit.pointer()), misfit.what());
        let blamed = self.blamed(problem, spec, parameters);
        if blamed.path.starts_with("/spec") {
            return invalid_spec(&misfit.to_string());
        }
        invalid(&blamed)
    }

    /// What is wrong with the knobs of a strategy's object that is not rendered yet, and with a class's parameters.
    pub(crate) fn problems<T: serde::de::DeserializeOwned>(
        self,
        spec: &str,
        parameters: &[Entry],
    ) -> Vec<Problem> {
        let Ok(mut spec) = crate::text::parse(spec) else {
            return Vec::new();
        };
        let mut problems = self.broken_rules(&spec, "/spec");
        let mut class = self.lay_over(&mut spec, parameters);
        if class.is_empty() {
            class = self.broken_parameters(&spec, parameters);
            if let Err(misfit) = read_value::<T>(&spec) {
                let problem = Problem::at(&format!("/spec{}", misfit.pointer()), misfit.what());
                class.push(self.blamed(problem, &spec, parameters));
            }
        }
        problems.extend(class);
        problems
    }

    /// Sets in a `spec` what the class says, and tells what it says in another form than the setting has.
    fn lay_over(self, spec: &mut Value, parameters: &[Entry]) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (knob, form) in self.each() {
            let Some(text) = knob.said(spec, parameters) else {
                continue;
            };
            match knob.value(form, text) {
                // A list of nothing but commas.
                Ok(Value::Array(items)) if items.is_empty() => {}
                // What is in the way there is told when the settings are read.
                Ok(value) => {
                    if let Some(place) = place(spec, &knob.pointer()) {
                        *place = value;
                    }
                }
                Err(what) => {
                    problems.push(Problem::at(&format!("/parameters/{}", knob.name), what))
                }
            }
        }
        problems
    }

    /// The settings that break the rule of their knob.
    fn broken_rules(self, spec: &Value, root: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (knob, _) in self.each() {
            let pointer = knob.pointer();
            if let (Some(rule), Some(setting)) = (knob.rule, spec.pointer(&pointer)) {
                rule.judge(&format!("{root}{pointer}"), setting, &mut problems);
            }
        }
        problems
    }

    /// The parameters that do so, in a `spec` with them laid over.
    fn broken_parameters(self, spec: &Value, parameters: &[Entry]) -> Vec<Problem> {
        let mut broken = Vec::new();
        for problem in self.broken_rules(spec, "/spec") {
            let problem = self.blamed(problem, spec, parameters);
            if !problem.path.starts_with("/spec") && !broken.contains(&problem) {
                broken.push(problem);
            }
        }
        broken
    }

    /// A problem of a `spec` with parameters laid over it, said of the parameter where that is where it comes from.
    fn blamed(self, problem: Problem, spec: &Value, parameters: &[Entry]) -> Problem {
        let at = problem.path.strip_prefix("/spec").unwrap_or_default();
        let is_to_blame = |knob: &&Knob| {
            crate::covers(&knob.pointer(), at) && knob.said(spec, parameters).is_some()
        };
        match self.all.iter().find(is_to_blame) {
            Some(knob) => Problem::at(&format!("/parameters/{}", knob.name), problem.message),
            None => problem,
        }
    }
}

fn invalid_spec<T>(misfit: &str) -> Outcome<T> {
    fail("InvalidSpec", format!("the strategy's spec: {misfit}"))
}

/// The problem as a failure.
pub(crate) fn invalid<T>(problem: &Problem) -> Outcome<T> {
    match problem.path.strip_prefix("/parameters/") {
        Some(name) => fail(
            "InvalidParameters",
            format!("the BackupClass's parameters: {name}: {}", problem.message),
        ),
        None => {
            let at = problem.path.trim_start_matches("/spec/").replace('/', ".");
            invalid_spec(&format!("{at}: {}", problem.message))
        }
    }
}

/// A place in a value, made where it is not there; none where something else is in the way.
fn place<'a>(value: &'a mut Value, pointer: &str) -> Option<&'a mut Value> {
    let mut place = value;
    for member in pointer.split('/').skip(1) {
        if place.is_null() {
            *place = json!({});
        }
        place = place.as_object_mut()?.entry(member).or_insert(Value::Null);
    }
    Some(place)
}

/// What the build makes of a knob.
#[cfg(feature = "build")]
impl Knob {
    /// The schema of its parameter, and its form, by the schema of all settings; none where they have no such setting.
    pub(crate) fn described(&self, settings: &Value) -> Option<(Value, Form)> {
        let setting = self.setting(settings)?;
        let form = match setting["type"].as_str() {
            Some("integer" | "number") => Form::Number,
            Some("boolean") => Form::Flag,
            Some("array") => Form::List,
            _ => Form::Text,
        };
        let mut schema = json!({ "type": "string" });
        schema["description"] = self.words(setting, form).into();
        if form == Form::Text {
            // A template may stand for one of the words in the strategy's object, and not in a class.
            let words = [&setting["enum"], &setting["anyOf"][0]["enum"]];
            for (keyword, value) in [
                ("enum", words.into_iter().find(|words| words.is_array())),
                ("maxLength", setting.get("maxLength")),
                ("pattern", setting.get("pattern")),
            ] {
                if let Some(value) = value {
                    schema[keyword] = value.clone();
                }
            }
        }
        let of_form = match (form, setting["minimum"].as_f64()) {
            (Form::Flag, _) => Some("^(true|false)$"),
            (Form::Number, None) => Some("^-?[0-9]+$"),
            (Form::Number, Some(least)) if least < 1.0 => Some("^[0-9]+$"),
            (Form::Number, Some(_)) => Some("^[1-9][0-9]*$"),
            (Form::Text | Form::List, _) => None,
        };
        if let Some(pattern) = self.rule.and_then(|rule| rule.pattern).or(of_form) {
            schema["pattern"] = pattern.into();
        }
        Some((schema, form))
    }

    /// The schema of the setting. What may hold anything holds any setting.
    fn setting<'a>(&self, settings: &'a Value) -> Option<&'a Value> {
        let mut setting = settings;
        for member in self.pointer().split('/').skip(1) {
            match setting["properties"].get(member) {
                Some(inner) => setting = inner,
                None if setting["x-kubernetes-preserve-unknown-fields"] == true => {
                    return Some(&Value::Null);
                }
                None => return None,
            }
        }
        Some(setting)
    }

    /// What the parameter is. What happens when the setting is absent does not hold for the parameter: then it is as the
    /// strategy has it.
    fn words(&self, setting: &Value, form: Form) -> String {
        let of_setting = setting["description"].as_str().unwrap_or_default();
        let kept = of_setting.split(" When absent").next().unwrap_or_default();
        let words = self.about.unwrap_or(kept);
        if form != Form::List {
            return words.to_owned();
        }
        let between = match self.separator {
            ',' => "commas".to_owned(),
            ' ' => "spaces".to_owned(),
            other => format!("`{other}`"),
        };
        format!("{words} With {between} between the items.")
    }
}

#[cfg(test)]
#[path = "knob/tests.rs"]
mod tests;
