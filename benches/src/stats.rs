//! Medians, and ratios within a round.

use std::collections::BTreeMap;

/// The figures of one thing, by round.
pub(crate) type Rounds = BTreeMap<usize, f64>;

/// A median, and the extremes beside it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Spread {
    pub(crate) low: f64,
    pub(crate) median: f64,
    pub(crate) high: f64,
}

/// The middle one, or the mean of the two; none if there is none. Sorts them.
pub(crate) fn median(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    let upper = *values.get(middle)?;
    Some(if values.len() % 2 == 1 { upper } else { f64::midpoint(values[middle - 1], upper) })
}

/// The spread over all rounds.
pub(crate) fn spread(rounds: &Rounds) -> Option<Spread> {
    let mut values: Vec<_> = rounds.values().copied().collect();
    let median = median(&mut values)?;
    Some(Spread { low: *values.first()?, median, high: *values.last()? })
}

/// The spread of the ratios within each round that has both.
///
/// What changes from round to round, as the clock of the CPU and what else the machine does, is in both and falls out; the
/// ratio of the medians would keep it.
pub(crate) fn ratio(of: &Rounds, to: &Rounds) -> Option<Spread> {
    let ratios = of.iter().filter_map(|(round, value)| Some((*round, value / to.get(round)?)));
    spread(&ratios.filter(|(_, ratio)| ratio.is_finite()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rounds(values: &[f64]) -> Rounds {
        values.iter().copied().enumerate().collect()
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
    }

    #[test]
    fn a_ratio_is_taken_within_a_round() {
        // The ratio of the medians would be 0.5.
        let ratio = ratio(&rounds(&[3.0, 20.0, 200.0]), &rounds(&[1.0, 40.0, 100.0])).unwrap();
        assert_eq!(ratio, Spread { low: 0.5, median: 2.0, high: 3.0 });
    }

    #[test]
    fn a_round_without_both_has_no_ratio() {
        let of = Rounds::from([(0, 4.0), (1, 6.0)]);
        assert_eq!(ratio(&of, &Rounds::from([(1, 2.0), (2, 1.0)])).map(|ratio| ratio.median), Some(3.0));
        assert_eq!(ratio(&of, &Rounds::new()), None);
        assert_eq!(ratio(&of, &rounds(&[0.0, 0.0])), None);
    }
}
