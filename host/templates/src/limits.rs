//! The limits, all of them counts: the same input gives the same answer on any machine, which a deadline would not.
//!
//! They are far above what a strategy needs and far below what hurts the host. Limits on templates are checked when a
//! document is compiled, limits on work while it renders.

/// Bytes of one template's text. The longest shipped one, a shell script, has under 8 KiB.
pub const TEMPLATE_BYTES: usize = 64 * 1024;

/// Blocks, `else if`s and parentheses open at one place, together: each is a level of recursion in the engine, whose
/// own limit does not count `else if`.
pub const NESTING: usize = 100;

/// `define` and `block` in one template. With more, templates that call each other twice could run for ever within
/// the engine's limit on depth, though not within the limit on work.
pub const DEFINITIONS: usize = 32;

/// Steps of all `range` loops of one string's rendering.
pub const RANGE_STEPS: u64 = 10_000;

/// Bytes that one string may become, and that one function may make. An object in the cluster has 1.5 MiB at most.
pub const OUTPUT_BYTES: usize = 1024 * 1024;

/// Bytes and elements in the arguments of one call. What is counted is what a walk would see: a list that holds the
/// same list a thousand times is small in memory and huge when printed.
pub const ARGUMENT_SIZE: usize = 256 * 1024;

/// Levels of lists and maps in the arguments of one call.
pub const VALUE_NESTING: usize = 64;

/// Levels of lists and maps in the data and in the document: what `serde_json` reads.
pub const DATA_NESTING: usize = 128;

/// Elements of a list made from numbers: `until`, `untilStep`, `seq`.
pub const LIST_ELEMENTS: i64 = 10_000;

/// Width and precision of a verb of `printf`.
pub const PRINTF_WIDTH: usize = 10_000;

/// Elements of a list given to `uniq`, which compares each with each.
pub const UNIQ_ELEMENTS: usize = 1_000;

/// Bytes of a compiled regular expression.
pub const REGEX_BYTES: usize = 1024 * 1024;

/// Work of one document's rendering, in bytes that were looked at or made. Ten times what was seen to be useful; used
/// up in well under a second.
pub const WORK: u64 = 16 * 1024 * 1024;
