/* The public functions of models; errors. */
#include "text.h"

#include <string.h>

const char *textgen_code_text(int32_t code) {
    static const char *const texts[] = {
        [-TEXTGEN_OK] = "no error",
        [-TEXTGEN_INVALID_ARGUMENT] = "an argument is invalid",
        [-TEXTGEN_BUFFER_TOO_SMALL] = "a buffer is too small",
        [-TEXTGEN_OUT_OF_MEMORY] = "not enough memory",
        [-TEXTGEN_DAMAGED_MODEL] = "the model file is damaged, or is not a model file",
        [-TEXTGEN_UNKNOWN_GRAPH] = "the core does not run the graph of the model file",
        [-TEXTGEN_UNKNOWN_CHARACTER] = "a character of the text is not in the vocabulary",
        [-TEXTGEN_INVALID_UTF8] = "the text is not valid UTF-8",
        [-TEXTGEN_INVALID_LOGITS] = "the logits contain NaN or +infinity, or all are -infinity",
        [-TEXTGEN_RNG_EXHAUSTED] = "the random numbers of the substream have ended",
        [-TEXTGEN_NO_PROMPT] = "the stream has no prompt",
        [-TEXTGEN_LANE_FAILED] = "a lane stopped before its length",
        [-TEXTGEN_TOO_LARGE] = "the model exceeds the limits of the core",
        [-TEXTGEN_NEWER_FORMAT] = "the model file or the saved stream needs a newer version",
        [-TEXTGEN_DAMAGED_SAVED] = "the saved stream is damaged",
        [-TEXTGEN_NO_TOKEN] = "no token is allowed",
        [-TEXTGEN_OTHER_SAVED] = "the stream was saved from another model, or with another constraint",
        [-TEXTGEN_FORWARD_FAILED] = "the other engine failed",
    };
    const int32_t count = sizeof texts / sizeof *texts;
    return code <= 0 && code > -count ? texts[-code] : "unknown code";
}

/* ---- Models ---- */

const char *textgen_kernels_name(size_t index) {
    const textgen_kernels *available[TEXTGEN_MAX_KERNELS];
    return index < (size_t)textgen_available_kernels(available) ? available[index]->name : NULL;
}

/* Read the network, and what there is to know of it. */
static int32_t read_network(textgen_model *model, const textgen_kernels *kernels, textgen_error *error) {
    textgen_description description;
    TEXTGEN_TRY(textgen_onnx_describe(&model->file, &description, error));
    TEXTGEN_TRY(
        textgen_vocabulary_create(&model->file, description.sizes.vocabulary, &model->vocabulary, error));
    TEXTGEN_TRY(
        textgen_network_create(&description, kernels, model->vocabulary->special, &model->network, error));
    model->shape.state_values = model->network->state_values;
    model->info.layers = model->network->layer_count;
    model->info.units = model->network->units;
    model->info.embedding = description.sizes.embedding;
    model->info.residual = description.sizes.residual;
    model->info.bits = (size_t)model->network->bits;
    model->info.step_bytes = textgen_network_step_bytes(model->network);
    return TEXTGEN_OK;
}

/* A state of this size, and all that is stored with it, has room in a size_t. */
enum { MAX_STATE_VALUES = 1 << 26 };

static int32_t set_engine(textgen_model *model, const textgen_model_options *options, textgen_error *error) {
    const textgen_onnx *file = &model->file;
    model->forward = options->forward;
    model->context = options->context;
    model->shape.state_values = options->state_values;
    return options->state_values > MAX_STATE_VALUES
               ? textgen_fail_at(error, TEXTGEN_TOO_LARGE, "state_values", -1, "must be at most %d",
                                 (int)MAX_STATE_VALUES)
               : textgen_vocabulary_create(file, options->vocabulary ? options->vocabulary : TEXTGEN_ANY_SIZE,
                                           &model->vocabulary, error);
}

static int32_t fill_model(textgen_model *model, const textgen_kernels *kernels,
                          const textgen_model_options *options, textgen_error *error) {
    TEXTGEN_TRY(textgen_format_check(&model->file, error));
    if (options->forward) {
        TEXTGEN_TRY(set_engine(model, options, error));
    } else {
        TEXTGEN_TRY(read_network(model, kernels, error));
    }
    const textgen_vocabulary *vocabulary = model->vocabulary;
    model->shape.vocabulary = vocabulary->count;
    model->shape.special = vocabulary->special;
    model->shape.is_bytes = vocabulary->level == TEXTGEN_BYTE_LEVEL;
    model->shape.exp64 = textgen_find_exp64(kernels->name);
    return TEXTGEN_OK;
}

static void describe(textgen_model *model, const textgen_kernels *kernels) {
    const textgen_vocabulary *vocabulary = model->vocabulary;
    textgen_model_info *info = &model->info;
    info->vocabulary = model->shape.vocabulary;
    info->state_values = model->shape.state_values;
    info->symbol_bytes = vocabulary->longest;
    info->unknown = vocabulary->special.unknown;
    info->begin = vocabulary->special.begin;
    info->end = vocabulary->special.end;
    info->lowercase = vocabulary->lowercase;
    info->unicode = vocabulary->unicode;
    info->level = textgen_level_names[vocabulary->level];
    info->records = vocabulary->records;
    info->kernels = kernels->name;
    info->parameters = (size_t)model->file.parameters;
    info->memory = model->arena.peak;
}

