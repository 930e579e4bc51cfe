//! Turns the engine's tree into one that calls our functions only.
//!
//! | in the tree | becomes | because |
//! |---|---|---|
//! | a printed pipeline | a pipe into a hidden function that prints | Go writes numbers its own way, and printing what is absent may be an error |
//! | a chain of fields | a call of a hidden function | the engine cannot tell absent from null |
//! | the pipeline of a `range` | a pipe into a hidden function that checks it | the engine's error would show the value |
//! | `template "x"` without data | one with nothing as data | Go passes nothing, the engine would pass the dot |
//! | any node | the same after a hidden action | so that errors have a position, and every step costs work |
//!
//! On the way names are resolved: functions, variables and templates that do not exist show when a text is compiled,
//! as they do in Go.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use gotmpl::parse::{
    ActionNode, BranchNode, CommandNode, DefineNode, Expr, ListNode, Node, Number, PipeNode, Pos,
    SmolStr, TemplateNode,
};

use crate::error::{Flaw, Position};
use crate::functions::{self, Kind, hidden};

/// The trees of one text: its body and its definitions, with the names they have in the engine.
pub(crate) type Trees = BTreeMap<String, ListNode>;

/// Rewrites the trees of one text, whose body will be known as `name`.
pub(crate) fn rewritten(
    text: &str,
    name: &str,
    body: ListNode,
    definitions: Vec<DefineNode>,
) -> Result<Trees, Flaw> {
    let mut rewriter = Rewriter {
        text,
        name,
        templates: definitions
            .iter()
            .map(|definition| definition.name.clone())
            .collect(),
        variables: Vec::new(),
        dot_is_element: false,
    };
    let mut trees = Trees::new();
    for definition in definitions {
        rewriter.add(&mut trees, definition)?;
    }
    let body = rewriter.tree(body)?;
    trees.insert(name.to_owned(), body);
    Ok(trees)
}

struct Rewriter<'a> {
    text: &'a str,
    name: &'a str,
    templates: BTreeSet<SmolStr>,
    variables: Vec<Variable>,
    /// The dot is an element of a list or map, so null when it is nothing; elsewhere it is absent then.
    dot_is_element: bool,
}

struct Variable {
    name: SmolStr,
    /// Set by `range` to an element, see [`Rewriter::dot_is_element`].
    is_element: bool,
    /// A variable of a `range` in that range's `else`, where Go and the engine give it different values.
    is_unset: bool,
}

