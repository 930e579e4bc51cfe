//! Reads the actions of a text before the engine parses it, and refuses what the engine lets pass.
//!
//! The engine's parser trusts the structure of blocks: a stray `end` drops the rest of the text without a word, an
//! unclosed `if` passes, an `else` may come twice. This scan reads tokens as Go's lexer does, keeps a stack of open
//! blocks, and bounds what later recursion depends on. What an action says beyond that is left to the parser.

use crate::error::{Flaw, Position};
use crate::limits;

mod token;

use token::{Kind, Token};

/// Checks a template's text.
pub(crate) fn check(text: &str) -> Result<(), Flaw> {
    if text.len() > limits::TEMPLATE_BYTES {
        return Err(Flaw {
            position: None,
            message: format!("the template is over {} bytes long", limits::TEMPLATE_BYTES),
        });
    }
    let mut scan = Scan {
        blocks: Vec::new(),
        definitions: 0,
    };
    scan.read(text)
        .map_err(|Fault { offset, message }| Flaw::at(Position::of(text, offset), message))
}

/// What is wrong, and at which byte.
#[derive(Debug)]
struct Fault {
    offset: usize,
    message: String,
}

fn fault<T>(offset: usize, message: impl Into<String>) -> Result<T, Fault> {
    Err(Fault {
        offset,
        message: message.into(),
    })
}

/// A block that waits for its `end`.
struct Block<'a> {
    keyword: &'a str,
    offset: usize,
    /// The final `else` was seen.
    in_else: bool,
    /// Each `else if` is a level of recursion, as a block is.
    levels: usize,
}

struct Scan<'a> {
    blocks: Vec<Block<'a>>,
    definitions: usize,
}

impl<'a> Scan<'a> {
    fn read(&mut self, text: &'a str) -> Result<(), Fault> {
        let mut at = 0;
        while let Some(open) = text[at..].find("{{") {
            let open = at + open;
            if let Some(end) = token::comment(text, open)? {
                at = end;
                continue;
            }
            let (tokens, end) = token::action(text, open)?;
            self.action(text, open, &tokens)?;
            at = end;
        }
        match self.blocks.last() {
            None => Ok(()),
            Some(block) => fault(
                block.offset,
                format!("this {{{{ {} }}}} has no {{{{ end }}}}", block.keyword),
            ),
        }
    }

    fn action(&mut self, text: &'a str, open: usize, tokens: &[Token]) -> Result<(), Fault> {
        spacing(text, tokens)?;
        let solid: Vec<Token> = tokens
            .iter()
            .copied()
            .filter(|token| token.kind != Kind::Space)
            .collect();
        let Some((first, rest)) = solid.split_first() else {
            return fault(open, "this action is empty");
        };
        let keyword = first.text(text);
        match keyword {
            _ if first.kind != Kind::Word => self.plain(text, &solid),
            "if" | "with" | "range" => {
                self.plain(text, rest)?;
                declarations(rest, keyword == "range")?;
                self.open(keyword, first.start)
            }
            "else" => self.branch(text, first.start, rest),
            "end" => self.close(first.start, rest),
            "define" => {
                if !self.blocks.is_empty() {
                    return fault(first.start, "define cannot stand inside another block");
                }
                self.define(keyword, first.start)
            }
            "block" => {
                if rest.len() < 2 {
                    return fault(first.start, "block needs a name and a value");
                }
                self.plain(text, rest)?;
                self.define(keyword, first.start)
            }
            "template" => self.plain(text, rest),
            "break" | "continue" => self.leave(keyword, first.start, rest),
            _ => {
                self.plain(text, &solid)?;
                declarations(&solid, false)
            }
        }
    }

    /// Checks an action's tokens after the keyword.
    fn plain(&self, text: &str, tokens: &[Token]) -> Result<(), Fault> {
        let mut parentheses: Vec<usize> = Vec::new();
        let levels: usize = self.blocks.iter().map(|block| block.levels).sum();
        for token in tokens {
            match token.kind {
                Kind::Open => {
                    parentheses.push(token.start);
                    if levels + parentheses.len() > limits::NESTING {
                        return fault(token.start, too_deep());
                    }
                }
                Kind::Close if parentheses.pop().is_none() => {
                    return fault(token.start, "this parenthesis was never opened");
                }
                Kind::Word if token::is_keyword(token.text(text)) => {
                    return fault(
                        token.start,
                        format!("unexpected {:?} in this place", token.text(text)),
                    );
                }
                _ => {}
            }
        }
        match parentheses.pop() {
            Some(offset) => fault(offset, "this parenthesis is never closed"),
            None => declarations(tokens, true),
        }
    }

