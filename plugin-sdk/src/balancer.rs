//! Balancers: the trait, the plan, and the glue to the contract.

use std::cell::RefCell;
use std::marker::PhantomData;

use crate::bindings::balancer::exports::tollgate::plugin::balance as wit;
use crate::bindings::http_filter::tollgate::plugin::types;
use crate::http::errors_to_wit;
use crate::settings::{self, Errors, Settings};
use crate::{Field, log};

/// What `pick` answers when there is no endpoint to name.
const NONE: u32 = u32::MAX;

/// The policy that chooses an endpoint of a cluster. One instance serves one cluster in one worker.
pub trait Balancer: Sized + 'static {
    /// What can be set.
    type Settings: Settings;

    /// Makes the balancer. Must make the same for the same settings.
    ///
    /// # Errors
    /// Everything that is wrong with the settings beyond their schema; shown at its place in the configuration.
    fn new(settings: Self::Settings) -> Result<Self, Errors>;

    /// What the host has to hand over.
    fn plan(&self) -> BalancerPlan {
        BalancerPlan::default()
    }

    /// Takes the endpoints that may be picked from now on, in a new numbering.
    fn update(&mut self, endpoints: &[Endpoint]);

    /// The index of an endpoint, or none. When that endpoint cannot take the request, the host asks again, a bounded number of times.
    fn pick(&mut self, pick: &Pick) -> Option<usize>;
}

/// What a balancer needs of the host.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BalancerPlan {
    loads: bool,
    key: Vec<Field>,
}

impl BalancerPlan {
    /// Hands over the requests in flight of every endpoint with each pick. For two of them, [`loads::pair`](crate::loads::pair) is cheaper.
    /// What else is known of endpoints, [`measures::read`](crate::measures::read) tells.
    #[must_use]
    pub fn loads(mut self) -> Self {
        self.loads = true;
        self
    }

    /// Hashes these fields into the key of each pick; a request that has none of them has the key 0.
    #[must_use]
    pub fn key(mut self, fields: impl IntoIterator<Item = Field>) -> Self {
        self.key = fields.into_iter().collect();
        self
    }
}

/// An endpoint that may be picked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `ip:port`.
    pub address: String,
    /// 1 to 256; while an endpoint starts slowly, all weights of the list are given in hundredths: 1 to 25,600. Only their ratios count.
    pub weight: u32,
}

impl Endpoint {
    /// An endpoint of this address and weight.
    #[must_use]
    pub fn new(address: &str, weight: u32) -> Self {
        Endpoint {
            address: address.to_owned(),
            weight,
        }
    }
}

/// One question for an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Pick<'a> {
    /// The hash of the fields that the plan named; 0 when it named none or none of them is there.
    pub key: u64,
    /// Requests in flight of every endpoint; empty unless the plan asks for loads. [`loads::UNAVAILABLE`](crate::loads::UNAVAILABLE)
    /// marks an endpoint that cannot take the request now.
    pub loads: &'a [u32],
}

/// A balancer without its type.
trait Running {
    fn update(&mut self, endpoints: &[Endpoint]);
    fn pick(&mut self, pick: &Pick) -> Option<usize>;
}

impl<B: Balancer> Running for B {
    fn update(&mut self, endpoints: &[Endpoint]) {
        Balancer::update(self, endpoints);
    }

    fn pick(&mut self, pick: &Pick) -> Option<usize> {
        Balancer::pick(self, pick)
    }
}

thread_local! {
    static BALANCER: RefCell<Option<Box<dyn Running>>> = const { RefCell::new(None) };
}

/// The component's exports for a balancer.
#[doc(hidden)]
pub struct BalancerPlugin<B>(PhantomData<B>);

impl<B: Balancer> wit::Guest for BalancerPlugin<B> {
    fn configure(settings: String) -> Result<wit::Needs, Vec<types::SettingsError>> {
        log::log_panics();
        let balancer = settings::from_text(&settings)
            .and_then(B::new)
            .map_err(errors_to_wit)?;
        let BalancerPlan { loads, key } = balancer.plan();
        BALANCER.set(Some(Box::new(balancer)));
        Ok(wit::Needs { loads, key })
    }

    fn update(endpoints: Vec<wit::Endpoint>) {
        let endpoint = |endpoint: wit::Endpoint| Endpoint {
            address: endpoint.address,
            weight: endpoint.weight,
        };
        let endpoints: Vec<_> = endpoints.into_iter().map(endpoint).collect();
        with_balancer(|balancer| balancer.update(&endpoints));
    }

    fn pick(key: u64, loads: Vec<u32>) -> u32 {
        let picked = with_balancer(|balancer| balancer.pick(&Pick { key, loads: &loads }));
        picked
            .and_then(|index| u32::try_from(index).ok())
            .unwrap_or(NONE)
    }
}

fn with_balancer<T>(call: impl FnOnce(&mut dyn Running) -> T) -> T {
    BALANCER.with_borrow_mut(|balancer| {
        call(
            balancer
                .as_deref_mut()
                .expect("the host configures an instance first"),
        )
    })
}
