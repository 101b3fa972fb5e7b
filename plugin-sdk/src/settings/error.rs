//! Settings errors, collected with the place they were found at.

use crate::json::Json;

/// Something wrong with one setting. The host shows it at that setting's place in the KDL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SettingsError {
    /// JSON pointer (RFC 6901), such as `/rule/0/status`; empty for the settings as a whole.
    pub pointer: String,
    /// What is wrong and what was expected.
    pub message: String,
}

/// Every error found so far, and the place that is being read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Errors {
    pointer: Pointer,
    list: Vec<SettingsError>,
}

impl Errors {
    /// None yet; at the top.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an error at the current place.
    pub fn add(&mut self, message: impl Into<String>) {
        self.list.push(SettingsError {
            pointer: self.pointer.0.clone(),
            message: message.into(),
        });
    }

    /// Adds "expected …, found …" at the current place.
    pub fn expected(&mut self, what: &str, found: &Json) {
        self.add(format!("expected {what}, found {}", found.kind()));
    }

    /// Runs `read` one level deeper: inside the member of that name, or the item of that index.
    pub fn inside<T>(&mut self, step: impl Step, read: impl FnOnce(&mut Errors) -> T) -> T {
        let length = self.pointer.0.len();
        self.pointer.push(&step.text());
        let result = read(self);
        self.pointer.0.truncate(length);
        result
    }

    /// Keeps the value, or adds the error at the current place.
    pub fn check<T, E: std::fmt::Display>(&mut self, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(error.to_string())).ok()
    }

    /// `Ok` with the value when nothing was wrong.
    ///
    /// # Errors
    /// These, when there are any.
    pub fn finish<T>(self, value: T) -> Result<T, Errors> {
        match self.is_empty() {
            true => Ok(value),
            false => Err(self),
        }
    }

    /// Whether nothing was wrong so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The errors in the order found.
    pub fn iter(&self) -> impl Iterator<Item = &SettingsError> {
        self.list.iter()
    }

    pub(crate) fn into_list(self) -> Vec<SettingsError> {
        self.list
    }
}

/// A place in the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Pointer(String);

impl Pointer {
    fn push(&mut self, step: &str) {
        self.0.push('/');
        for character in step.chars() {
            match character {
                '~' => self.0.push_str("~0"),
                '/' => self.0.push_str("~1"),
                other => self.0.push(other),
            }
        }
    }
}

/// One level of a JSON pointer: a member's name or an item's index.
pub trait Step {
    /// As it stands in the pointer, unescaped.
    fn text(&self) -> String;
}

impl Step for &str {
    fn text(&self) -> String {
        (*self).to_owned()
    }
}

impl Step for &String {
    fn text(&self) -> String {
        (*self).clone()
    }
}

impl Step for usize {
    fn text(&self) -> String {
        self.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_their_place() {
        let mut errors = Errors::new();
        errors.inside("a/b~", |errors| errors.inside(3, |errors| errors.add("x")));
        errors.add("y");
        let found: Vec<_> = errors.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(found, ["/a~1b~0/3", ""]);
    }
}
