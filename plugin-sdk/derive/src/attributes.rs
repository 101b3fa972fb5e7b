//! What `#[setting(...)]` and doc comments say of a field.

use syn::meta::ParseNestedMeta;
use syn::{Attribute, Expr, ExprLit, Lit, LitInt, LitStr, Meta, Token};

/// The attributes of one field or variant.
#[derive(Default)]
pub(crate) struct Attributes {
    pub(crate) name: Option<String>,
    /// JSON text.
    pub(crate) default: Option<String>,
    pub(crate) range: Option<(i64, i64)>,
    pub(crate) argument: bool,
    pub(crate) flatten: bool,
    pub(crate) description: String,
}

impl Attributes {
    pub(crate) fn of(attributes: &[Attribute]) -> syn::Result<Self> {
        let mut found = Self::default();
        for attribute in attributes {
            if attribute.path().is_ident("setting") {
                attribute.parse_nested_meta(|meta| found.read(&meta))?;
            } else if attribute.path().is_ident("doc") {
                found.add_doc_line(&attribute.meta);
            }
        }
        Ok(found)
    }

    fn read(&mut self, meta: &ParseNestedMeta) -> syn::Result<()> {
        if meta.path.is_ident("name") {
            self.name = Some(meta.value()?.parse::<LitStr>()?.value());
        } else if meta.path.is_ident("default") {
            self.default = Some(default_json(meta)?);
        } else if meta.path.is_ident("range") {
            self.range = Some(range(meta)?);
        } else if meta.path.is_ident("argument") {
            self.argument = true;
        } else if meta.path.is_ident("flatten") {
            self.flatten = true;
        } else {
            return Err(meta.error("expected `name`, `default`, `range`, `argument` or `flatten`"));
        }
        Ok(())
    }

    fn add_doc_line(&mut self, meta: &Meta) {
        let Meta::NameValue(pair) = meta else { return };
        if let Expr::Lit(ExprLit {
            lit: Lit::Str(line),
            ..
        }) = &pair.value
        {
            let line = line.value();
            if !self.description.is_empty() && !line.trim().is_empty() {
                self.description.push(' ');
            }
            self.description.push_str(line.trim());
        }
    }
}

fn default_json(meta: &ParseNestedMeta) -> syn::Result<String> {
    let input = meta.value()?;
    let minus = input.parse::<Option<Token![-]>>()?.map_or("", |_| "-");
    match input.parse::<Lit>()? {
        Lit::Int(number) => Ok(format!("{minus}{}", number.base10_digits())),
        Lit::Float(number) => Ok(format!("{minus}{}", number.base10_digits())),
        Lit::Bool(value) if minus.is_empty() => Ok(value.value.to_string()),
        Lit::Str(text) if minus.is_empty() => json_string(&text),
        other => Err(syn::Error::new_spanned(
            other,
            "a default is a number, a string, `true` or `false`",
        )),
    }
}

fn json_string(text: &LitStr) -> syn::Result<String> {
    let value = text.value();
    if value.chars().any(|character| character.is_control()) {
        return Err(syn::Error::new_spanned(
            text,
            "a default cannot hold control characters",
        ));
    }
    Ok(format!(
        "\"{}\"",
        value.replace('\\', "\\\\").replace('"', "\\\"")
    ))
}

fn range(meta: &ParseNestedMeta) -> syn::Result<(i64, i64)> {
    let input = meta.value()?;
    let minimum = bound(input)?;
    input.parse::<Token![..=]>()?;
    let maximum = bound(input)?;
    match minimum <= maximum {
        true => Ok((minimum, maximum)),
        false => Err(meta.error("the range is empty")),
    }
}

fn bound(input: syn::parse::ParseStream) -> syn::Result<i64> {
    let negative = input.parse::<Option<Token![-]>>()?.is_some();
    let number = input.parse::<LitInt>()?.base10_parse::<i64>()?;
    Ok(if negative { -number } else { number })
}