impl Rewriter<'_> {
    fn flaw<T>(&self, at: Pos, message: impl Into<String>) -> Result<T, Flaw> {
        Err(Flaw::at(Position::of(self.text, at.offset), message))
    }

    /// Adds a definition. A blank one gives way to another of its name, two others are too many.
    fn add(&mut self, trees: &mut Trees, definition: DefineNode) -> Result<(), Flaw> {
        let DefineNode { pos, name, body } = definition;
        let key = self.key(&name);
        let is_blank = body.is_empty_tree();
        match trees.get(&key).map(ListNode::is_empty_tree) {
            Some(_) if is_blank => return Ok(()),
            Some(false) => return self.flaw(pos, format!("{name:?} is defined twice")),
            _ => {}
        }
        let body = self.tree(body)?;
        trees.insert(key, body);
        Ok(())
    }

    /// A definition's name in the engine, which holds those of the whole document.
    fn key(&self, name: &str) -> String {
        format!("{}:{name}", self.name)
    }

    /// Rewrites a whole tree, which sees no variables of others.
    fn tree(&mut self, tree: ListNode) -> Result<ListNode, Flaw> {
        self.variables = vec![Variable {
            name: SmolStr::new_static("$"),
            is_element: false,
            is_unset: false,
        }];
        self.dot_is_element = false;
        self.list(tree)
    }

    fn list(&mut self, list: ListNode) -> Result<ListNode, Flaw> {
        let mut nodes = Vec::with_capacity(2 * list.nodes.len());
        for node in list.nodes {
            if let Some(pos) = position(&node) {
                nodes.push(self.mark(pos));
            }
            nodes.push(self.node(node)?);
        }
        Ok(ListNode {
            pos: list.pos,
            nodes,
        })
    }

    /// The hidden action before a node.
    fn mark(&self, pos: Pos) -> Node {
        let Position { line, column } = Position::of(self.text, pos.offset);
        let number = |n: usize| Expr::Number(pos, Number::Int(n as i64));
        Node::Action(ActionNode {
            pos,
            pipe: pipe(pos, call(pos, hidden::AT, [number(line), number(column)])),
        })
    }

    fn node(&mut self, node: Node) -> Result<Node, Flaw> {
        Ok(match node {
            Node::Action(action) => Node::Action(self.action(action)?),
            Node::If(branch) => Node::If(self.branch(branch, Block::If)?),
            Node::With(branch) => Node::With(self.branch(branch, Block::With)?),
            Node::Range(branch) => Node::Range(self.branch(branch, Block::Range)?),
            Node::Template(call) => Node::Template(self.template(call)?),
            Node::List(list) => Node::List(self.list(list)?),
            Node::Text(_) | Node::Define(_) | Node::Break(_) | Node::Continue(_) => node,
        })
    }

    fn action(&mut self, action: ActionNode) -> Result<ActionNode, Flaw> {
        let ActionNode { pos, pipe } = action;
        let prints = pipe.decl.is_empty();
        let source = described(&pipe);
        let mut pipe = self.pipe(pipe, false)?;
        if prints {
            match pipe.commands.as_mut_slice() {
                // A chain of fields is printed by its own function, which knows what of it is absent.
                [command] if is_call(command, hidden::FIELD) => {
                    command.args[0] = identifier(pos, hidden::PRINT_FIELD);
                }
                _ => pipe
                    .commands
                    .push(call(pos, hidden::PRINT, [string(pos, &source)])),
            }
        }
        Ok(ActionNode { pos, pipe })
    }

    fn branch(&mut self, branch: BranchNode, block: Block) -> Result<BranchNode, Flaw> {
        let outer_variables = self.variables.len();
        let outer_dot = self.dot_is_element;
        let is_range = block == Block::Range;

        let mut pipe = self.pipe(branch.pipe, is_range)?;
        if is_range {
            let variables = Expr::Number(pipe.pos, Number::Int(pipe.decl.len() as i64));
            pipe.commands
                .push(call(pipe.pos, hidden::RANGE, [variables]));
        }
        let scope = self.variables.len();
        self.dot_is_element = match block {
            Block::Range => true,
            Block::With => false,
            Block::If => outer_dot,
        };
        let body = self.list(branch.body)?;
        self.variables.truncate(scope);
        for variable in &mut self.variables[outer_variables..] {
            variable.is_unset = is_range;
        }
        self.dot_is_element = outer_dot;
        let else_body = branch.else_body.map(|list| self.list(list)).transpose()?;
        self.variables.truncate(outer_variables);
        Ok(BranchNode {
            pos: branch.pos,
            pipe,
            body,
            else_body,
        })
    }

    fn template(&mut self, node: TemplateNode) -> Result<TemplateNode, Flaw> {
        let TemplateNode { pos, name, pipe } = node;
        if !self.templates.contains(&name) {
            return self.flaw(
                pos,
                format!("template {name:?} is not defined in this text"),
            );
        }
        let pipe = match pipe {
            Some(pipe) => self.pipe(pipe, false)?,
            None => self::pipe(pos, call(pos, hidden::NOTHING, [])),
        };
        Ok(TemplateNode {
            pos,
            name: SmolStr::from(self.key(&name)),
            pipe: Some(pipe),
        })
    }

    fn pipe(&mut self, pipe: PipeNode, of_range: bool) -> Result<PipeNode, Flaw> {
        let mut commands = Vec::with_capacity(pipe.commands.len() + 1);
        for (stage, command) in pipe.commands.into_iter().enumerate() {
            commands.push(self.command(command, stage)?);
        }
        if !pipe.is_assign {
            self.variables.extend(pipe.decl.iter().map(|name| Variable {
                name: name.clone(),
                is_element: of_range,
                is_unset: false,
            }));
        } else {
            for name in &pipe.decl {
                self.variable(pipe.pos, name)?;
            }
        }
        Ok(PipeNode { commands, ..pipe })
    }

    fn command(&mut self, command: CommandNode, stage: usize) -> Result<CommandNode, Flaw> {
        let CommandNode { pos, args } = command;
        let function = match args.first() {
            Some(Expr::Identifier(_, name)) => functions::find(name),
            Some(
                Expr::Dot(_) | Expr::Nil(_) | Expr::Bool(..) | Expr::Number(..) | Expr::String(..),
            ) if stage > 0 => {
                return self.flaw(
                    pos,
                    "this is not a function, so nothing can be piped into it",
                );
            }
            _ => None,
        };
        let alone = args.len() == 1 && stage == 0;
        let mut rewritten = Vec::with_capacity(args.len());
        for (index, argument) in args.into_iter().enumerate() {
            let wanted = function.and_then(|function| function.kind(index.checked_sub(1)?));
            rewritten.push(match (self.expr(argument)?, wanted) {
                // `2.0` is as good as `2` where Go wants an integer, if it is written in the template.
                (Expr::Number(pos, Number::Float(float)), Some(Kind::Int))
                    if float.trunc() == float && float.abs() < 1e18 =>
                {
                    Expr::Number(pos, Number::Int(float as i64))
                }
                // A chain of fields that is the whole command needs no parentheses around its call.
                (Expr::Pipe(pos, mut pipe), _) if alone => match pipe.commands.pop() {
                    Some(command)
                        if pipe.commands.is_empty() && is_call(&command, hidden::FIELD) =>
                    {
                        return Ok(command);
                    }
                    last => {
                        pipe.commands.extend(last);
                        Expr::Pipe(pos, pipe)
                    }
                },
                (argument, _) => argument,
            });
        }
        Ok(CommandNode {
            pos,
            args: rewritten,
        })
    }

    fn expr(&mut self, expr: Expr) -> Result<Expr, Flaw> {
        Ok(match expr {
            Expr::Field(pos, fields) => {
                let is_element = self.dot_is_element;
                self.fields(pos, "", is_element, Expr::Dot(pos), &fields)
            }
            Expr::Variable(pos, name, fields) => {
                let is_element = self.variable(pos, &name)?;
                let variable = Expr::Variable(pos, name.clone(), Vec::new());
                if fields.is_empty() {
                    variable
                } else {
                    self.fields(pos, &name, is_element, variable, &fields)
                }
            }
            Expr::Chain(pos, inner, fields) => {
                let inner = self.expr(*inner)?;
                self.fields(pos, "(…)", false, inner, &fields)
            }
            Expr::Pipe(pos, pipe) => Expr::Pipe(pos, self.pipe(pipe, false)?),
            Expr::Identifier(pos, ref name) => match functions::refusal(name) {
                Some(refusal) => return self.flaw(pos, refusal),
                None => expr,
            },
            Expr::Dot(_) | Expr::String(..) | Expr::Number(..) | Expr::Bool(..) | Expr::Nil(_) => {
                expr
            }
        })
    }

    /// Finds a variable; says whether `range` set it to an element.
    fn variable(&self, pos: Pos, name: &str) -> Result<bool, Flaw> {
        match self.variables.iter().rev().find(|known| known.name == name) {
            Some(variable) if variable.is_unset => self.flaw(
                pos,
                format!("variable {name:?} is not set in the else of its range"),
            ),
            Some(variable) => Ok(variable.is_element),
            None => self.flaw(pos, format!("variable {name:?} is not declared here")),
        }
    }

    fn fields(
        &self,
        pos: Pos,
        of: &str,
        is_element: bool,
        receiver: Expr,
        fields: &[SmolStr],
    ) -> Expr {
        let mut arguments = vec![string(pos, of), Expr::Bool(pos, is_element), receiver];
        arguments.extend(fields.iter().map(|field| string(pos, field)));
        Expr::Pipe(pos, pipe(pos, call(pos, hidden::FIELD, arguments)))
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Block {
    If,
    With,
    Range,
}

/// Where a node that can fail begins.
fn position(node: &Node) -> Option<Pos> {
    match node {
        Node::Action(action) => Some(action.pos),
        Node::If(branch) | Node::With(branch) | Node::Range(branch) => Some(branch.pos),
        Node::Template(template) => Some(template.pos),
        Node::Text(_) | Node::List(_) | Node::Define(_) | Node::Break(_) | Node::Continue(_) => {
            None
        }
    }
}

/// What a pipeline's value is called when it turns out to be nothing.
fn described(pipe: &PipeNode) -> String {
    let Some(last) = pipe
        .commands
        .last()
        .and_then(|command| command.args.first())
    else {
        return "the value".to_owned();
    };
    match last {
        Expr::Identifier(_, name) => format!("the result of {name}"),
        Expr::Variable(_, name, _) => name.to_string(),
        Expr::Dot(_) => "the dot".to_owned(),
        _ => "the value".to_owned(),
    }
}

fn identifier(pos: Pos, name: &str) -> Expr {
    Expr::Identifier(pos, SmolStr::from(name))
}

fn string(pos: Pos, text: &str) -> Expr {
    Expr::String(pos, Arc::from(text))
}

fn call(pos: Pos, function: &str, arguments: impl IntoIterator<Item = Expr>) -> CommandNode {
    let mut args = vec![identifier(pos, function)];
    args.extend(arguments);
    CommandNode { pos, args }
}

fn pipe(pos: Pos, command: CommandNode) -> PipeNode {
    PipeNode {
        pos,
        decl: Vec::new(),
        commands: vec![command],
        is_assign: false,
    }
}

fn is_call(command: &CommandNode, function: &str) -> bool {
    matches!(command.args.first(), Some(Expr::Identifier(_, name)) if name == function)
}
