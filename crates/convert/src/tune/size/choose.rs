//! The choice of one option for each item, for the least sum of costs within a sum of bytes.

/// An option of an item.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Choice {
    pub(super) bytes: u64,
    pub(super) cost: f64,
}

/// Returns the index of the option for each item, whose bytes together are at most `budget`; `None`
/// if even the smallest are larger.
///
/// For a price of a byte, the option of least cost and price is best for each item by itself. The
/// price is lowered until the bytes just fit. What is left goes to the options that save most for
/// their bytes and still fit.
pub(super) fn choose(items: &[Vec<Choice>], budget: u64) -> Option<Vec<usize>> {
    let hulls: Vec<Vec<usize>> = items.iter().map(|options| hull(options)).collect();
    let bytes = |chosen: &[usize]| -> u64 {
        items.iter().zip(chosen).fold(0, |sum, (options, i)| sum.saturating_add(options[*i].bytes))
    };
    let mut chosen: Vec<usize> =
        hulls.iter().map(|hull| hull.first().copied()).collect::<Option<_>>()?;
    if bytes(&chosen) > budget {
        return None;
    }
    let at = |price: f64| -> Vec<usize> {
        let best = |(options, hull): (&Vec<Choice>, &Vec<usize>)| {
            let mut best = hull[0];
            for pair in hull.windows(2) {
                if saving(options[pair[0]], options[pair[1]]) >= price {
                    best = pair[1];
                }
            }
            best
        };
        items.iter().zip(&hulls).map(best).collect()
    };
    // prices are between those of the steps, whose number is small: bisection over them is exact
    let mut prices: Vec<f64> = items
        .iter()
        .zip(&hulls)
        .flat_map(|(options, hull)| {
            hull.windows(2).map(|pair| saving(options[pair[0]], options[pair[1]]))
        })
        .collect();
    prices.sort_by(|one, other| other.total_cmp(one));
    let fitting = prices.partition_point(|price| bytes(&at(*price)) <= budget);
    if let Some(price) = fitting.checked_sub(1).map(|last| prices[last]) {
        chosen = at(price);
    }
    let left = budget - bytes(&chosen);
    fill(items, &mut chosen, left);
    Some(chosen)
}

/// What an option saves for each byte that it needs more.
fn saving(from: Choice, to: Choice) -> f64 {
    (from.cost - to.cost) / (to.bytes - from.bytes) as f64
}

/// The options that are best for some price: the lower convex hull, from the smallest on.
fn hull(options: &[Choice]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..options.len()).collect();
    order.sort_by(|one, other| {
        let [one, other] = [options[*one], options[*other]];
        one.bytes.cmp(&other.bytes).then(one.cost.total_cmp(&other.cost))
    });
    let mut hull: Vec<usize> = Vec::new();
    for next in order {
        if let Some(last) = hull.last() {
            let last = options[*last];
            // of equal size the first is the best, and more bytes must save something
            if options[next].bytes == last.bytes || options[next].cost >= last.cost {
                continue;
            }
        }
        while let [.., before, last] = hull[..] {
            let [before, last, next] = [options[before], options[last], options[next]];
            if saving(before, last) > saving(last, next) {
                break;
            }
            hull.pop();
        }
        hull.push(next);
    }
    hull
}

/// Spends the bytes that are left on better options.
fn fill(items: &[Vec<Choice>], chosen: &mut [usize], mut left: u64) {
    loop {
        let mut best: Option<(f64, usize, usize)> = None;
        for (item, (options, current)) in items.iter().zip(&*chosen).enumerate() {
            let from = options[*current];
            for (i, to) in options.iter().enumerate() {
                let fits = to.bytes > from.bytes && to.bytes - from.bytes <= left;
                if fits && to.cost < from.cost {
                    let saved = saving(from, *to);
                    if best.is_none_or(|(most, ..)| saved > most) {
                        best = Some((saved, item, i));
                    }
                }
            }
        }
        let Some((_, item, option)) = best else { return };
        left -= items[item][option].bytes - items[item][chosen[item]].bytes;
        chosen[item] = option;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items with a few options each, from a small generator.
    fn items(seed: u64, count: usize) -> Vec<Vec<Choice>> {
        let mut state = seed;
        let mut next = |below: u64| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below
        };
        let item =
            |_| (0..4).map(|_| Choice { bytes: 1 + next(20), cost: next(100) as f64 }).collect();
        (0..count).map(item).collect()
    }

    fn sums(items: &[Vec<Choice>], chosen: &[usize]) -> (u64, f64) {
        items.iter().zip(chosen).fold((0, 0.0), |(bytes, cost), (options, i)| {
            (bytes + options[*i].bytes, cost + options[*i].cost)
        })
    }

    /// The least cost of all choices.
    fn least(items: &[Vec<Choice>], budget: u64) -> Option<f64> {
        let all = (0..4_usize.pow(items.len() as u32)).filter_map(|number| {
            let chosen: Vec<usize> = (0..items.len()).map(|i| number >> (2 * i) & 3).collect();
            let (bytes, cost) = sums(items, &chosen);
            (bytes <= budget).then_some(cost)
        });
        all.min_by(f64::total_cmp)
    }

    #[test]
    fn near_the_best_of_all_choices_and_never_larger() {
        let (mut total, mut best) = (0.0, 0.0);
        for seed in 0..60 {
            let items = items(seed, 6);
            for budget in [5, 20, 30, 45, 60, 120] {
                let found = choose(&items, budget);
                let Some(least) = least(&items, budget) else {
                    assert_eq!(found, None);
                    continue;
                };
                let (bytes, cost) = sums(&items, &found.unwrap());
                assert!(bytes <= budget && cost >= least);
                (total, best) = (total + cost, best + least);
            }
        }
        // what is left over after the last step that fits is no more than an item's
        assert!(total <= 1.1 * best, "{total} {best}");
    }

    #[test]
    fn everything_fits() {
        let items = items(7, 5);
        let (_, cost) = sums(&items, &choose(&items, 1000).unwrap());
        assert_eq!(Some(cost), least(&items, 1000));
    }

    #[test]
    fn of_equal_price_all_or_none() {
        let item = vec![Choice { bytes: 1, cost: 2.0 }, Choice { bytes: 2, cost: 1.0 }];
        assert_eq!(choose(&vec![item.clone(); 3], 4), Some(vec![1, 0, 0]));
        assert_eq!(choose(&[], 0), Some(vec![]));
        assert_eq!(choose(&[item, vec![]], 10), None);
    }
}
