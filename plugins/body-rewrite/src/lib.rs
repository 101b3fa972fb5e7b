//! HTTP filter `body-rewrite`: replaces texts in bodies. Which bodies it looks at is decided by their heads; the search is in `replace.rs`.

mod replace;

use replace::Rules;
use tollgate_plugin_sdk::prelude::*;
use tollgate_plugin_sdk::settings::Size;

/// The most that `bytes-max` may be: body and result have to fit into the memory of an instance.
const BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Settings of the filter.
#[derive(Settings)]
pub struct BodyRewriteSettings {
    /// In bodies of requests.
    request: Option<SideSettings>,
    /// In bodies of responses.
    response: Option<SideSettings>,
    /// Largest body that is looked at, up to 16 MiB; larger ones pass unchanged.
    #[setting(default = "1MiB")]
    bytes_max: Size,
}

/// What is replaced in the bodies of one side.
#[derive(Settings)]
pub struct SideSettings {
    /// A text and what takes its place, everywhere; of several at one place the first in this order.
    replace: Vec<(String, String)>,
    /// Media types of the bodies, without parameters; `text/html` and `text/plain` when absent.
    r#type: Vec<String>,
}

/// The filter.
pub struct BodyRewrite {
    request: Option<Side>,
    response: Option<Side>,
    bytes_max: u64,
}

struct Side {
    rules: Rules,
    types: Vec<String>,
}

/// What is remembered of an exchange: whether its bodies are ones to look at.
#[derive(Default)]
pub struct Fitting {
    request: bool,
    response: bool,
}

impl Side {
    fn compile(settings: SideSettings, errors: &mut Errors) -> Side {
        let rules = Rules::compile(settings.replace, errors);
        let mut types = settings.r#type;
        if types.is_empty() {
            types = vec!["text/html".to_owned(), "text/plain".to_owned()];
        }
        Side { rules, types }
    }

    fn fits(&self, content_type: Option<&[u8]>) -> bool {
        let Some(media_type) =
            content_type.and_then(|value| value.split(|byte| *byte == b';').next())
        else {
            return false;
        };
        let media_type = media_type.trim_ascii();
        self.types
            .iter()
            .any(|known| known.as_bytes().eq_ignore_ascii_case(media_type))
    }

    fn answer(&self, part: BodyPart<'_>) -> BodyVerdict {
        self.rules
            .apply(part.bytes)
            .map_or(BodyVerdict::next(), BodyVerdict::replace)
    }
}

impl HttpFilter for BodyRewrite {
    type Settings = BodyRewriteSettings;

    fn new(settings: BodyRewriteSettings) -> Result<Self, Errors> {
        let mut errors = Errors::new();
        let mut side = |name, settings: Option<SideSettings>| {
            settings.map(|settings| errors.inside(name, |errors| Side::compile(settings, errors)))
        };
        let (request, response) = (
            side("request", settings.request),
            side("response", settings.response),
        );
        let bytes_max = settings.bytes_max.0;
        if !(1..=BYTES_MAX).contains(&bytes_max) {
            errors.inside("bytes-max", |errors| errors.add("from 1B to 16MiB"));
        }
        let filter = BodyRewrite {
            request,
            response,
            bytes_max,
        };
        errors.finish(filter)
    }

    fn plan(&self) -> Plan {
        let content_type = || [Field::Header("content-type".to_owned())];
        let mut plan = Plan::nothing();
        if self.request.is_some() {
            plan = plan.on_request(content_type());
        }
        if self.response.is_some() {
            plan = plan.on_response(content_type());
        }
        plan
    }
}

impl FullHttpFilter for BodyRewrite {
    type Exchange = Fitting;

    fn bodies(&self) -> Bodies {
        let handling = Handling::buffered(self.bytes_max)
            .passing_excess()
            .decoded();
        let mut bodies = Bodies::none();
        if self.request.is_some() {
            bodies = bodies.of_requests(handling);
        }
        if self.response.is_some() {
            bodies = bodies.of_responses(handling);
        }
        bodies
    }

    fn begin_request(&self, exchange: &mut Fitting, request: &Request) -> Verdict {
        let fits = |side: &Side| side.fits(request.header("content-type").as_deref());
        exchange.request = self.request.as_ref().is_some_and(fits);
        Verdict::next()
    }

    fn begin_response(&self, exchange: &mut Fitting, response: &Response) -> Verdict {
        let fits = |side: &Side| side.fits(response.header("content-type").as_deref());
        exchange.response = self.response.as_ref().is_some_and(fits);
        Verdict::next()
    }

    fn request_body(&self, exchange: &mut Fitting, part: BodyPart<'_>) -> BodyVerdict {
        let side = self.request.as_ref().filter(|_| exchange.request);
        side.map_or(BodyVerdict::next(), |side| side.answer(part))
    }

    fn response_body(&self, exchange: &mut Fitting, part: BodyPart<'_>) -> BodyVerdict {
        let side = self.response.as_ref().filter(|_| exchange.response);
        side.map_or(BodyVerdict::next(), |side| side.answer(part))
    }
}

full_http_filter!(BodyRewrite);
