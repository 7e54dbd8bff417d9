//! The rules of the validator, one a file.
//!
//! The text at the top of a rule's file is its page: `granule explain`, `spec/rules.md`. To add a
//! rule, follow the recipe in `CONTRIBUTING.md`.

// imported here because the files of the rules import it from their parent
use super::probe::{Check, note};
use super::rule::{Rule, Severity};

/// Returns every rule with its check.
pub(super) fn checks() -> impl Iterator<Item = (&'static Rule, &'static Check)> {
    RULES.iter().zip(CHECKS)
}

/// Returns the rule with this id, ignoring case.
pub(super) fn by_id(id: &str) -> Option<&'static Rule> {
    RULES.iter().find(|rule| rule.id.eq_ignore_ascii_case(id))
}

/// The rule with this id.
///
/// # Panics
/// If there is none.
pub(super) fn any(id: &str) -> &'static Rule {
    by_id(id).expect("a rule with this id")
}

/// Bytes of the page at the top of a file: the lines that begin with `//!`, without that.
const fn page_bytes(source: &str) -> usize {
    copy_page(source, &mut [])
}

/// Copies the page at the top of a file to `out`, as far as it fits, and returns its length.
const fn copy_page(source: &str, out: &mut [u8]) -> usize {
    let source = source.as_bytes();
    let (mut at, mut length) = (0, 0);
    while at + 2 < source.len() && source[at] == b'/' && source[at + 2] == b'!' {
        at += 3;
        if source[at] == b' ' {
            at += 1;
        }
        loop {
            if length < out.len() {
                out[length] = source[at];
            }
            (at, length) = (at + 1, length + 1);
            if source[at - 1] == b'\n' {
                break;
            }
        }
    }
    length
}

macro_rules! rules {
    ($( $id:literal $severity:ident $module:ident; )*) => {
        /// Every rule, by its id.
        pub const RULES: &[Rule] = &[ $( Rule {
            id: $id,
            name: stringify!($module).split_at(5).1,
            severity: Severity::$severity,
            page: {
                const SOURCE: &str = include_str!(concat!(stringify!($module), ".rs"));
                const PAGE: [u8; page_bytes(SOURCE)] = {
                    let mut page = [0; page_bytes(SOURCE)];
                    copy_page(SOURCE, &mut page);
                    page
                };
                match str::from_utf8(&PAGE) {
                    Ok(page) => page,
                    Err(_) => panic!("the page is not UTF-8"),
                }
            },
        }, )* ];

        /// The checks of the rules, in the same order.
        const CHECKS: &[Check] = &[ $( $module::CHECK, )* ];
    };
}

mod a001_element_type;
mod a002_element_count;
mod a003_nesting;
mod a004_nested_fault;
mod a005_bool_in_array;
mod d001_nan;
mod d002_infinity;
mod d003_scale;
mod d004_exponent;
mod d005_e4m3_scale;
mod d006_ternary_code;
mod d007_ternary_byte;
mod d008_sums;
mod h001_header_cut;
mod h002_magic;
mod h003_version;
mod h004_old_version;
mod h005_byte_order;
mod h006_tensor_count;
mod h007_entry_count;
mod h008_counts;
mod k001_empty_key;
mod k002_long_key;
mod k003_key_bytes;
mod k004_key_style;
mod k005_duplicate_key;
mod k006_key_cut;
mod l001_alignment_type;
mod l002_alignment;
mod l003_small_alignment;
mod l004_large_alignment;
mod o001_unaligned_offset;
mod o002_overlap;
mod o003_order;
mod o004_gap;
mod o005_outside_file;
mod o006_offset_wraps;
mod o007_trailing_bytes;
mod o008_no_data_section;
mod p001_padding_before_data;
mod p002_padding_after_tensor;
mod p003_last_padding;
mod s001_no_architecture;
mod s002_architecture_text;
mod s003_architecture_letters;
mod s004_file_type_type;
mod s005_file_type_unknown;
mod s006_file_type_wrong;
mod s007_no_quantization_version;
mod s008_quantization_version_type;
mod s009_quantization_version;
mod s010_vocabulary_lengths;
mod s011_vocabulary_types;
mod s012_special_token;
mod s013_vocabulary_size;
mod s014_embedding_rows;
mod s015_embedding_width;
mod s016_block_count;
mod s017_head_count;
mod s018_integer_key;
mod s019_repeated_token;
mod s020_no_merges;
mod s021_merge_without_token;
mod s022_tensor_of_one_block_missing;
mod s023_needed_tensor_missing;
mod s024_block_missing;
mod s025_head_shape;
mod s026_no_tokenizer;
mod t001_long_name;
mod t002_name_of_64;
mod t003_empty_name;
mod t004_name_bytes;
mod t005_duplicate_name;
mod t006_many_dimensions;
mod t007_no_dimensions;
mod t008_zero_dimension;
mod t009_large_dimension;
mod t010_many_values;
mod t011_many_bytes;
mod t012_partial_block;
mod t013_tensor_type;
mod t014_removed_type;
mod t015_table_cut;
mod v001_value_type;
mod v002_bool;
mod v003_value_cut;
mod v004_string_cut;
mod v005_not_utf8;
mod v006_nul;
mod v007_token_not_utf8;
mod x001_split_types;
mod x002_split_number;
mod x003_split_half;
mod x004_split_tensors;
mod x005_shard_missing;
mod x006_shards_disagree;
mod x007_tensor_in_two_shards;
mod x008_shard_number;
mod x009_shard_alone;