    fn open(&mut self, keyword: &'a str, offset: usize) -> Result<(), Fault> {
        self.blocks.push(Block {
            keyword,
            offset,
            in_else: false,
            levels: 1,
        });
        self.check_levels(offset)
    }

    fn check_levels(&self, offset: usize) -> Result<(), Fault> {
        let levels: usize = self.blocks.iter().map(|block| block.levels).sum();
        if levels > limits::NESTING {
            return fault(offset, too_deep());
        }
        Ok(())
    }

    fn define(&mut self, keyword: &'a str, offset: usize) -> Result<(), Fault> {
        self.definitions += 1;
        if self.definitions > limits::DEFINITIONS {
            return fault(offset, format!("over {} definitions", limits::DEFINITIONS));
        }
        self.open(keyword, offset)
    }

    fn branch(&mut self, text: &'a str, offset: usize, rest: &[Token]) -> Result<(), Fault> {
        let Some(block) = self.blocks.last_mut() else {
            return fault(offset, "this else belongs to no block");
        };
        if !matches!(block.keyword, "if" | "with" | "range") {
            return fault(offset, format!("{} can have no else", block.keyword));
        }
        if block.in_else {
            return fault(
                offset,
                format!("this {} has an else already", block.keyword),
            );
        }
        let Some((next, condition)) = rest.split_first() else {
            block.in_else = true;
            return Ok(());
        };
        let word = next.text(text);
        if next.kind != Kind::Word || word != block.keyword || word == "range" {
            return fault(
                next.start,
                format!("unexpected {word:?} after the else of a {}", block.keyword),
            );
        }
        block.levels += 1;
        self.plain(text, condition)?;
        declarations(condition, false)?;
        self.check_levels(offset)
    }

    fn close(&mut self, offset: usize, rest: &[Token]) -> Result<(), Fault> {
        if let Some(token) = rest.first() {
            return fault(token.start, "nothing can follow end");
        }
        match self.blocks.pop() {
            Some(_) => Ok(()),
            None => fault(offset, "this end belongs to no block"),
        }
    }

    fn leave(&self, keyword: &str, offset: usize, rest: &[Token]) -> Result<(), Fault> {
        if let Some(token) = rest.first() {
            return fault(token.start, format!("nothing can follow {keyword}"));
        }
        let in_range = self
            .blocks
            .iter()
            .rev()
            .take_while(|block| !matches!(block.keyword, "define" | "block"))
            .any(|block| block.keyword == "range" && !block.in_else);
        if !in_range {
            return fault(offset, format!("{keyword} outside of a range"));
        }
        Ok(())
    }
}

fn too_deep() -> String {
    format!(
        "blocks, else ifs and parentheses are nested over {} deep",
        limits::NESTING
    )
}

/// Operands must be set apart: `printf"x"` and `"a".b` are no Go.
fn spacing(text: &str, tokens: &[Token]) -> Result<(), Fault> {
    for pair in tokens.windows(2) {
        let &[left, right] = pair else { continue };
        let fits = match left.kind {
            Kind::Space | Kind::Pipe | Kind::Open | Kind::Declare | Kind::Comma => true,
            Kind::Word if token::is_keyword(left.text(text)) => true,
            _ if matches!(right.kind, Kind::Space | Kind::Pipe | Kind::Close) => true,
            Kind::Variable if matches!(right.kind, Kind::Comma | Kind::Declare) => true,
            Kind::Variable | Kind::Field | Kind::Word | Kind::Close => right.kind == Kind::Field,
            Kind::Dot | Kind::Number | Kind::Char | Kind::Text => false,
        };
        if !fits {
            return fault(
                right.start,
                format!("unexpected {:?} in this place", right.text(text)),
            );
        }
    }
    Ok(())
}

/// Variables are declared or assigned at an action's start only; two at once by `range` only.
fn declarations(tokens: &[Token], two_allowed: bool) -> Result<(), Fault> {
    let kinds: Vec<Kind> = tokens.iter().take(4).map(|token| token.kind).collect();
    let start = match kinds.as_slice() {
        [Kind::Variable, Kind::Declare, ..] => 2,
        [Kind::Variable, Kind::Comma, Kind::Variable, Kind::Declare] if two_allowed => 4,
        _ => 0,
    };
    let stray = tokens[start..]
        .iter()
        .find(|token| matches!(token.kind, Kind::Declare | Kind::Comma));
    match stray {
        Some(token) => fault(
            token.start,
            "variables are declared at the start of an action, one at a time or, by range, two",
        ),
        None => Ok(()),
    }
}
