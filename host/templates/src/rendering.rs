//! What one rendering knows, and what it may still use.
//!
//! The engine calls functions with their arguments and nothing else, so a rendering's state sits in a thread-local
//! while the engine runs. It is set and cleared in one place, [`Rendering::run`].

use std::cell::{Cell, RefCell};
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use crate::error::{Outcome, Position};
use crate::limits;
use crate::print;
use crate::value::{Map, Value};

/// What happens to absent values, such as `.Parameters.bucket` where there is no such parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Missing {
    /// Go's default: an absent or null value prints as `<no value>`. For text that must be byte-equal to Cozystack's.
    Go,
    /// An absent or null value may be tested, defaulted and passed on, but not printed: neither by an action, nor by
    /// `print`, `printf` and the like. A complaint of `printf`, such as `%!d(string=x)`, is an error as well.
    ///
    /// For buckets, paths, endpoints and names of objects, where a marker means a backup in the wrong place.
    #[default]
    Print,
    /// Go's `missingkey=error`: reading an absent key by field is an error, even to test or default it. `index`, `get`,
    /// `dig` and `hasKey` still may. A null prints as `<no value>`.
    Error,
}

/// The state of one rendering of one document.
#[derive(Debug)]
pub(crate) struct Rendering {
    pub(crate) missing: Missing,
    string_maps: Vec<Arc<Map>>,
    work: Cell<u64>,
    position: Cell<Option<Position>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Rendering>>> = const { RefCell::new(None) };
}

/// Clears the thread's rendering, also when the engine's walk is left by a panic.
struct Clear;

impl Drop for Clear {
    fn drop(&mut self) {
        CURRENT.set(None);
    }
}

impl Rendering {
    pub(crate) fn new(missing: Missing, string_maps: Vec<Arc<Map>>) -> Rc<Rendering> {
        Rc::new(Rendering {
            missing,
            string_maps,
            work: Cell::new(limits::WORK),
            position: Cell::new(None),
        })
    }

    /// Runs the engine with this state.
    pub(crate) fn run<T>(self: &Rc<Self>, engine: impl FnOnce() -> T) -> T {
        CURRENT.set(Some(Rc::clone(self)));
        let _clear = Clear;
        engine()
    }

    /// The state of the rendering that runs on this thread.
    pub(crate) fn current() -> Outcome<Rc<Rendering>> {
        CURRENT
            .with_borrow(Option::clone)
            .ok_or_else(|| "called outside of a rendering".into())
    }

    /// Takes work from what is left.
    pub(crate) fn charge(&self, work: u64) -> Outcome<()> {
        let left = self.work.get().checked_sub(work);
        self.work.set(left.unwrap_or(0));
        match left {
            Some(_) => Ok(()),
            None => Err("the template does too much work".into()),
        }
    }

    /// Notes which node of the template runs, for errors.
    pub(crate) fn at(&self, position: Option<Position>) {
        self.position.set(position);
    }

    pub(crate) fn position(&self) -> Option<Position> {
        self.position.get()
    }

    /// Whether a map is a string map in Go, where an absent key reads as the empty string.
    pub(crate) fn is_string_map(&self, map: &Arc<Map>) -> bool {
        self.string_maps.iter().any(|known| Arc::ptr_eq(known, map))
    }

    /// Whether markers for absent values, and complaints, may be printed.
    pub(crate) fn prints_markers(&self) -> bool {
        self.missing != Missing::Print
    }

    /// A value as text, as Go's `%v` has it.
    pub(crate) fn show(&self, value: &Value) -> Outcome<String> {
        if matches!(value, Value::Nil) && !self.prints_markers() {
            return Err("would print an absent or null value".into());
        }
        print::show(value)
    }
}

/// Where a rendered string goes: as much as allowed, then an error.
pub(crate) struct Output<'a> {
    pub(crate) text: String,
    pub(crate) overflow: Option<String>,
    rendering: &'a Rendering,
}

impl<'a> Output<'a> {
    pub(crate) fn new(rendering: &'a Rendering) -> Output<'a> {
        Output {
            text: String::new(),
            overflow: None,
            rendering,
        }
    }
}

impl fmt::Write for Output<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if self.text.len() + text.len() > limits::OUTPUT_BYTES {
            self.overflow = Some(format!(
                "the text would be over {} bytes",
                limits::OUTPUT_BYTES
            ));
            return Err(fmt::Error);
        }
        if let Err(failure) = self.rendering.charge(text.len() as u64) {
            self.overflow = Some(failure.0);
            return Err(fmt::Error);
        }
        self.text.push_str(text);
        Ok(())
    }
}