rules! {
    "H001" Error h001_header_cut;
    "H002" Error h002_magic;
    "H003" Error h003_version;
    "H004" Warning h004_old_version;
    "H005" Error h005_byte_order;
    "H006" Error h006_tensor_count;
    "H007" Error h007_entry_count;
    "H008" Error h008_counts;
    "K001" Error k001_empty_key;
    "K002" Error k002_long_key;
    "K003" Error k003_key_bytes;
    "K004" Warning k004_key_style;
    "K005" Error k005_duplicate_key;
    "K006" Error k006_key_cut;
    "V001" Error v001_value_type;
    "V002" Error v002_bool;
    "V003" Error v003_value_cut;
    "V004" Error v004_string_cut;
    "V005" Error v005_not_utf8;
    "V006" Warning v006_nul;
    "V007" Warning v007_token_not_utf8;
    "A001" Error a001_element_type;
    "A002" Error a002_element_count;
    "A003" Error a003_nesting;
    "A004" Error a004_nested_fault;
    "A005" Error a005_bool_in_array;
    "L001" Error l001_alignment_type;
    "L002" Error l002_alignment;
    "L003" Warning l003_small_alignment;
    "L004" Warning l004_large_alignment;
    "T001" Error t001_long_name;
    "T002" Warning t002_name_of_64;
    "T003" Error t003_empty_name;
    "T004" Error t004_name_bytes;
    "T005" Error t005_duplicate_name;
    "T006" Error t006_many_dimensions;
    "T007" Warning t007_no_dimensions;
    "T008" Warning t008_zero_dimension;
    "T009" Error t009_large_dimension;
    "T010" Error t010_many_values;
    "T011" Error t011_many_bytes;
    "T012" Error t012_partial_block;
    "T013" Error t013_tensor_type;
    "T014" Error t014_removed_type;
    "T015" Error t015_table_cut;
    "O001" Error o001_unaligned_offset;
    "O002" Error o002_overlap;
    "O003" Error o003_order;
    "O004" Error o004_gap;
    "O005" Error o005_outside_file;
    "O006" Error o006_offset_wraps;
    "O007" Warning o007_trailing_bytes;
    "O008" Error o008_no_data_section;
    "P001" Warning p001_padding_before_data;
    "P002" Warning p002_padding_after_tensor;
    "P003" Warning p003_last_padding;
    "S001" Warning s001_no_architecture;
    "S002" Error s002_architecture_text;
    "S003" Warning s003_architecture_letters;
    "S004" Error s004_file_type_type;
    "S005" Warning s005_file_type_unknown;
    "S006" Warning s006_file_type_wrong;
    "S007" Warning s007_no_quantization_version;
    "S008" Error s008_quantization_version_type;
    "S009" Warning s009_quantization_version;
    "S010" Error s010_vocabulary_lengths;
    "S011" Error s011_vocabulary_types;
    "S012" Error s012_special_token;
    "S013" Warning s013_vocabulary_size;
    "S014" Error s014_embedding_rows;
    "S015" Error s015_embedding_width;
    "S016" Error s016_block_count;
    "S017" Error s017_head_count;
    "S018" Error s018_integer_key;
    "S019" Error s019_repeated_token;
    "S020" Error s020_no_merges;
    "S021" Warning s021_merge_without_token;
    "S022" Warning s022_tensor_of_one_block_missing;
    "S023" Error s023_needed_tensor_missing;
    "S024" Error s024_block_missing;
    "S025" Error s025_head_shape;
    "S026" Warning s026_no_tokenizer;
    "X001" Error x001_split_types;
    "X002" Error x002_split_number;
    "X003" Error x003_split_half;
    "X004" Error x004_split_tensors;
    "X005" Error x005_shard_missing;
    "X006" Error x006_shards_disagree;
    "X007" Error x007_tensor_in_two_shards;
    "X008" Error x008_shard_number;
    "X009" Error x009_shard_alone;
    "D001" Error d001_nan;
    "D002" Error d002_infinity;
    "D003" Error d003_scale;
    "D004" Error d004_exponent;
    "D005" Warning d005_e4m3_scale;
    "D006" Warning d006_ternary_code;
    "D007" Warning d007_ternary_byte;
    "D008" Warning d008_sums;
}
