//! The contract's types and functions, generated from `wit/strategy.wit`. Authors meet only what the crate
//! gives out again.
#![allow(
    unsafe_code,
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    reason = "generated, and the only place where the component's memory is handled by hand"
)]

wit_bindgen::generate!({
    path: "wit",
    world: "backup-strategy",
    additional_derives: [PartialEq, Eq],
    pub_export_macro: true,
    default_bindings_module: "backup_strategy::bindings",
});
