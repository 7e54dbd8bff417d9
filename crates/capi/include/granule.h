// Read, encode and check GGUF files. Written by cbindgen: change crates/capi/src instead.
//
// Every function that can fail returns a `granule_status`; `granule_error_message` says why the
// last failed call of this thread has failed. What a function writes to is changed only if it
// returns GRANULE_STATUS_OK, but for the contents of buffers, which are then unspecified.
//
// Threads: all functions may be called from any thread. A model or a report may be used by several
// threads at once; while one frees it, no other may use it. Large products are shared among the
// threads of a pool; RAYON_NUM_THREADS in the environment says how many.
//
// Strings of arguments end with NUL and are UTF-8. Strings that are returned have a length, may
// contain any character, and live as long as what they were taken from.


#ifndef GRANULE_H
#define GRANULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// How a call ended.
typedef enum granule_status {
    // It has done what it says.
    GRANULE_STATUS_OK = 0,
    // An argument is null, out of range or not UTF-8, or a buffer has another length than needed.
    GRANULE_STATUS_ARGUMENT = 1,
    // The operating system could not read a file.
    GRANULE_STATUS_IO = 2,
    // The file is not a valid GGUF file, or a split set is not whole.
    GRANULE_STATUS_FORMAT = 3,
    // This version or platform cannot handle the tensor.
    GRANULE_STATUS_UNSUPPORTED = 4,
    // There is no such tensor or key.
    GRANULE_STATUS_NOT_FOUND = 5,
    // The metadata entry has another type.
    GRANULE_STATUS_TYPE = 6,
    // The values cannot be encoded.
    GRANULE_STATUS_ENCODE = 7,
    // A fault of this library; please report it.
    GRANULE_STATUS_INTERNAL = 8,
} granule_status;

// An open GGUF file, or all files of a split set.
typedef struct granule_model granule_model;

// What a check has found.
typedef struct granule_report granule_report;

// A string that is returned: UTF-8 unless the function says otherwise, not ended by NUL.
typedef struct granule_string {
    // The first byte.
    const char *data;
    // Its length in bytes.
    size_t length;
} granule_string;

// A tensor of a model.
typedef struct granule_tensor {
    // Its name.
    struct granule_string name;
    // The number of its type, for `granule_type_name`.
    uint32_t block_type;
    // The number of its dimensions.
    uint32_t dimensions;
    // The dimensions, the length of a row first; 1 beyond their number.
    uint64_t shape[8];
    // Number of rows: the product of all dimensions but the first.
    size_t rows;
    // Number of values in a row.
    size_t row_values;
    // Bytes of the data in the file; 0 if the type is unknown.
    uint64_t bytes;
    // The data as it lies in the file, if the file is mapped or in memory; otherwise null.
    const uint8_t *data;
} granule_tensor;

// A violation of a rule, and its place in the file.
typedef struct granule_finding {
    // The id of the rule, such as "H003".
    struct granule_string rule;
    // Whether it makes the file invalid.
    bool is_error;
    // The first violation, in bytes from the start of the file.
    uint64_t offset;
    // The part of the file.
    struct granule_string place;
    // What was found.
    struct granule_string found;
    // What was expected.
    struct granule_string expected;
} granule_finding;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// Finds the number of the type with this name, such as "Q4_K", in any case.
//
// # Safety
// `name` must be a string that ends with NUL, `block_type` lead to room for a number.
enum granule_status granule_type_from_name(const char *name, uint32_t *block_type);

// Returns the name of a type, such as "Q4_K"; its data is null if this version does not know it.
struct granule_string granule_type_name(uint32_t block_type);

// Calculates the bytes of a row of `columns` values.
//
// # Safety
// `bytes` must lead to room for a number.
enum granule_status granule_row_bytes(uint32_t block_type, size_t columns, size_t *bytes);

// Encodes rows of `columns` values each to blocks, with the bytes of llama.cpp. `importance` has
// a weight for each column, or is null. `effort` is 0; 1 searches longer for better blocks.
//
// The calling thread does the work: call it for runs of rows from several threads.
//
// # Safety
// `values` must lead to `rows * columns` numbers, `importance` to `columns` unless it is null,
// `out` to room for `bytes` bytes: `rows` times those of `granule_row_bytes`.
enum granule_status granule_encode(uint32_t block_type,
                                   const float *values,
                                   size_t rows,
                                   size_t columns,
                                   const float *importance,
                                   uint8_t effort,
                                   uint8_t *out,
                                   size_t bytes);

// Decodes blocks to `values` numbers.
//
// # Safety
// `blocks` must lead to `bytes` bytes, `out` to room for `values` numbers.
enum granule_status granule_decode_blocks(uint32_t block_type,
                                          const uint8_t *blocks,
                                          size_t bytes,
                                          float *out,
                                          size_t values);

// Returns the number of metadata entries; 0 if `model` is null.
//
// # Safety
// `model` must be null or open.
size_t granule_metadata_count(const struct granule_model *model);

// Gives the key of the entry at `index`, in the order of the file.
//
// # Safety
// `model` must be open, `key` lead to room for a string.
enum granule_status granule_metadata_key(const struct granule_model *model,
                                         size_t index,
                                         struct granule_string *key);

// Gives the string of a key.
//
// # Safety
// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a string.
enum granule_status granule_metadata_string(const struct granule_model *model,
                                            const char *key,
                                            struct granule_string *out);

