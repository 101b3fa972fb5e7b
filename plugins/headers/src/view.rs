//! The headers of the current message as they stand after the edits so far. Each edit is noted down for the host and seen by later ones.

use tollgate_plugin_sdk::{Edits, Facts, Field, Template};

/// Facts of the message, with the edits so far on top.
pub(crate) struct View<'a> {
    facts: &'a Facts<'a>,
    edits: &'a mut Edits,
    /// The lines of every header edited so far.
    edited: Vec<(String, Vec<Vec<u8>>)>,
}

impl<'a> View<'a> {
    pub(crate) fn new(facts: &'a Facts<'a>, edits: &'a mut Edits) -> Self {
        View {
            facts,
            edits,
            edited: Vec::new(),
        }
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.edits.remove(name);
        self.note(name, Vec::new());
    }

    pub(crate) fn set(&mut self, name: &str, value: &Template) {
        let value = self.render(value);
        self.edits.set(name, &value);
        self.note(name, vec![value]);
    }

    pub(crate) fn set_if_absent(&mut self, name: &str, value: &Template) {
        if self.lines(name).is_empty() {
            self.set(name, value);
        }
    }

    pub(crate) fn append(&mut self, name: &str, value: &Template) {
        let value = self.render(value);
        self.edits.append(name, &value);
        let mut lines = self.lines(name);
        lines.push(value);
        self.note(name, lines);
    }

    /// Replaces in every line; a line that is not UTF-8 stays as it is.
    pub(crate) fn replace(&mut self, name: &str, replace: impl Fn(&str) -> String) {
        let lines = self.lines(name);
        let replaced: Vec<_> = lines.iter().map(|line| replaced(line, &replace)).collect();
        if replaced == lines {
            return;
        }
        self.edits.remove(name);
        replaced.iter().for_each(|line| {
            self.edits.append(name, line);
        });
        self.note(name, replaced);
    }

    fn lines(&self, name: &str) -> Vec<Vec<u8>> {
        let edited = self.edited.iter().find(|(known, _)| known == name);
        edited.map_or_else(|| self.facts.header_lines(name), |(_, lines)| lines.clone())
    }

    fn note(&mut self, name: &str, lines: Vec<Vec<u8>>) {
        match self.edited.iter_mut().find(|(known, _)| known == name) {
            Some((_, known)) => *known = lines,
            None => self.edited.push((name.to_owned(), lines)),
        }
    }

    fn render(&self, template: &Template) -> Vec<u8> {
        template.render_with(|field| match field {
            Field::Header(name) if self.edited.iter().any(|(known, _)| known == name) => {
                joined(name, &self.lines(name))
            }
            other => self.facts.field(other).unwrap_or_default().into_owned(),
        })
    }
}

fn replaced(line: &[u8], replace: &impl Fn(&str) -> String) -> Vec<u8> {
    match std::str::from_utf8(line) {
        Ok(text) => replace(text).trim().as_bytes().to_vec(),
        Err(_) => line.to_vec(),
    }
}

/// As the host joins the lines of a header.
fn joined(name: &str, lines: &[Vec<u8>]) -> Vec<u8> {
    match name {
        "set-cookie" => lines.first().cloned().unwrap_or_default(),
        "cookie" => lines.join(&b"; "[..]),
        _ => lines.join(&b", "[..]),
    }
}
