//! The operations of [`Lanes`], with their definitions.

use super::super::Lanes;
use super::simd::dot;
use super::{Case, lanes, table, vector};

/// Sixteen lanes of any bits, and their bytes.
fn any<V: Lanes>(case: &mut Case) -> (V::Wide, [u8; 64]) {
    let bytes = case.bytes::<64>(0, 255);
    (vector(bytes), bytes)
}

fn ints<V: Lanes>(case: &mut Case, low: i64, high: i64) -> (V::Wide, [i32; 16]) {
    let numbers = std::array::from_fn(|_| case.number(low, high) as i32);
    (vector(numbers), numbers)
}

/// The table of consecutive numbers from this one on.
fn consecutive<V: Lanes>(first: u8) -> V::Wide {
    vector::<_, u8, 64>(std::array::from_fn(|i| first.wrapping_add(i as u8)))
}

/// Whether bit `bit` of a byte is set.
fn bit(bits: u64, i: usize) -> u8 {
    (bits >> i & 1) as u8
}

/// Numbers turned around: `out[i]` has number `i` of each row.
fn turned<const PARTS: usize>(rows: &[[[u8; 64]; PARTS]; 16], part: usize) -> [[u8; 64]; 16] {
    std::array::from_fn(|i| std::array::from_fn(|byte| rows[byte / 4][part][4 * i + byte % 4]))
}

fn four(number: u32) -> [i8; 64] {
    std::array::from_fn(|i| number.to_le_bytes()[i % 4].cast_signed())
}

