//! Texts and what takes their place, in one pass: what was put in is not looked at again.

use tollgate_plugin_sdk::settings::Errors;

/// Pairs in order; the first that begins at a place wins.
pub(crate) struct Rules(Vec<(Vec<u8>, Vec<u8>)>);

impl Rules {
    pub(crate) fn compile(pairs: Vec<(String, String)>, errors: &mut Errors) -> Rules {
        if pairs.is_empty() {
            errors.add("nothing to replace: write replace \"old\" \"new\"");
        }
        errors.inside("replace", |errors| {
            for (index, (from, _)) in pairs.iter().enumerate() {
                if from.is_empty() {
                    errors.inside(index, |errors| errors.add("an empty text is everywhere"));
                }
            }
        });
        let bytes = |(from, to): (String, String)| (from.into_bytes(), to.into_bytes());
        Rules(pairs.into_iter().map(bytes).collect())
    }

    /// The text with everything replaced; none where there is nothing to replace.
    pub(crate) fn apply(&self, text: &[u8]) -> Option<Vec<u8>> {
        let mut made: Option<Vec<u8>> = None;
        let mut copied = 0;
        let mut at = 0;
        while at < text.len() {
            let Some((from, to)) = self.starting(&text[at..]) else {
                at += 1;
                continue;
            };
            let out = made.get_or_insert_default();
            out.extend_from_slice(&text[copied..at]);
            out.extend_from_slice(to);
            at += from.len();
            copied = at;
        }
        let mut out = made?;
        out.extend_from_slice(&text[copied..]);
        Some(out)
    }

    fn starting(&self, rest: &[u8]) -> Option<(&[u8], &[u8])> {
        let found = self.0.iter().find(|(from, _)| rest.starts_with(from))?;
        Some((&found.0, &found.1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(pairs: &[(&str, &str)]) -> Rules {
        let owned = |(from, to): &(&str, &str)| ((*from).to_owned(), (*to).to_owned());
        let mut errors = Errors::new();
        let rules = Rules::compile(pairs.iter().map(owned).collect(), &mut errors);
        assert!(errors.finish(()).is_ok());
        rules
    }

    #[test]
    fn texts_are_replaced_everywhere_and_once() {
        type Case<'a> = (&'a [(&'a str, &'a str)], &'a str, Option<&'a str>);
        let table: [Case<'_>; 7] = [
            (&[("a", "b")], "xaxa", Some("xbxb")),
            (&[("a", "aa")], "aa", Some("aaaa")),
            (&[("a", "b"), ("b", "a")], "ab", Some("ba")),
            (&[("ab", "1"), ("a", "2")], "aab", Some("21")),
            (&[("aa", "")], "aaa", Some("a")),
            (&[("z", "y")], "abc", None),
            (&[("abc", "x")], "ab", None),
        ];
        for (pairs, text, expected) in table {
            let made = rules(pairs).apply(text.as_bytes());
            assert_eq!(made.as_deref(), expected.map(str::as_bytes), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_at_its_place() {
        let mut errors = Errors::new();
        let pairs = vec![
            ("a".to_owned(), String::new()),
            (String::new(), String::new()),
        ];
        Rules::compile(pairs, &mut errors);
        Rules::compile(Vec::new(), &mut errors);
        let found = errors.finish(()).expect_err("two are wrong");
        let pointers: Vec<_> = found.iter().map(|error| error.pointer.clone()).collect();
        assert_eq!(pointers, ["/replace/1", ""]);
    }
}