// Gives the integer of a key, whatever integer type it is stored with.
//
// # Safety
// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a number.
enum granule_status granule_metadata_integer(const struct granule_model *model,
                                             const char *key,
                                             int64_t *out);

// Gives the floating-point number of a key.
//
// # Safety
// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a number.
enum granule_status granule_metadata_float(const struct granule_model *model,
                                           const char *key,
                                           double *out);

// Gives the boolean of a key.
//
// # Safety
// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a boolean.
enum granule_status granule_metadata_bool(const struct granule_model *model,
                                          const char *key,
                                          bool *out);

// Gives the number of elements of the array of a key.
//
// # Safety
// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a number.
enum granule_status granule_metadata_array_length(const struct granule_model *model,
                                                  const char *key,
                                                  size_t *out);

// Gives the string at `index` in the array of a key. It need not be UTF-8.
//
// # Safety
// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a string.
enum granule_status granule_metadata_array_string(const struct granule_model *model,
                                                  const char *key,
                                                  size_t index,
                                                  struct granule_string *out);

// Gives the integer at `index` in the array of a key.
//
// # Safety
// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a number.
enum granule_status granule_metadata_array_integer(const struct granule_model *model,
                                                   const char *key,
                                                   size_t index,
                                                   int64_t *out);

// Gives the floating-point number at `index` in the array of a key.
//
// # Safety
// `model` must be open, `key` a string that ends with NUL, `out` lead to room for a number.
enum granule_status granule_metadata_array_float(const struct granule_model *model,
                                                 const char *key,
                                                 size_t index,
                                                 double *out);

// Opens a file; if it is one of a split set, all its files. `mapped` maps them into memory: they
// must not be cut short while the model is open, or a read may end the process.
//
// # Safety
// `path` must be a string that ends with NUL, `model` lead to room for a pointer. The model has to
// be freed with `granule_close`.
enum granule_status granule_open(const char *path, bool mapped, struct granule_model **model);

// Opens a file in memory. The bytes are copied.
//
// # Safety
// `data` must lead to `length` bytes, `model` to room for a pointer. The model has to be freed
// with `granule_close`.
enum granule_status granule_open_bytes(const uint8_t *data,
                                       size_t length,
                                       struct granule_model **model);

// Closes a model. Null is allowed.
//
// # Safety
// `model` must come from this library, and must not be used again, nor what was taken from it.
void granule_close(struct granule_model *model);

// Returns the number of tensors; 0 if `model` is null.
//
// # Safety
// `model` must be null or open.
size_t granule_tensor_count(const struct granule_model *model);

// Describes the tensor at `index`, in the order of the files.
//
// # Safety
// `model` must be open, `tensor` lead to room for a tensor.
enum granule_status granule_tensor_at(const struct granule_model *model,
                                      size_t index,
                                      struct granule_tensor *tensor);

// Finds the index of the tensor with this name.
//
// # Safety
// `model` must be open, `name` a string that ends with NUL, `index` lead to room for a number.
enum granule_status granule_tensor_find(const struct granule_model *model,
                                        const char *name,
                                        size_t *index);

// Decodes the rows from `first` on into `out`, which has room for `count` rows: `values` numbers.
//
// # Safety
// `model` must be open, `out` lead to room for `values` numbers.
enum granule_status granule_decode_rows(const struct granule_model *model,
                                        size_t index,
                                        size_t first,
                                        size_t count,
                                        float *out,
                                        size_t values);

// Multiplies `vectors` vectors, one after another in `x`, with the matrix:
// `y[vector * rows + row]` is the product of a row and a vector.
//
// # Safety
// `model` must be open, `x` lead to `vectors * row_values` numbers, `y` to room for
// `vectors * rows` numbers.
enum granule_status granule_matmul(const struct granule_model *model,
                                   size_t index,
                                   const float *x,
                                   size_t vectors,
                                   float *y);

// Checks a file; `structure_only` skips the contents of the tensors. The file must not be cut
// short meanwhile, or a read may end the process.
//
// # Safety
// `path` must be a string that ends with NUL, `report` lead to room for a pointer. The report has
// to be freed with `granule_report_free`.
enum granule_status granule_check(const char *path,
                                  bool structure_only,
                                  struct granule_report **report);

// Frees a report. Null is allowed.
//
// # Safety
// `report` must come from `granule_check`, and must not be used again, nor what was taken from it.
void granule_report_free(struct granule_report *report);

// Returns whether the file is valid; with `strict`, warnings count as errors. Null is not valid.
//
// # Safety
// `report` must be null or a report.
bool granule_report_valid(const struct granule_report *report, bool strict);

// Returns the number of findings; 0 if `report` is null.
//
// # Safety
// `report` must be null or a report.
size_t granule_report_count(const struct granule_report *report);

// Gives the finding at `index`, by its place in the file.
//
// # Safety
// `report` must be a report, `finding` lead to room for a finding.
enum granule_status granule_report_finding(const struct granule_report *report,
                                           size_t index,
                                           struct granule_finding *finding);

// Returns why the last failed call of this thread has failed. The string lives until the next
// call that fails on this thread; it is empty if none has.
const char *granule_error_message(void);

// Returns the version of the library, such as "0.1.0".
const char *granule_version(void);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* GRANULE_H */