table! { Lanes:
    turn => |v, case| {
        let rows: [[[u8; 64]; 3]; 16] =
            std::array::from_fn(|_| std::array::from_fn(|_| case.bytes(0, 255)));
        for part in 0..3 {
            let mut out = [[7; 64]; 16];
            v.turn(&rows, part, &mut out);
            for (found, expected) in out.into_iter().zip(turned(&rows, part)) {
                case.same(found, expected);
            }
        }
    }
    load_lanes => |v, case| {
        let bytes = case.bytes(0, 255);
        case.same(lanes::<u8, 64>(v.load_lanes(&bytes)), bytes);
    }
    lanes_from_bytes => |v, case| {
        let bytes = case.signed();
        case.same(lanes(v.lanes_from_bytes(&bytes)), bytes.map(i32::from));
    }
    store_lanes => |v, case| {
        let ((wide, bytes), mut out) = (any::<V>(case), [7; 64]);
        v.store_lanes(wide, &mut out);
        case.same(out, bytes);
    }
    rotate_lanes => |v, case| {
        let (wide, bytes) = any::<V>(case);
        for bits in 0..32 {
            let found: [u8; 64] = lanes(v.rotate_lanes(wide, bits));
            // bits that stay in their byte; the others are not to be used
            let down = if bits <= 16 { bits as i32 } else { bits as i32 - 32 };
            let moved = |byte: u8| match down {
                0..8 => byte >> down,
                -7..0 => byte << -down,
                _ => 0,
            };
            let stays = moved(255);
            case.same(found.map(|byte| byte & stays), bytes.map(moved));
        }
    }
    mask_lanes => |v, case| {
        let ((wide, bytes), mask) = (any::<V>(case), case.number(0, 255) as u8);
        case.same(lanes(v.mask_lanes(wide, mask)), bytes.map(|byte| byte & mask));
    }
    add_base => |v, case| {
        let ((wide, bytes), first) = (any::<V>(case), case.number(0, 255) as u8);
        let found = v.add_base(wide, consecutive::<V>(first));
        case.same(lanes(found), bytes.map(|byte| byte.wrapping_add(first)));
    }
    shift_lanes => |v, case| {
        let (wide, numbers) = ints::<V>(case, i32::MIN.into(), i32::MAX.into());
        for bits in 0..32 {
            case.same(lanes(v.shift_lanes(wide, bits)), numbers.map(|number| number >> bits));
        }
    }
    add_lanes => |v, case| {
        let a = ints::<V>(case, -(1 << 30), 1 << 30);
        let b = ints::<V>(case, -(1 << 30), (1 << 30) - 1);
        let found = v.add_lanes(a.0, b.0);
        case.same::<i32, 16>(lanes(found), std::array::from_fn(|i| a.1[i] + b.1[i]));
    }
    look_up_lanes => |v, case| {
        let entries = case.bytes::<16>(0, 255);
        let table = vector::<_, u8, 64>(std::array::from_fn(|i| entries[i % 16]));
        let (wide, indices) = any::<V>(case);
        let expected = indices.map(|index| entries[usize::from(index & 15)]);
        case.same(lanes(v.look_up_lanes(table, wide)), expected);
    }
    look_up_sixes => |v, case| {
        let first = case.number(0, 255) as u8;
        let (low, high) = (any::<V>(case), any::<V>(case));
        let found = v.look_up_sixes(consecutive::<V>(first), low.0, high.0);
        let index = |i: usize| low.1[i] & 15 | high.1[i] & 48;
        case.same(lanes::<u8, 64>(found), std::array::from_fn(|i| first.wrapping_add(index(i))));
    }
    look_up_fives => |v, case| {
        let first = 16 * case.number(0, 15) as u8;
        let ((wide, low), bits) = (any::<V>(case), case.bits());
        let found = v.look_up_fives(consecutive::<V>(first), wide, bits);
        let index = |i: usize| low[i] & 15 | bit(bits, i) << 4;
        case.same(lanes::<u8, 64>(found), std::array::from_fn(|i| first.wrapping_add(index(i))));
    }
    splat_lanes => |v, case| {
        let number = case.number(i32::MIN.into(), i32::MAX.into()) as i32;
        case.same(lanes(v.splat_lanes(number)), [number; 16]);
    }
    dot_values => |v, case| {
        let ((sum, sums), (values, bytes)) = (ints::<V>(case, -(1 << 30), 1 << 30), any::<V>(case));
        let signed = u32::from_le_bytes(case.bytes(-127, 127));
        let found = lanes(v.dot_values(sum, values, signed));
        if V::ALL_UNSIGNED {
            case.same(found, dot(sums, bytes, four(signed)));
        } else {
            let (values, signed) = (bytes.map(u8::cast_signed), four(signed));
            let product = |i: usize| i32::from(values[i]) * i32::from(signed[i]);
            let sum = |i: usize| sums[i] + (4 * i..4 * i + 4).map(product).sum::<i32>();
            case.same::<i32, 16>(found, std::array::from_fn(sum));
        }
    }
    dot_codes => |v, case| {
        let (sum, sums) = ints::<V>(case, -(1 << 30), 1 << 30);
        let codes = case.bytes::<64>(0, if V::ALL_UNSIGNED { 255 } else { 63 });
        let signed = u32::from_le_bytes(case.bytes(-128, 127));
        let found = v.dot_codes(sum, vector(codes), signed);
        case.same(lanes(found), dot(sums, codes, four(signed)));
    }
    multiply_add_lanes => |v, case| {
        let (sum, sums) = ints::<V>(case, -(1 << 30), 1 << 30);
        let (a, b) = (ints::<V>(case, -(1 << 17), 1 << 17), ints::<V>(case, -(1 << 12), 1 << 12));
        let found = v.multiply_add_lanes(sum, a.0, b.0);
        case.same::<i32, 16>(lanes(found), std::array::from_fn(|i| sums[i] + a.1[i] * b.1[i]));
    }
    multiply_add_words => |v, case| {
        let (sum, sums) = ints::<V>(case, -(1 << 30), 1 << 30);
        let (a, b) = (ints::<V>(case, -32_768, 32_767), ints::<V>(case, 0, 32_767));
        let found = v.multiply_add_words(sum, a.0, b.0);
        case.same::<i32, 16>(lanes(found), std::array::from_fn(|i| sums[i] + a.1[i] * b.1[i]));
    }
    store_bytes => |v, case| {
        let (bytes, mut out) = (case.bytes::<32>(0, 255), [7; 32]);
        v.store_bytes(vector(bytes), &mut out);
        case.same(out, bytes);
    }
    store_sums => |v, case| {
        let (values, mut out) = (case.floats::<8>(), [7.0; 8]);
        v.store_sums(vector(values), &mut out);
        case.same(out, values);
    }
    store_as_bytes => |v, case| {
        let (values, mut out) = (case.floats::<16>(), [7; 64]);
        v.store_as_bytes(vector(values), &mut out);
        case.same(out, std::array::from_fn(|i| values[i / 4].to_le_bytes()[i % 4]));
    }
    floats_from_lanes => |v, case| {
        let (wide, numbers) = ints::<V>(case, i32::MIN.into(), i32::MAX.into());
        case.same(lanes(v.floats_from_lanes(wide)), numbers.map(|number| number as f32));
    }
    floats_of_bits => |v, case| {
        let (wide, numbers) = ints::<V>(case, i32::MIN.into(), i32::MAX.into());
        case.same(lanes(v.floats_of_bits(wide)), numbers);
    }
}
