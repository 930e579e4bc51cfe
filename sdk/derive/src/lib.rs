//! A `JsonSchema` derive that writes nothing.
//!
//! The schemas of a strategy's settings are written when the strategy is built, by the derive of the same
//! name of `schemars` in its build script. The component itself needs none of it, and would be 70 KB larger.
//! The same file of settings is compiled in both places; `backup_strategy::schema` decides which derive it is.

use proc_macro::TokenStream;

/// Accepts what the derive of `schemars` accepts, and writes nothing.
#[proc_macro_derive(JsonSchema, attributes(schemars, serde))]
pub fn json_schema(_item: TokenStream) -> TokenStream {
    TokenStream::new()
}
