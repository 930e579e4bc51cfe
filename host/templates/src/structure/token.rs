//! The tokens of an action, as Go's lexer reads them.

use super::{Fault, fault};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A run of blanks.
    Space,
    /// A function, keyword, boolean or `nil`.
    Word,
    /// `.name`
    Field,
    /// `.` alone
    Dot,
    /// `$` or `$name`
    Variable,
    Number,
    /// `'a'`
    Char,
    /// `"a"` or a raw string
    Text,
    Pipe,
    /// `:=` or `=`
    Declare,
    Comma,
    Open,
    Close,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Token {
    pub(super) kind: Kind,
    pub(super) start: usize,
    end: usize,
}

impl Token {
    pub(super) fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Words that are no operands. `nil` is a keyword to Go as well, but stands where operands stand.
pub(super) fn is_keyword(word: &str) -> bool {
    matches!(
        word,
        "block"
            | "break"
            | "continue"
            | "define"
            | "else"
            | "end"
            | "if"
            | "range"
            | "template"
            | "with"
    )
}

fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(c: char) -> bool {
    use unicode_general_category::{GeneralCategory as G, get_general_category};
    c == '_'
        || c.is_ascii_alphanumeric()
        || !c.is_ascii()
            && matches!(
                get_general_category(c),
                G::UppercaseLetter
                    | G::LowercaseLetter
                    | G::TitlecaseLetter
                    | G::ModifierLetter
                    | G::OtherLetter
                    | G::DecimalNumber
            )
}

/// The place after `{{` and a trim marker, if there is one: a dash with a blank behind it.
fn after_open(text: &str, open: usize) -> usize {
    let inside = open + 2;
    let mut chars = text[inside..].chars();
    match (chars.next(), chars.next()) {
        (Some('-'), Some(blank)) if is_space(blank) => inside + 2,
        _ => inside,
    }
}

/// The end of a closing delimiter that stands here, with or without a trim marker.
fn close_at(text: &str, at: usize) -> Option<usize> {
    let rest = &text[at..];
    if rest.starts_with("}}") {
        return Some(at + 2);
    }
    let mut chars = rest.chars();
    (chars.next().is_some_and(is_space) && chars.as_str().starts_with("-}}")).then_some(at + 4)
}

/// The end of a comment that opens here, if it is one.
pub(super) fn comment(text: &str, open: usize) -> Result<Option<usize>, Fault> {
    let inside = after_open(text, open);
    if !text[inside..].starts_with("/*") {
        return Ok(None);
    }
    let Some(length) = text[inside + 2..].find("*/") else {
        return fault(open, "this comment is never closed");
    };
    match close_at(text, inside + 2 + length + 2) {
        Some(end) => Ok(Some(end)),
        None => fault(open, "a comment must fill its action: {{/* like this */}}"),
    }
}

/// The tokens of the action that opens here, and where it ends.
pub(super) fn action(text: &str, open: usize) -> Result<(Vec<Token>, usize), Fault> {
    let mut reader = Reader {
        text,
        at: after_open(text, open),
    };
    let mut tokens = Vec::new();
    loop {
        if let Some(end) = close_at(text, reader.at) {
            return Ok((tokens, end));
        }
        let start = reader.at;
        let Some(first) = reader.next() else {
            return fault(open, "this action is never closed");
        };
        let kind = reader.token(first, start)?;
        tokens.push(Token {
            kind,
            start,
            end: reader.at,
        });
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn skip_while(&mut self, wanted: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&wanted) {
            self.next();
        }
    }

    fn accept(&mut self, wanted: &[char]) -> bool {
        let found = self.peek().is_some_and(|c| wanted.contains(&c));
        if found {
            self.next();
        }
        found
    }

    fn token(&mut self, first: char, start: usize) -> Result<Kind, Fault> {
        match first {
            _ if is_space(first) => {
                // The last blank before `-}}` belongs to the delimiter.
                while self.peek().is_some_and(is_space) && close_at(self.text, self.at).is_none() {
                    self.next();
                }
                Ok(Kind::Space)
            }
            '=' => Ok(Kind::Declare),
            ':' if self.accept(&['=']) => Ok(Kind::Declare),
            '|' => Ok(Kind::Pipe),
            ',' => Ok(Kind::Comma),
            '(' => Ok(Kind::Open),
            ')' => Ok(Kind::Close),
            '"' => self.quoted('"', start).map(|()| Kind::Text),
            '`' => self.raw(start).map(|()| Kind::Text),
            '\'' => self.quoted('\'', start).map(|()| Kind::Char),
            '$' => self.name(start).map(|_| Kind::Variable),
            '.' if self.peek().is_some_and(|c| c.is_ascii_digit()) => self.number(start),
            '.' => self
                .name(start)
                .map(|named| if named { Kind::Field } else { Kind::Dot }),
            '+' | '-' | '0'..='9' => self.number(start),
            _ if is_alphanumeric(first) => self.name(start).map(|_| Kind::Word),
            _ => fault(start, format!("unexpected {first:?} in an action")),
        }
    }

    /// Reads a name to its end, where a separator must stand. Says whether there was one.
    fn name(&mut self, start: usize) -> Result<bool, Fault> {
        let before = self.at;
        self.skip_while(is_alphanumeric);
        let named = self.at > before;
        let ended = match self.peek() {
            None => true,
            Some(c) => is_space(c) || matches!(c, '.' | ',' | '|' | ':' | ')' | '('),
        } || self.text[self.at..].starts_with("}}");
        match (ended, self.peek()) {
            (false, Some(bad)) => fault(
                self.at,
                format!("unexpected {bad:?} after {:?}", &self.text[start..self.at]),
            ),
            _ => Ok(named),
        }
    }

    fn number(&mut self, start: usize) -> Result<Kind, Fault> {
        self.at = start;
        self.accept(&['+', '-']);
        let mut digits: fn(char) -> bool = |c| c.is_ascii_digit() || c == '_';
        let mut exponent: &[char] = &['e', 'E'];
        if self.accept(&['0']) {
            if self.accept(&['x', 'X']) {
                digits = |c| c.is_ascii_hexdigit() || c == '_';
                exponent = &['p', 'P'];
            } else if self.accept(&['o', 'O', 'b', 'B']) {
                exponent = &[];
            }
        }
        self.skip_while(digits);
        if self.accept(&['.']) {
            self.skip_while(digits);
        }
        if self.accept(exponent) {
            self.accept(&['+', '-']);
            self.skip_while(|c| c.is_ascii_digit() || c == '_');
        }
        let number = &self.text[start..self.at];
        if !number.contains(|c: char| c.is_ascii_digit())
            || self.peek().is_some_and(is_alphanumeric)
        {
            return fault(start, "this is not a number");
        }
        Ok(Kind::Number)
    }

    fn raw(&mut self, start: usize) -> Result<(), Fault> {
        match self.text[self.at..].find('`') {
            Some(length) => {
                self.at += length + 1;
                Ok(())
            }
            None => fault(start, "this string is never closed"),
        }
    }

    fn quoted(&mut self, quote: char, start: usize) -> Result<(), Fault> {
        loop {
            let here = self.at;
            match self.next() {
                Some(c) if c == quote => return Ok(()),
                Some('\\') => self.escape(quote, here)?,
                None | Some('\n') => return fault(start, "this string is never closed"),
                Some(_) => {}
            }
        }
    }

    /// Checks an escape as `strconv.Unquote` does. A byte over 0x7f is refused: alone it is no text, and the engine
    /// would read it as a character.
    fn escape(&mut self, quote: char, here: usize) -> Result<(), Fault> {
        let after = self.next();
        let (digits, radix) = match after {
            Some('a' | 'b' | 'f' | 'n' | 'r' | 't' | 'v' | '\\') => return Ok(()),
            Some(c) if c == quote => return Ok(()),
            Some('x') => (2, 16),
            Some('u') => (4, 16),
            Some('U') => (8, 16),
            Some('0'..='7') => {
                self.at -= 1;
                (3, 8)
            }
            _ => {
                return fault(
                    here,
                    "no such escape in a string; write \\\\ for a backslash",
                );
            }
        };
        let code = self.text.get(self.at..self.at + digits);
        let code = code.filter(|code| code.bytes().all(|b| b.is_ascii_hexdigit()));
        let code = code.and_then(|code| u32::from_str_radix(code, radix).ok());
        let is_byte = !matches!(after, Some('u' | 'U'));
        match code {
            Some(code) if is_byte && code > 0x7f => fault(
                here,
                "escapes of bytes end at \\x7f; write \\u00e9 for a character",
            ),
            Some(code) if char::from_u32(code).is_some() => {
                self.at += digits;
                Ok(())
            }
            _ => fault(here, "this escape is no character"),
        }
    }
}
