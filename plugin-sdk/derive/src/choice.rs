//! An enum of plain variants: one of these strings.

use proc_macro2::TokenStream;
use quote::quote;
use syn::{DataEnum, Error, Ident};

use crate::attributes::Attributes;
use crate::kebab;

pub(crate) fn expand(ident: &Ident, data: &DataEnum) -> syn::Result<TokenStream> {
    let mut names = Vec::new();
    let mut arms = Vec::new();
    for (index, variant) in data.variants.iter().enumerate() {
        if !variant.fields.is_empty() {
            return Err(Error::new_spanned(
                variant,
                "a choice is a plain word: variants have no fields",
            ));
        }
        let name = Attributes::of(&variant.attrs)?.name;
        names.push(name.unwrap_or_else(|| kebab(&variant.ident.to_string())));
        let variant = &variant.ident;
        arms.push(quote!(#index => ::core::option::Option::Some(#ident::#variant)));
    }
    Ok(quote! {
        impl ::tollgate_plugin_sdk::Settings for #ident {
            const SCHEMA: ::tollgate_plugin_sdk::schema::Schema = ::tollgate_plugin_sdk::schema::Schema::Choice(&[#(#names),*]);

            fn read(json: &::tollgate_plugin_sdk::json::Json, errors: &mut ::tollgate_plugin_sdk::settings::Errors) -> ::core::option::Option<Self> {
                match ::tollgate_plugin_sdk::settings::read_choice(json, &[#(#names),*], errors)? {
                    #(#arms,)*
                    _ => ::core::option::Option::None,
                }
            }
        }
    })
}
