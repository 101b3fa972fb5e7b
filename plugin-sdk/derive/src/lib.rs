//! `#[derive(Settings)]` of `tollgate-plugin-sdk`; the trait `Settings` there documents what it accepts.

mod attributes;
mod choice;
mod object;

use proc_macro::TokenStream;
use syn::{Data, DeriveInput, Error, Fields, parse_macro_input};

/// Implements `tollgate_plugin_sdk::Settings` for a struct with named fields or an enum of plain variants.
#[proc_macro_derive(Settings, attributes(setting))]
pub fn derive_settings(input: TokenStream) -> TokenStream {
    let input = parse_macro_input!(input as DeriveInput);
    expand(&input)
        .unwrap_or_else(Error::into_compile_error)
        .into()
}

fn expand(input: &DeriveInput) -> syn::Result<proc_macro2::TokenStream> {
    if !input.generics.params.is_empty() {
        return Err(Error::new_spanned(
            &input.generics,
            "settings cannot be generic: their schema is one constant",
        ));
    }
    match &input.data {
        Data::Struct(data) => match &data.fields {
            Fields::Named(fields) => object::expand(&input.ident, fields),
            Fields::Unit => object::expand_empty(&input.ident),
            Fields::Unnamed(_) => Err(Error::new_spanned(
                &input.ident,
                "settings are named: give the fields names",
            )),
        },
        Data::Enum(data) => choice::expand(&input.ident, data),
        Data::Union(_) => Err(Error::new_spanned(
            &input.ident,
            "a union cannot be settings",
        )),
    }
}

/// `EscapedSlashes` and `escaped_slashes` are written `escaped-slashes`.
fn kebab(name: &str) -> String {
    let mut kebab = String::new();
    for (index, character) in name.trim_start_matches("r#").chars().enumerate() {
        if character == '_' {
            kebab.push('-');
        } else if character.is_ascii_uppercase() {
            if index > 0 {
                kebab.push('-');
            }
            kebab.push(character.to_ascii_lowercase());
        } else {
            kebab.push(character);
        }
    }
    kebab
}

#[cfg(test)]
mod tests {
    #[test]
    fn names_become_kebab_case() {
        let cases = [
            ("rate", "rate"),
            ("trust_incoming", "trust-incoming"),
            ("r#match", "match"),
            ("DropAll", "drop-all"),
        ];
        for (rust, kdl) in cases {
            assert_eq!(super::kebab(rust), kdl);
        }
    }
}
