//! What the host can do alone, and what takes a call.
//!
//! A phase is either left to the host as a whole or done in the call as a whole, so the order of its edits is the same in both ways. The
//! host cannot replace by regular expression, and judges no condition over regular expressions or query parameters. A response block with a
//! `when`, done in the call, needs the request call too, which judges it and leaves a tag.

use tollgate_plugin_sdk::settings::Errors;
use tollgate_plugin_sdk::{ConstantEdits, Field, Guard, Plan};

use crate::Headers;
use crate::block::{Block, Edit};

/// The contract's limit of edit groups, over both phases.
const GROUPS_MAX: usize = 60;

/// Which phases take a call.
struct Calls {
    request: bool,
    response: bool,
}

impl Calls {
    fn of(headers: &Headers) -> Calls {
        let fits = headers.request.len() + headers.response.len() <= GROUPS_MAX;
        let by_host = |blocks: &[Block]| fits && blocks.iter().all(is_constant);
        let response = !by_host(&headers.response);
        let judged_by_request =
            response && headers.response.iter().any(|block| block.when.is_some());
        Calls {
            request: judged_by_request || !by_host(&headers.request),
            response,
        }
    }
}

pub(crate) fn plan(headers: &Headers) -> Plan {
    let calls = Calls::of(headers);
    let mut plan = Plan::nothing();
    if calls.request {
        plan = plan.on_request(request_fields(headers));
    } else {
        plan = with_edits(plan, &headers.request, ConstantEdits::on_request);
    }
    if calls.response {
        let fields = headers.response.iter().flat_map(Block::fields);
        plan.on_response(fields.chain([Field::Tag(headers.tag.clone())]))
    } else {
        with_edits(plan, &headers.response, ConstantEdits::on_response)
    }
}

/// Refuses `{request-id}` where a call would have to put it in: only the host knows it.
pub(crate) fn check_request_ids(headers: &Headers, errors: &mut Errors) {
    let calls = Calls::of(headers);
    for (name, called, blocks) in [
        ("request", calls.request, &headers.request),
        ("response", calls.response, &headers.response),
    ] {
        for (index, block) in blocks.iter().enumerate().filter(|_| called) {
            if block
                .edits
                .iter()
                .filter_map(Edit::value)
                .any(|value| value.has_request_id())
            {
                errors.inside(name, |errors| {
                    errors.inside(index, |errors| errors.add(NO_REQUEST_ID))
                });
            }
        }
    }
}

const NO_REQUEST_ID: &str = "`{request-id}` cannot stand beside `replace`, or beside a `when` with `path-regex` or `query`, \
                             in the blocks of one phase; put it in a `headers` filter of its own";

fn with_edits(plan: Plan, blocks: &[Block], start: fn(Guard) -> ConstantEdits) -> Plan {
    blocks.iter().fold(plan, |plan, block| {
        plan.edits(constant_edits(block, start(guard(block))))
    })
}

fn constant_edits(block: &Block, edits: ConstantEdits) -> ConstantEdits {
    block.edits.iter().fold(edits, |edits, edit| match edit {
        Edit::Remove(name) => edits.remove(name),
        Edit::Set(name, value) => edits.set(name, value.parts().to_vec()),
        Edit::Default(name, value) => edits.set_if_absent(name, value.parts().to_vec()),
        Edit::Append(name, value) => edits.append(name, value.parts().to_vec()),
        // Blocks with a replacement are not constant.
        Edit::Replace(..) => edits,
    })
}

fn is_constant(block: &Block) -> bool {
    let replaces = block
        .edits
        .iter()
        .any(|edit| matches!(edit, Edit::Replace(..)));
    !replaces && guard(block).is_exact()
}

fn guard(block: &Block) -> Guard {
    block
        .when
        .as_ref()
        .map_or_else(Guard::always, |when| when.guard())
}

fn request_fields(headers: &Headers) -> impl Iterator<Item = Field> {
    let conditions = headers
        .request
        .iter()
        .chain(&headers.response)
        .filter_map(|block| block.when.as_ref());
    conditions
        .flat_map(|when| when.fields())
        .chain(headers.request.iter().flat_map(Block::fields))
}
