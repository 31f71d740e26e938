//! Where the buckets of native histograms begin and end, as Prometheus defines them: bucket `i` of
//! schema `s` holds the values in `(2^((i-1)/2^s), 2^(i/2^s)]`.

use std::sync::LazyLock;

/// The coarsest exponential schema: each bound is 65,536 times the one before.
pub const SCHEMA_MIN: i32 = -4;
/// The finest exponential schema: 256 buckets for each doubling.
pub const SCHEMA_MAX: i32 = 8;
/// The schema of histograms with bounds of their own.
pub const CUSTOM_SCHEMA: i32 = -53;

/// `0.5 · 2^(k/256)` for each `k` of the finest schema; coarser ones take every 2nd, 4th … of them.
///
/// As products of repeated square roots, from the largest on: this gives the very doubles that
/// Prometheus' libraries carry, some of which are not the nearest ones. With others, quantiles and
/// interpolated counts would differ in their last digits.
static FRACTIONS: LazyLock<[f64; 256]> = LazyLock::new(|| {
    std::array::from_fn(|k| {
        let mut root = 2.0_f64.sqrt();
        let mut fraction = if k < 128 { 0.5 } else { 1.0 / root };
        for bit in (0..7).rev() {
            root = root.sqrt();
            if k >> bit & 1 == 1 {
                fraction *= root;
            }
        }
        fraction
    })
});

/// The upper bound of bucket `index` of an exponential schema. The last bucket of finite values
/// ends at the largest finite number, the one behind it at infinity.
pub fn upper_bound(index: i32, schema: i32) -> f64 {
    let index = i64::from(index);
    if schema < 0 {
        return power(1.0, index << -schema.max(-32));
    }
    let schema = schema.min(SCHEMA_MAX);
    let within = (index & ((1 << schema) - 1)) as usize;
    power(2.0 * FRACTIONS[within << (SCHEMA_MAX - schema)], index >> schema)
}

/// `fraction · 2^exponent`, for a fraction from 1 to 2.
fn power(fraction: f64, exponent: i64) -> f64 {
    match exponent {
        1024 if fraction == 1.0 => f64::MAX,
        1024.. => f64::INFINITY,
        -1022..1024 => fraction * f64::from_bits(((exponent + 1023) as u64) << 52),
        // Below the normal numbers in two steps, so that only the last one rounds.
        -1100..-1022 => fraction * f64::MIN_POSITIVE * ((exponent + 1022) as f64).exp2(),
        _ => 0.0,
    }
}

/// The bucket of an exponential schema that a positive value falls into.
pub fn bucket_index(value: f64, schema: i32) -> i32 {
    let guess =
        if value.is_infinite() { i64::from(i32::MAX) } else { (value.log2() * f64::from(schema).exp2()).ceil() as i64 };
    let last = if schema < 0 { 1024 >> -schema } else { 1024 << schema };
    let mut index = guess.clamp(-(1100 << SCHEMA_MAX), last + 1) as i32;
    if value.is_infinite() {
        return index;
    }
    // The logarithm is off by an ulp at times.
    while index > i32::MIN + 1 && upper_bound(index - 1, schema) >= value {
        index -= 1;
    }
    while upper_bound(index, schema) < value {
        index += 1;
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_are_powers_and_their_roots() {
        let check = |index, schema, want: f64| assert_eq!(upper_bound(index, schema), want, "{index} {schema}");
        check(0, 0, 1.0);
        check(1, 0, 2.0);
        check(-3, 0, 0.125);
        check(2, 1, 2.0);
        // As in Prometheus, the double below the one that is nearest.
        check(1, 1, std::f64::consts::SQRT_2.next_down());
        check(-1, 2, 0.8408964152537144);
        check(200, 8, 2.0 * 0.8593096490612387);
        check(1, -1, 4.0);
        check(-1, -2, 0.0625);
        check(0, -4, 1.0);
        check(1024, 0, f64::MAX);
        check(1025, 0, f64::INFINITY);
        check(64, -4, f64::MAX);
        check(-1074, 0, 5e-324);
        check(1024 << 8, 8, f64::MAX);
    }

    #[test]
    fn every_value_falls_into_its_bucket() {
        for schema in SCHEMA_MIN..=SCHEMA_MAX {
            for value in [1e-300, 0.001, 0.5, 0.7, 1.0, 1.0000001, 2.0, 3.7, 1e9, 1e300, f64::MAX] {
                let index = bucket_index(value, schema);
                assert!(
                    upper_bound(index - 1, schema) < value && value <= upper_bound(index, schema),
                    "{value} {schema}"
                );
            }
            assert_eq!(upper_bound(bucket_index(f64::INFINITY, schema), schema), f64::INFINITY);
        }
    }
}
