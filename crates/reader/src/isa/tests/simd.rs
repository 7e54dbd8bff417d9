//! The operations of [`Simd`].

use granule_format::block::codebook::{iq2_xs, iq2_xxs, iq3_s, iq3_xxs};
use granule_format::num::F16;

use super::super::{Eights, Fours, Simd};
use super::{Case, lanes, table, vector};

static EIGHTS: Eights<256> = Eights::new(&iq2_xxs::GRID, &iq2_xxs::LEVELS);
static MORE_EIGHTS: Eights<512> = Eights::new(&iq2_xs::GRID, &iq2_xs::LEVELS);
static FOURS: Fours<256> = Fours::new(&iq3_xxs::GRID, &iq3_xxs::LEVELS);
static MORE_FOURS: Fours<512> = Fours::new(&iq3_s::GRID, &iq3_s::LEVELS);

/// Bytes with any bits.
fn any<V: Simd>(case: &mut Case) -> V::Bytes {
    vector(case.bytes::<32>(0, 255))
}

/// Bytes from `low` to `high`.
fn bytes<V: Simd>(case: &mut Case, low: i64, high: i64) -> V::Bytes {
    vector(case.bytes::<32>(low, high))
}

fn table_of(case: &mut Case) -> [i8; 16] {
    case.signed()
}

fn note_bytes<V: Simd>(case: &mut Case, found: V::Bytes) {
    case.note(lanes::<u8, 32>(found));
}

fn note_words<V: Simd>(case: &mut Case, found: V::Words) {
    case.note(lanes::<i16, 16>(found));
}

fn note_ints<V: Simd>(case: &mut Case, found: V::Ints) {
    case.note(lanes::<i32, 8>(found));
}

fn note_sums<V: Simd>(case: &mut Case, found: V::Sums) {
    case.note(lanes::<f32, 8>(found));
}

fn note_floats<V: Simd>(case: &mut Case, found: V::Floats) {
    case.note(lanes::<f32, 16>(found));
}

/// The products of unsigned with signed bytes, each four neighbours added to a number.
pub(super) fn dot<const N: usize, const BYTES: usize>(
    sum: [i32; N],
    unsigned: [u8; BYTES],
    signed: [i8; BYTES],
) -> [i32; N] {
    let product = |i: usize| i32::from(unsigned[i]) * i32::from(signed[i]);
    std::array::from_fn(|i| sum[i] + (4 * i..4 * i + 4).map(product).sum::<i32>())
}

/// Every half-precision number, `N` at a time.
fn every_half<const N: usize>() -> impl Iterator<Item = [u16; N]> {
    (0..1 << 16).step_by(N).map(|first| std::array::from_fn(|i| (first + i) as u16))
}

