//! The lowest endpoint with room, as HAProxy's `balance first` (`src/lb_fas.c`), except that the order is that of the configuration instead
//! of numeric ids.
//!
//! A pick costs a pass over the endpoints that are full.

use tollgate_plugin_sdk::loads::UNAVAILABLE;

/// The first endpoint that can take the request; none when none can.
pub(crate) fn first(loads: &[u32]) -> Option<usize> {
    loads.iter().position(|load| *load != UNAVAILABLE)
}

#[cfg(test)]
mod tests {
    use tollgate_plugin_sdk::random::Generator;

    use super::*;

    #[test]
    fn the_lowest_with_room_is_picked() {
        const FULL: u32 = UNAVAILABLE;
        let cases: [(&[u32], Option<usize>); 6] = [
            (&[], None),
            (&[0], Some(0)),
            (&[FULL - 1, 0], Some(0)),
            (&[FULL, 7, 0], Some(1)),
            (&[FULL, FULL, 0], Some(2)),
            (&[FULL, FULL], None),
        ];
        for (loads, expected) in cases {
            assert_eq!(first(loads), expected, "{loads:?}");
        }
    }

    /// Requests come and go by chance at endpoints that hold three each.
    #[test]
    fn a_later_endpoint_works_only_while_all_before_it_are_full() {
        const ROOM: u32 = 3;
        let (mut generator, mut held) = (Generator::seeded(1), [0_u32; 5]);
        for _ in 0..10_000 {
            let loads = held.map(|held| if held < ROOM { held } else { UNAVAILABLE });
            if generator.below(2) == 0 {
                let leaving = generator.below(5) as usize;
                held[leaving] = held[leaving].saturating_sub(1);
            } else if let Some(index) = first(&loads) {
                assert!(held[..index].iter().all(|held| *held == ROOM));
                held[index] += 1;
            } else {
                assert_eq!(held, [ROOM; 5]);
            }
            assert!(held.iter().all(|held| *held <= ROOM));
        }
    }
}
