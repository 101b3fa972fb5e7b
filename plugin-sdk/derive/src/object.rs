//! A struct: an object with known members.

use proc_macro2::TokenStream;
use quote::{format_ident, quote};
use syn::{Field, FieldsNamed, Ident};

use crate::attributes::Attributes;
use crate::kebab;

/// The code of one field: its entry in the schema and how it is read.
struct Member {
    entry: TokenStream,
    read: TokenStream,
}

pub(crate) fn expand(ident: &Ident, fields: &FieldsNamed) -> syn::Result<TokenStream> {
    let members = fields
        .named
        .iter()
        .map(member)
        .collect::<syn::Result<Vec<_>>>()?;
    let names: Vec<_> = fields
        .named
        .iter()
        .filter_map(|field| field.ident.as_ref())
        .collect();
    // Prefixed, so that a field called `json` or `errors` hides nothing.
    let values: Vec<_> = names
        .iter()
        .map(|name| format_ident!("value_{}", name))
        .collect();
    let entries = members.iter().map(|member| &member.entry);
    let reads = members.iter().map(|member| &member.read);
    // All members are read before the first missing one ends it, so that every error is reported.
    let build = quote! {
        #(let #values = #reads;)*
        ::core::option::Option::Some(Self { #(#names: #values?),* })
    };
    Ok(implementation(ident, quote!(#(#entries),*), build))
}

pub(crate) fn expand_empty(ident: &Ident) -> syn::Result<TokenStream> {
    Ok(implementation(
        ident,
        TokenStream::new(),
        quote!(::core::option::Option::Some(Self)),
    ))
}

fn implementation(ident: &Ident, entries: TokenStream, build: TokenStream) -> TokenStream {
    quote! {
        impl ::tollgate_plugin_sdk::Settings for #ident {
            const SCHEMA: ::tollgate_plugin_sdk::schema::Schema = ::tollgate_plugin_sdk::schema::Schema::Object(&[#entries]);

            fn read(json: &::tollgate_plugin_sdk::json::Json, errors: &mut ::tollgate_plugin_sdk::settings::Errors) -> ::core::option::Option<Self> {
                if !::tollgate_plugin_sdk::settings::check_members(json, &Self::SCHEMA, errors) {
                    return ::core::option::Option::None;
                }
                Self::read_members(json, errors)
            }

            #[allow(unused_variables)]
            fn read_members(json: &::tollgate_plugin_sdk::json::Json, errors: &mut ::tollgate_plugin_sdk::settings::Errors) -> ::core::option::Option<Self> {
                #build
            }
        }
    }
}

fn member(field: &Field) -> syn::Result<Member> {
    let attributes = Attributes::of(&field.attrs)?;
    let name = match (&attributes.name, &field.ident) {
        (Some(name), _) => name.clone(),
        (None, Some(ident)) => kebab(&ident.to_string()),
        (None, None) => String::new(),
    };
    Ok(Member {
        entry: entry(field, &attributes, &name),
        read: read(field, &attributes, &name),
    })
}

fn entry(field: &Field, attributes: &Attributes, name: &str) -> TokenStream {
    let ty = &field.ty;
    let description = &attributes.description;
    let (argument, flatten) = (attributes.argument, attributes.flatten);
    let default = option(attributes.default.as_deref());
    let may_be_required = attributes.default.is_none() && !flatten;
    let schema = match attributes.range {
        Some((minimum, maximum)) => {
            quote!(::tollgate_plugin_sdk::schema::Schema::Integer { minimum: #minimum, maximum: #maximum })
        }
        None => quote!(<#ty as ::tollgate_plugin_sdk::Settings>::SCHEMA),
    };
    quote! {
        ::tollgate_plugin_sdk::schema::Member {
            name: #name,
            description: #description,
            schema: #schema,
            default: #default,
            required: #may_be_required && !<#ty as ::tollgate_plugin_sdk::Settings>::OPTIONAL,
            argument: #argument,
            flatten: #flatten,
        }
    }
}

fn read(field: &Field, attributes: &Attributes, name: &str) -> TokenStream {
    let ty = &field.ty;
    if attributes.flatten {
        return quote!(<#ty as ::tollgate_plugin_sdk::Settings>::read_members(json, errors));
    }
    let default = option(attributes.default.as_deref());
    let check = attributes.range.map(|(minimum, maximum)| {
        quote!(::tollgate_plugin_sdk::settings::check_range(json, #name, #minimum, #maximum, errors);)
    });
    quote!({
        #check
        ::tollgate_plugin_sdk::settings::read_member::<#ty>(json, #name, #default, errors)
    })
}

fn option(text: Option<&str>) -> TokenStream {
    match text {
        Some(text) => quote!(::core::option::Option::Some(#text)),
        None => quote!(::core::option::Option::None),
    }
}