int32_t textgen_model_create(const void *data, size_t size, const textgen_model_options *options,
                             textgen_model **model, textgen_error *error) {
    const textgen_model_options defaults = {0}, *chosen = options ? options : &defaults;
    const textgen_kernels *kernels = textgen_find_kernels(chosen->kernels);
    void *object;
    if (!kernels) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "kernels", -1,
                               "must be an instruction set of this processor");
    }
    TEXTGEN_TRY(textgen_object_create(chosen->memory, sizeof **model, &object, error));
    textgen_model *created = object;
    created->file.arena = &created->arena;
    int32_t code = textgen_onnx_read((textgen_view){data, size}, &created->file, error);
    if (code == TEXTGEN_OK) {
        code = fill_model(created, kernels, chosen, error);
    }
    if (code < 0) {
        code = textgen_object_code(created, code, error);
        textgen_model_destroy(created);
        return code;
    }
    describe(created, kernels);
    *model = created;
    return TEXTGEN_OK;
}

void textgen_model_destroy(textgen_model *model) { textgen_release(model); }

const textgen_model_info *textgen_model_get_info(const textgen_model *model) { return &model->info; }

const char *textgen_model_get_metadata(const textgen_model *model, const char *key, size_t *size) {
    const textgen_view value = textgen_onnx_property(&model->file, key);
    *size = value.size;
    return (const char *)value.data;
}

size_t textgen_model_get_prompt(const textgen_model *model, size_t index, char *prompt) {
    textgen_view metadata;
    textgen_json list, item;
    metadata.data = (const void *)textgen_model_get_metadata(model, "textgen.prompts", &metadata.size);
    size_t size = 0;
    bool found = textgen_json_read(metadata, &list);
    for (size_t i = 0; found && i <= index; i++) {
        found = textgen_json_item(&list.text, &item);
    }
    if (found && !prompt) {
        return item.text.size;
    }
    return found && textgen_json_utf8(&item, prompt, &size) ? size : 0;
}

size_t textgen_model_get_symbol(const textgen_model *model, int64_t token, char *symbol) {
    return textgen_decode_token(model->vocabulary, token, symbol);
}

int32_t textgen_encode(const textgen_model *model, const char *text, size_t size, int32_t skip, int64_t *tokens,
                       size_t *count, textgen_error *error) {
    textgen_encoder encoder = {text, size, 0, 0};
    size_t found = 0;
    int64_t token;
    int32_t code;
    while ((code = skip ? textgen_encode_known(model->vocabulary, &encoder, &token, error)
                        : textgen_encode_next(model->vocabulary, &encoder, &token, error)) > 0) {
        if (token >= 0 && tokens) {
            tokens[found] = token;
        }
        found += token >= 0;
    }
    TEXTGEN_TRY(code);
    *count = found;
    return TEXTGEN_OK;
}

/* ---- The network ---- */

uint32_t textgen_model_read(const textgen_model *model) {
    return model->network ? textgen_network_read(model->network) : 0;
}

size_t textgen_forward_size(const textgen_model *model, size_t batch, size_t logit_steps) {
    const size_t lanes = TEXTGEN_LANES(batch), steps = TEXTGEN_LANES(logit_steps);
    const size_t most = model->network ? PTRDIFF_MAX / textgen_slots_size(model->network, 1, 1) : 1;
    if (!batch || lanes != batch || !logit_steps || steps != logit_steps || logit_steps > most / batch) {
        return 0;
    }
    return model->network ? textgen_slots_size(model->network, batch, logit_steps) : 1;
}

int32_t textgen_check_tokens(const textgen_model *model, const int64_t *tokens, size_t count,
                             textgen_error *error) {
    for (size_t i = 0; i < count; i++) {
        if (tokens[i] < 0 || (uint64_t)tokens[i] >= model->shape.vocabulary) {
            return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "tokens", (int64_t)i,
                                   "must be from 0 to %zu", model->shape.vocabulary - 1);
        }
    }
    return TEXTGEN_OK;
}

/* Run the network or the other engine, without checks. */
static int32_t run(const textgen_model *model, const int64_t *tokens, size_t time, size_t batch, float *state,
                   size_t logit_steps, float *logits, void *workspace, textgen_error *error) {
    if (model->network) {
        textgen_network_forward(model->network, tokens, time, batch, state, logit_steps, logits, workspace);
    } else if (model->forward(model->context, tokens, time, state, logits) < 0) {
        return textgen_report_at(error, TEXTGEN_FORWARD_FAILED, "forward", -1, "failed");
    }
    return TEXTGEN_OK;
}

int32_t textgen_forward(const textgen_model *model, const int64_t *tokens, size_t time, size_t batch,
                        float *state, size_t logit_steps, float *logits, textgen_memory workspace,
                        textgen_error *error) {
    if (logit_steps > time) {
        return textgen_fail_at(error, TEXTGEN_INVALID_ARGUMENT, "logit_steps", -1, "must be at most time");
    }
    TEXTGEN_TRY(
        textgen_check_memory(workspace, textgen_forward_size(model, batch, logit_steps), "workspace", error));
    TEXTGEN_TRY(textgen_check_tokens(model, tokens, time * batch, error));
    return run(model, tokens, time, batch, state, logit_steps, logits, workspace.data, error);
}

int32_t textgen_stream_forward(textgen_stream *stream, const int64_t *tokens, size_t count, void *slots,
                               textgen_error *error) {
    if (count) {
        TEXTGEN_TRY(run(stream->model, tokens, count, 1, stream->state, 1, stream->logits, slots, error));
        textgen_special_mask(&stream->shape.special, stream->logits);
        stream->text.is_fed = 1;
    }
    return TEXTGEN_OK;
}