table! { Simd:
    prefetch => |v, case| {
        // no address is wrong
        let line = [0_u8; 64];
        for bytes in [0, 1, 64, 4096, usize::MAX / 2, usize::MAX] {
            v.prefetch(&line, bytes);
            v.prefetch::<u8>(&[], bytes);
        }
        case.same(line, [0; 64]);
    }
    load => |v, case| {
        let bytes = case.bytes(0, 255);
        note_bytes::<V>(case, v.load(&bytes));
    }
    load_signed => |v, case| {
        let bytes = case.signed();
        note_bytes::<V>(case, v.load_signed(&bytes));
    }
    load_two => |v, case| {
        let (first, second) = (case.bytes(0, 255), case.bytes(0, 255));
        note_bytes::<V>(case, v.load_two(&first, &second));
    }
    nibbles => |v, case| {
        let bytes = case.bytes(0, 255);
        note_bytes::<V>(case, v.nibbles(&bytes));
    }
    bytes_from_u64 => |v, case| {
        let parts = std::array::from_fn(|_| case.bits());
        note_bytes::<V>(case, v.bytes_from_u64(parts));
    }
    bytes_from_u32 => |v, case| {
        let parts = std::array::from_fn(|_| case.bits() as u32);
        note_bytes::<V>(case, v.bytes_from_u32(parts));
    }
    splat_byte => |v, case| {
        let byte = case.number(0, 255) as u8;
        note_bytes::<V>(case, v.splat_byte(byte));
    }
    spread_bits => |v, case| {
        let bits = case.number(0, u32::MAX.into()) as u32;
        note_bytes::<V>(case, v.spread_bits(bits));
    }
    and => |v, case| {
        let (a, b) = (any::<V>(case), any::<V>(case));
        note_bytes::<V>(case, v.and(a, b));
    }
    or => |v, case| {
        let (a, b) = (any::<V>(case), any::<V>(case));
        note_bytes::<V>(case, v.or(a, b));
    }
    xor => |v, case| {
        let (a, b) = (any::<V>(case), any::<V>(case));
        note_bytes::<V>(case, v.xor(a, b));
    }
    add_bytes => |v, case| {
        let (a, b) = (any::<V>(case), any::<V>(case));
        note_bytes::<V>(case, v.add_bytes(a, b));
    }
    twice => |v, case| {
        let a = any::<V>(case);
        note_bytes::<V>(case, v.twice(a));
    }
    sub_bytes => |v, case| {
        let (a, b) = (any::<V>(case), any::<V>(case));
        note_bytes::<V>(case, v.sub_bytes(a, b));
    }
    negate => |v, case| {
        let (a, signs) = (any::<V>(case), case.number(0, u32::MAX.into()) as u32);
        note_bytes::<V>(case, v.negate(a, signs));
    }
    shift_right => |v, case| {
        let a = any::<V>(case);
        for bits in 0..16 {
            note_bytes::<V>(case, v.shift_right(a, bits));
        }
    }
    shift_left => |v, case| {
        let a = any::<V>(case);
        for bits in 0..16 {
            note_bytes::<V>(case, v.shift_left(a, bits));
        }
    }
    sub_to_zero => |v, case| {
        let (a, b) = (any::<V>(case), any::<V>(case));
        note_bytes::<V>(case, v.sub_to_zero(a, b));
    }
    average => |v, case| {
        let (a, b) = (any::<V>(case), any::<V>(case));
        note_bytes::<V>(case, v.average(a, b));
    }
    lookup => |v, case| {
        let (table, indices) = (table_of(case), bytes::<V>(case, 0, 15));
        note_bytes::<V>(case, v.lookup(&table, indices));
    }
    lookup_nibbles => |v, case| {
        let (table, bytes) = (table_of(case), case.bytes(0, 255));
        note_bytes::<V>(case, v.lookup_nibbles(&table, &bytes));
    }
    lookup_low => |v, case| {
        let (table, bytes) = (table_of(case), any::<V>(case));
        note_bytes::<V>(case, v.lookup_low(&table, bytes));
    }
    lookup_nibbles_of_eights => |v, case| {
        let (table, bytes) = (table_of(case), case.bytes(0, 255));
        note_bytes::<V>(case, v.lookup_nibbles_of_eights(&table, &bytes));
    }
    eights => |v, case| {
        let indices = std::array::from_fn(|_| u32::from_le_bytes(case.bytes(0, 255)));
        for found in v.eights(&EIGHTS, indices) {
            note_bytes::<V>(case, found);
        }
    }
    eights_with_signs => |v, case| {
        let groups = case.bytes(0, 255);
        let (values, signs) = v.eights_with_signs(&MORE_EIGHTS, &groups);
        for found in values {
            note_bytes::<V>(case, found);
        }
        case.note(signs);
    }
    fours => |v, case| {
        let (low, high) = (case.bytes(0, 255), case.bits());
        let both = [v.fours(&FOURS, &low, high), v.fours(&MORE_FOURS, &low, high)];
        for found in both.into_iter().flatten() {
            note_bytes::<V>(case, found);
        }
    }
    even_signs => |v, case| {
        let indices = std::array::from_fn(|_| case.number(0, u32::MAX.into()) as u32);
        case.note(v.even_signs(indices));
    }
    words => |v, case| {
        let bytes = [0; 2].map(|_: u64| u64::from_le_bytes(case.bytes(0, 255)));
        note_words::<V>(case, v.words(bytes));
    }
    words_doubled => |v, case| {
        let bytes = u64::from_le_bytes(case.bytes(0, 255));
        note_words::<V>(case, v.words_doubled(bytes));
    }
    words_split => |v, case| {
        let bytes = [0; 2].map(|_: u64| u64::from_le_bytes(case.bytes(0, 255)));
        note_words::<V>(case, v.words_split(bytes));
    }
    load_words => |v, case| {
        let words = case.words(32_767);
        note_words::<V>(case, v.load_words(&words));
    }
    pick => |v, case| {
        let words = vector(case.words::<16>(32_767));
        for index in 0..8 {
            note_words::<V>(case, v.pick(words, index));
        }
    }
    pick_pair => |v, case| {
        let words = vector(case.words::<16>(32_767));
        for index in 0..8 {
            note_words::<V>(case, v.pick_pair(words, index));
        }
    }
    multiply_words => |v, case| {
        let words = vector(case.words::<16>(32_767));
        let factor = case.number(-32_768, 32_767) as i16;
        note_words::<V>(case, v.multiply_words(words, factor));
    }
    multiply_unsigned => |v, case| {
        let (unsigned, signed) = (bytes::<V>(case, 0, 127), bytes::<V>(case, -127, 127));
        note_words::<V>(case, v.multiply_unsigned(unsigned, signed));
    }
    multiply_signed => |v, case| {
        let (a, b) = (bytes::<V>(case, -128, 127), bytes::<V>(case, -127, 127));
        note_words::<V>(case, v.multiply_signed(a, b));
    }
    zero_ints => |v, case| {
        case.same(lanes(v.zero_ints()), [0_i32; 8]);
    }
    add_ints => |v, case| {
        let (a, b) = (case.ints::<8>(1 << 30), case.ints::<8>((1 << 30) - 1));
        note_ints::<V>(case, v.add_ints(vector(a), vector(b)));
    }
    multiply_add => |v, case| {
        // as large as the results still fit
        let sum = vector(case.ints::<8>(100_000));
        let (a, b) = (vector(case.words::<16>(32_767)), vector(case.words::<16>(32_767)));
        note_ints::<V>(case, v.multiply_add(sum, a, b));
    }
    dot_unsigned => |v, case| {
        let (unsigned, signed) = (bytes::<V>(case, 0, 127), bytes::<V>(case, -127, 127));
        note_ints::<V>(case, v.dot_unsigned(unsigned, signed));
        if V::ALL_UNSIGNED {
            let (unsigned, signed) = (case.bytes::<32>(0, 255), case.signed::<32>());
            let found = v.dot_unsigned(vector(unsigned), vector(signed));
            case.same(lanes(found), dot([0_i32; 8], unsigned, signed));
        }
    }
    add_dot_unsigned => |v, case| {
        let sum = case.ints::<8>(1 << 30);
        let (unsigned, signed) = (bytes::<V>(case, 0, 127), bytes::<V>(case, -127, 127));
        note_ints::<V>(case, v.add_dot_unsigned(vector(sum), unsigned, signed));
        if V::ALL_UNSIGNED {
            let (unsigned, signed) = (case.bytes::<32>(0, 255), case.signed::<32>());
            let found = v.add_dot_unsigned(vector(sum), vector(unsigned), vector(signed));
            case.same(lanes(found), dot(sum, unsigned, signed));
        }
    }
    ints => |v, case| {
        let bytes = u64::from_le_bytes(case.bytes(0, 255));
        note_ints::<V>(case, v.ints(bytes));
    }
    add_multiplied => |v, case| {
        let (sum, ints) = (vector(case.ints::<8>(1 << 30)), vector(case.ints::<8>(32_767)));
        let factors = vector(case.ints::<8>(32_767));
        for index in 0..8 {
            note_ints::<V>(case, v.add_multiplied(sum, ints, factors, index));
        }
    }
    dot_signed => |v, case| {
        let (a, b) = (bytes::<V>(case, -128, 127), bytes::<V>(case, -127, 127));
        note_ints::<V>(case, v.dot_signed(a, b));
    }
    zero_sums => |v, case| {
        case.same(lanes(v.zero_sums()), [0.0_f32; 8]);
    }
    accumulate => |v, case| {
        let (sums, ints) = (case.floats::<8>(), case.ints::<8>(i32::MAX.into()));
        let scale = case.float();
        let found = v.accumulate(vector(sums), vector(ints), scale);
        case.rounded(lanes(found), sums, ints.map(|int| int as f32), [scale; 8]);
    }
    accumulate_halves => |v, case| {
        let (sums, ints) = (case.floats::<8>(), case.ints::<8>(i32::MAX.into()));
        let scales = case.floats::<2>();
        let found = v.accumulate_halves(vector(sums), vector(ints), scales);
        let scales = std::array::from_fn(|i| scales[i / 4]);
        case.rounded(lanes(found), sums, ints.map(|int| int as f32), scales);
    }
    total => |v, case| {
        let values = case.plain_floats::<8>();
        case.summed(values, |values| v.total(vector(values)));
    }
    total_each => |v, case| {
        let ints = [0; 8].map(|_: u8| vector(case.ints::<8>(1 << 27)));
        note_ints::<V>(case, v.total_each(ints));
    }
    total_halves => |v, case| {
        let ints = [0; 4].map(|_: u8| vector(case.ints::<8>(1 << 28)));
        note_ints::<V>(case, v.total_halves(ints));
    }
    add_words_times => |v, case| {
        let (sum, words) = (vector(case.ints::<8>(1 << 30)), case.words(32_767));
        let factor = case.number(-32_767, 32_767) as i32;
        note_ints::<V>(case, v.add_words_times(sum, &words, factor));
    }
    sums_from_ints => |v, case| {
        let ints = vector(case.ints::<8>(i32::MAX.into()));
        note_sums::<V>(case, v.sums_from_ints(ints));
    }
    sums_from_halves => |v, case| {
        if case.round == 0 {
            every_half().for_each(|bits| {
                note_sums::<V>(case, v.sums_from_halves(bits.map(F16::from_bits)));
            });
        }
        let numbers = [0; 8].map(|_: u8| F16::from_bits(case.bits() as u16));
        note_sums::<V>(case, v.sums_from_halves(numbers));
    }
    sums_from_upper_bits => |v, case| {
        let bytes = u64::from_le_bytes(case.bytes(0, 255));
        note_sums::<V>(case, v.sums_from_upper_bits(bytes));
    }
    load_sums_twice => |v, case| {
        let values = case.floats();
        note_sums::<V>(case, v.load_sums_twice(&values));
    }
    load_sums => |v, case| {
        let values = case.floats();
        note_sums::<V>(case, v.load_sums(&values));
    }
    multiply_sums => |v, case| {
        let (a, b) = (vector(case.floats::<8>()), vector(case.floats::<8>()));
        note_sums::<V>(case, v.multiply_sums(a, b));
    }
    multiply_add_sums => |v, case| {
        let (sum, a, b) = (case.floats::<8>(), case.floats::<8>(), case.floats::<8>());
        let found = v.multiply_add_sums(vector(sum), vector(a), vector(b));
        case.rounded(lanes(found), sum, a, b);
    }
    half => |v, case| {
        if case.round == 0 {
            for [bits] in every_half() {
                case.note([v.half(F16::from_bits(bits))]);
            }
        }
        let number = F16::from_bits(case.bits() as u16);
        case.note([v.half(number)]);
    }
    halves => |v, case| {
        if case.round == 0 {
            every_half::<16>().for_each(|bits| {
                let bytes = std::array::from_fn(|i| bits[i / 2].to_le_bytes()[i % 2]);
                note_floats::<V>(case, v.halves(&bytes));
            });
        }
        let bytes = case.bytes(0, 255);
        note_floats::<V>(case, v.halves(&bytes));
    }
    floats_from_bytes => |v, case| {
        let values = case.floats::<16>();
        let bytes = std::array::from_fn(|i| values[i / 4].to_le_bytes()[i % 4]);
        note_floats::<V>(case, v.floats_from_bytes(&bytes));
    }
    brain_floats => |v, case| {
        let bytes = case.bytes(0, 255);
        note_floats::<V>(case, v.brain_floats(&bytes));
    }
    floats => |v, case| {
        let bytes = any::<V>(case);
        for found in v.floats(bytes) {
            note_floats::<V>(case, found);
        }
    }
    floats_from_u64 => |v, case| {
        let bytes = [0; 2].map(|_: u64| u64::from_le_bytes(case.bytes(0, 255)));
        note_floats::<V>(case, v.floats_from_u64(bytes));
    }
    splat => |v, case| {
        let value = case.float();
        note_floats::<V>(case, v.splat(value));
    }
    load_floats => |v, case| {
        let values = case.floats();
        note_floats::<V>(case, v.load_floats(&values));
    }
    store => |v, case| {
        let (values, mut out) = (vector(case.floats::<16>()), [7.0; 16]);
        v.store(values, &mut out);
        case.note(out);
    }
    add => |v, case| {
        let (a, b) = (vector(case.floats::<16>()), vector(case.floats::<16>()));
        note_floats::<V>(case, v.add(a, b));
    }
    sub => |v, case| {
        let (a, b) = (vector(case.floats::<16>()), vector(case.floats::<16>()));
        note_floats::<V>(case, v.sub(a, b));
    }
    mul => |v, case| {
        let (a, b) = (vector(case.floats::<16>()), vector(case.floats::<16>()));
        note_floats::<V>(case, v.mul(a, b));
    }
    multiply_add_floats => |v, case| {
        let (sum, a, b) = (case.floats::<16>(), case.floats::<16>(), case.floats::<16>());
        let found = v.multiply_add_floats(vector(sum), vector(a), vector(b));
        case.rounded(lanes(found), sum, a, b);
    }
    fused_multiply_add => |v, case| {
        let (sum, a, b) = (case.floats::<16>(), case.floats::<16>(), case.floats::<16>());
        let found = v.fused_multiply_add(vector(sum), vector(a), vector(b));
        let expected: [f32; 16] = std::array::from_fn(|lane| a[lane].mul_add(b[lane], sum[lane]));
        case.same(lanes(found), expected);
    }
    total_floats => |v, case| {
        let values = case.plain_floats::<16>();
        case.summed(values, |values| v.total_floats(vector(values)));
    }
}
