use std::fmt;

/// Where in a template's text something is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

impl Position {
    /// The position of a byte offset in a text.
    pub(crate) fn of(text: &str, offset: usize) -> Position {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Position {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].chars().count() + 1,
        }
    }
}

/// What is wrong with one string of a document: in its text, when it is compiled, or with the data it meets, when it
/// is rendered.
///
/// The message speaks to the author of the strategy. It names fields, functions and types, never values of the data,
/// which may be secret. What a template says itself with `fail` is passed on as it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct TemplateError {
    /// JSON pointer of the field within the document, such as `/barmanObjectStore/destinationPath`. Empty for the
    /// document itself.
    pub path: String,
    /// Where in the field's text, if that is known.
    pub position: Option<Position>,
    /// What is wrong.
    pub message: String,
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        if let Some(Position { line, column }) = self.position {
            write!(f, " (line {line}, column {column})")?;
        }
        Ok(())
    }
}

/// Something wrong in a text, before the field's path is known.
#[derive(Debug)]
pub(crate) struct Flaw {
    pub(crate) position: Option<Position>,
    pub(crate) message: String,
}

impl Flaw {
    pub(crate) fn at(position: Position, message: impl Into<String>) -> Flaw {
        Flaw {
            position: Some(position),
            message: message.into(),
        }
    }

    pub(crate) fn in_field(self, path: &str) -> TemplateError {
        TemplateError {
            path: path.to_owned(),
            position: self.position,
            message: self.message,
        }
    }
}

/// Why a function, or a step of the walk, refuses to go on.
#[derive(Debug)]
pub(crate) struct Failure(pub(crate) String);

impl From<&str> for Failure {
    fn from(message: &str) -> Failure {
        Failure(message.to_owned())
    }
}

impl From<String> for Failure {
    fn from(message: String) -> Failure {
        Failure(message)
    }
}

/// The result of a step of a rendering.
pub(crate) type Outcome<T> = Result<T, Failure>;
