// Opens a GGUF file, shows what is in it, decodes and multiplies rows, encodes some numbers, and
// checks the file.
//
//     cc rows.c -o rows $(pkg-config --cflags --libs granule)
//     ./rows model.gguf

#include <granule.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Ends the program with the library's message if a call has failed.
static void must(granule_status status, const char *what) {
    if (status != GRANULE_STATUS_OK) {
        fprintf(stderr, "%s: %s\n", what, granule_error_message());
        exit(EXIT_FAILURE);
    }
}

static void *room(size_t bytes) {
    void *memory = malloc(bytes > 0 ? bytes : 1);
    if (memory == NULL) {
        fprintf(stderr, "no memory\n");
        exit(EXIT_FAILURE);
    }
    return memory;
}

// Decodes all rows of a tensor, multiplies them with a vector, and compares the product with one
// of the decoded numbers. Returns the difference, relative to the largest value.
static double compare(const granule_model *model, size_t index, const granule_tensor *tensor) {
    size_t values = tensor->rows * tensor->row_values;
    float *decoded = room(values * sizeof *decoded);
    float *x = room(tensor->row_values * sizeof *x);
    float *y = room(tensor->rows * sizeof *y);
    must(granule_decode_rows(model, index, 0, tensor->rows, decoded, values), "decode");
    for (size_t i = 0; i < tensor->row_values; i++) {
        x[i] = (float)(i % 7) - 3.0f;
    }
    must(granule_matmul(model, index, x, 1, y), "product");
    double largest = 0, difference = 0;
    for (size_t row = 0; row < tensor->rows; row++) {
        double sum = 0;
        for (size_t i = 0; i < tensor->row_values; i++) {
            sum += (double)decoded[row * tensor->row_values + i] * x[i];
        }
        largest = fmax(largest, fabs(sum));
        difference = fmax(difference, fabs(sum - y[row]));
    }
    free(decoded);
    free(x);
    free(y);
    return largest > 0 ? difference / largest : 0;
}

// Encodes a row and decodes it again. Returns the largest error.
static double encode(const char *name) {
    enum { COLUMNS = 256 };
    float row[COLUMNS], again[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        row[i] = (float)sin(i * 0.1);
    }
    uint32_t type;
    size_t bytes;
    must(granule_type_from_name(name, &type), "type");
    must(granule_row_bytes(type, COLUMNS, &bytes), "row");
    uint8_t *blocks = room(bytes);
    must(granule_encode(type, row, 1, COLUMNS, NULL, 0, blocks, bytes), "encode");
    must(granule_decode_blocks(type, blocks, bytes, again, COLUMNS), "decode");
    double error = 0;
    for (int i = 0; i < COLUMNS; i++) {
        error = fmax(error, fabs(again[i] - row[i]));
    }
    free(blocks);
    return error;
}

int main(int count, char **arguments) {
    if (count != 2) {
        fprintf(stderr, "usage: %s FILE\n", arguments[0]);
        return EXIT_FAILURE;
    }
    granule_model *model;
    must(granule_open(arguments[1], true, &model), "open");
    granule_string architecture;
    must(granule_metadata_string(model, "general.architecture", &architecture), "metadata");
    printf("architecture %.*s, %zu entries, %zu tensors\n", (int)architecture.length,
           architecture.data, granule_metadata_count(model), granule_tensor_count(model));

    double difference = 0;
    for (size_t i = 0; i < granule_tensor_count(model); i++) {
        granule_tensor tensor;
        must(granule_tensor_at(model, i, &tensor), "tensor");
        difference = fmax(difference, compare(model, i, &tensor));
    }
    printf("products differ by up to %.1f %%\n", 100 * difference);

    size_t tokens;
    granule_string token;
    must(granule_metadata_array_length(model, "tokenizer.ggml.tokens", &tokens), "tokens");
    must(granule_metadata_array_string(model, "tokenizer.ggml.tokens", 1, &token), "token");
    printf("%zu tokens, token 1 is %.*s\n", tokens, (int)token.length, token.data);
    printf("Q8_0: error %.4f, Q4_K: error %.4f\n", encode("Q8_0"), encode("q4_k"));

    // what goes wrong is told
    size_t index;
    if (granule_tensor_find(model, "no such tensor", &index) != GRANULE_STATUS_NOT_FOUND) {
        return EXIT_FAILURE;
    }
    printf("%s\n", granule_error_message());
    granule_close(model);

    granule_report *report;
    must(granule_check(arguments[1], false, &report), "check");
    printf("%s, %zu findings\n", granule_report_valid(report, false) ? "valid" : "invalid",
           granule_report_count(report));
    for (size_t i = 0; i < granule_report_count(report); i++) {
        granule_finding finding;
        must(granule_report_finding(report, i, &finding), "finding");
        printf("%.*s at byte %llu\n", (int)finding.rule.length, finding.rule.data,
               (unsigned long long)finding.offset);
    }
    granule_report_free(report);
    return EXIT_SUCCESS;
}
