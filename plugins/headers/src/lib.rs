//! HTTP filter `headers`: edits of request and response headers. What the host can do alone becomes constant edits (`plan.rs`); the rest is
//! done in the call, on a view that includes the edits so far (`view.rs`). Both ways give the same messages.

mod block;
mod plan;
mod view;

use block::Block;
use tollgate_plugin_sdk::TemplatePhase;
use tollgate_plugin_sdk::conditions::Conditions;
use tollgate_plugin_sdk::prelude::*;
use view::View;

/// Settings of the filter.
#[derive(Settings)]
pub struct HeadersSettings {
    /// Edits of the request, block after block.
    request: Vec<BlockSettings>,
    /// Edits of the response, block after block.
    response: Vec<BlockSettings>,
}

/// One block of edits. They are made in the order of the members here, whatever the order in the file.
#[derive(Default, Settings)]
pub struct BlockSettings {
    /// The block applies to requests for which this holds (and to their responses).
    when: Option<Conditions>,
    /// Headers to remove.
    remove: Vec<String>,
    /// Header and value: exactly one line with this value remains.
    set: Vec<(String, String)>,
    /// Header and value: added unless the header is there.
    default: Vec<(String, String)>,
    /// Header and value: added as one more line.
    append: Vec<(String, String)>,
    /// Header, regular expression and replacement: every match in every line is replaced; `$1` stands for a group.
    replace: Vec<(String, String, String)>,
}

/// The filter.
pub struct Headers {
    request: Vec<Block>,
    response: Vec<Block>,
    /// The tag that tells the response phase which of its blocks apply: only the request phase can judge a `when`.
    tag: String,
}

impl HttpFilter for Headers {
    type Settings = HeadersSettings;

    fn new(settings: HeadersSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let request = block::compile(
            "request",
            settings.request,
            TemplatePhase::Request,
            &mut errors,
        );
        let response = block::compile(
            "response",
            settings.response,
            TemplatePhase::Response,
            &mut errors,
        );
        let tag = format!("headers.{:016x}", tollgate_plugin_sdk::settings::digest());
        let headers = Headers {
            request,
            response,
            tag,
        };
        if errors.is_empty() {
            plan::check_request_ids(&headers, &mut errors);
        }
        errors.finish(headers)
    }

    fn plan(&self) -> Plan {
        plan::plan(self)
    }

    fn request(&self, request: &Request) -> Verdict {
        let mut edits = Edits::new();
        let response_blocks = self.applying(&self.response, request);
        let applying = self.applying(&self.request, request);
        let mut view = View::new(request, &mut edits);
        applying
            .iter()
            .for_each(|index| self.request[*index].apply(&mut view));
        if self.response.iter().any(|block| block.when.is_some()) {
            edits.tag(&self.tag, written(&response_blocks));
        }
        edits.into()
    }

    fn response(&self, response: &Response) -> Verdict {
        let mut edits = Edits::new();
        let tag = response.tag(&self.tag).unwrap_or_default();
        let mut view = View::new(response, &mut edits);
        for (index, block) in self.response.iter().enumerate() {
            if block.when.is_none() || is_written(index, &tag) {
                block.apply(&mut view);
            }
        }
        edits.into()
    }
}

impl Headers {
    /// Which blocks apply; judged before any edit is made.
    fn applying(&self, blocks: &[Block], request: &Request) -> Vec<usize> {
        let applies = |block: &Block| block.when.as_ref().is_none_or(|when| when.holds(request));
        blocks
            .iter()
            .enumerate()
            .filter(|(_, block)| applies(block))
            .map(|(index, _)| index)
            .collect()
    }
}

/// `0.2.5`
fn written(indices: &[usize]) -> String {
    let numbers: Vec<_> = indices.iter().map(usize::to_string).collect();
    numbers.join(".")
}

fn is_written(index: usize, tag: &[u8]) -> bool {
    let index = index.to_string();
    tag.split(|byte| *byte == b'.')
        .any(|number| number == index.as_bytes())
}

http_filter!(Headers);

#[cfg(test)]
mod tests;
