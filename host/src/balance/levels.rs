//! Which endpoints take traffic now. Pure: facts in, positions out.
//!
//! In this order (SEMANTICS 9 and 34): the active endpoints that are usable; if there are none, the first usable backup, or all of them; if there is
//! none either and a panic threshold is set that is not reached, every active endpoint, usable or not. Where a zone is preferred and enough
//! of it is usable, its endpoints are the primary choice and the others take what does not fit.

use crate::config::{Backups, Percent};

/// An endpoint as far as this decision needs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// 0 to 256; with 0 it takes nothing.
    pub weight: u32,
    /// Nobody has taken it out of service.
    pub ready: bool,
    /// Not down, not ejected.
    pub healthy: bool,
    pub backup: bool,
    /// In the preferred zone.
    pub local: bool,
}

/// What the cluster wants.
#[derive(Debug, Clone, Copy, Default)]
pub struct LevelPolicy {
    pub panic_threshold: Option<Percent>,
    pub backups: Backups,
    /// A zone is preferred; below this usable share of its weight the others take traffic as well.
    pub spill_below: Option<Percent>,
}

/// Positions of candidates, in order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Levels {
    /// The balancer picks among these.
    pub primary: Vec<usize>,
    /// These take what the primary ones have no room for.
    pub spill: Vec<usize>,
    /// Health is being ignored.
    pub panic: bool,
}

/// Decides.
pub fn levels(candidates: &[Candidate], policy: LevelPolicy) -> Levels {
    let positions = |wanted: &dyn Fn(&Candidate) -> bool| -> Vec<usize> {
        let takes = |candidate: &Candidate| candidate.ready && candidate.weight > 0;
        let all = candidates.iter().enumerate();
        all.filter(|(_, candidate)| takes(candidate) && wanted(candidate))
            .map(|(position, _)| position)
            .collect()
    };
    let active = positions(&|candidate| !candidate.backup);
    let usable = positions(&|candidate| !candidate.backup && candidate.healthy);
    let mut backups = positions(&|candidate| candidate.backup && candidate.healthy);
    let panic = backups.is_empty() && is_panic(usable.len(), active.len(), policy.panic_threshold);
    if panic {
        return Levels {
            primary: active,
            spill: Vec::new(),
            panic,
        };
    }
    if !usable.is_empty() {
        return by_zone(candidates, &active, usable, policy.spill_below);
    }
    if policy.backups == Backups::First {
        backups.truncate(1);
    }
    Levels {
        primary: backups,
        ..Levels::default()
    }
}

fn is_panic(usable: usize, active: usize, threshold: Option<Percent>) -> bool {
    threshold.is_some_and(|threshold| usable * 10_000 < active * threshold.0 as usize)
}

fn by_zone(
    candidates: &[Candidate],
    active: &[usize],
    usable: Vec<usize>,
    spill_below: Option<Percent>,
) -> Levels {
    let local = |position: &usize| candidates[*position].local;
    let weight = |positions: &[usize]| -> u64 {
        let local = positions.iter().filter(|position| local(position));
        local
            .map(|&position| u64::from(candidates[position].weight))
            .sum()
    };
    let enough = spill_below.is_some_and(|least| {
        let usable_weight = weight(&usable);
        usable_weight > 0 && usable_weight * 10_000 >= weight(active) * u64::from(least.0)
    });
    if !enough {
        return Levels {
            primary: usable,
            ..Levels::default()
        };
    }
    let (primary, spill) = usable.into_iter().partition(local);
    Levels {
        primary,
        spill,
        panic: false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `a` active, `b` backup, `l` active in the preferred zone; upper case: unhealthy; `-` weight 0; `m` taken out of service.
    fn candidates(text: &str) -> Vec<Candidate> {
        let candidate = |letter: char| Candidate {
            weight: u32::from(letter != '-'),
            ready: letter != 'm',
            healthy: !letter.is_ascii_uppercase(),
            backup: letter.eq_ignore_ascii_case(&'b'),
            local: letter.eq_ignore_ascii_case(&'l'),
        };
        text.chars().map(candidate).collect()
    }

    #[test]
    fn who_takes_traffic() {
        let plain = LevelPolicy::default();
        let all = LevelPolicy {
            backups: Backups::All,
            ..plain
        };
        let half = LevelPolicy {
            panic_threshold: Some(Percent(5_000)),
            ..plain
        };
        let zone = LevelPolicy {
            spill_below: Some(Percent(7_000)),
            ..plain
        };
        type Case = (
            &'static str,
            LevelPolicy,
            &'static [usize],
            &'static [usize],
            bool,
        );
        let cases: &[Case] = &[
            ("aaa", plain, &[0, 1, 2], &[], false),
            ("aAa-mb", plain, &[0, 2], &[], false),
            ("AAbb", plain, &[2], &[], false),
            ("AABb", plain, &[3], &[], false),
            ("AAbb", all, &[2, 3], &[], false),
            ("-mb", plain, &[2], &[], false),
            ("AAB", plain, &[], &[], false),
            ("", half, &[], &[], false),
            ("mm", half, &[], &[], false),
            ("aA", half, &[0], &[], false),
            ("aAA", half, &[0, 1, 2], &[], true),
            ("AAm", half, &[0, 1], &[], true),
            ("aAAb", half, &[0], &[], false),
            ("AAAb", half, &[3], &[], false),
            ("lal", zone, &[0, 2], &[1], false),
            ("lLa", zone, &[0, 2], &[], false),
            ("lllLa", zone, &[0, 1, 2], &[4], false),
            ("LLa", zone, &[2], &[], false),
            ("aa", zone, &[0, 1], &[], false),
        ];
        for (text, policy, primary, spill, panic) in cases {
            let levels = levels(&candidates(text), *policy);
            let found = (&*levels.primary, &*levels.spill, levels.panic);
            assert_eq!(found, (*primary, *spill, *panic), "{text} {policy:?}");
        }
    }

    #[test]
    fn nobody_who_may_not_is_ever_chosen() {
        let mut random = fastrand::Rng::with_seed(7);
        for _ in 0..20_000 {
            let text: String = (0..random.usize(..8))
                .map(|_| char::from(b"aAbBlL-m"[random.usize(..8)]))
                .collect();
            let candidates = candidates(&text);
            let percent =
                |random: &mut fastrand::Rng| random.bool().then(|| Percent(random.u32(..=10_000)));
            let policy = LevelPolicy {
                panic_threshold: percent(&mut random),
                backups: if random.bool() {
                    Backups::All
                } else {
                    Backups::First
                },
                spill_below: percent(&mut random),
            };
            let levels = levels(&candidates, policy);
            for &position in levels.primary.iter().chain(&levels.spill) {
                let chosen = candidates[position];
                assert!(chosen.ready && chosen.weight > 0, "{text}");
                assert!(chosen.healthy || levels.panic, "{text}");
            }
            let usable = |c: &&Candidate| c.ready && c.weight > 0 && c.healthy;
            assert!(
                !levels.primary.is_empty() || !candidates.iter().any(|c| usable(&c)),
                "somebody usable is never left out: {text}"
            );
        }
    }
}
