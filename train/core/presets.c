/* The presets: sizes of the network, and what is against overfitting, for a vocabulary and a length of the run.
 * They were measured with texts in several scripts. */

#include "textgen_train.h"

#include <math.h>
#include <stdbool.h>
#include <string.h>

/* A vocabulary is large if it has so many common tokens. Chinese and Japanese texts have more than a thousand;
 * a text in English has fewer than a hundred, even if it has hundreds of rare ones. */
enum { LARGE_VOCABULARY = 300 };

/* The numbers of epochs are for a text of so many tokens. A text of half the length allows for a quarter of
 * them, with the preset `small` for an eighth, and with a large vocabulary for half. */
#define SCALE 500000.0

/* The epochs of a run if they are not known. */
#define USUAL_EPOCHS 100.0

typedef struct {
    int64_t units, layers, embedding, batch, sequence_length;
    double muon_lr, learning_rate, weight_decay;
} network_sizes;

static const network_sizes small = {88, 2, 16, 32, 64, 0.02, 0.012, 0.05},
                           medium = {176, 2, 32, 32, 64, 0.02, 0.012, 0.05};
/* The learning rate and the weight decay of `large` were chosen together with its dropout. */
static const network_sizes large = {448, 2, 64, 32, 64, 0.0, 0.04, 0.1};
/* A large vocabulary needs a larger embedding. Its rare characters are learned better from many small batches.
 */
static const network_sizes small_of_many = {144, 1, 64, 16, 32, 0.02, 0.012, 0.05};
static const network_sizes medium_of_many = {256, 1, 64, 16, 32, 0.02, 0.012, 0.05};
static const network_sizes large_of_many = {448, 2, 128, 16, 32, 0.0, 0.012, 0.05};

/* In a run of few epochs, a network does not overfit, and dropout only slows it down. In a run of many epochs,
 * it needs more of it. DropConnect costs less than dropout on the outputs. In `small`, dropout on the outputs
 * and penalties pay only for a short text. The first row of a preset that allows for the epochs applies. */
static const struct {
    const char *preset;
    bool is_large_vocabulary;
    double max_epochs;
    const network_sizes *sizes;
    double dropout, input_dropout, weight_dropout, activation_penalty, confidence_penalty;
} preset_rows[] = {
    {"small", false, 40, &small, 0.0, 0.0, 0.05, 0.0, 0.0},
    {"small", false, 500, &small, 0.0, 0.0, 0.1, 0.0, 0.0},
    {"small", false, 60000, &small, 0.1, 0.0, 0.2, 0.0, 0.1},
    {"small", false, 600000, &small, 0.2, 0.0, 0.3, 4.0, 0.1},
    {"small", false, INFINITY, &small, 0.3, 0.0, 0.5, 4.0, 0.1},
    {"medium", false, 20, &medium, 0.0, 0.0, 0.1, 4.0, 0.1},
    {"medium", false, 50, &medium, 0.0, 0.0, 0.3, 4.0, 0.1},
    {"medium", false, INFINITY, &medium, 0.1, 0.05, 0.3, 4.0, 0.1},
    {"large", false, 10, &large, 0.1, 0.0, 0.2, 4.0, 0.1},
    {"large", false, 30, &large, 0.2, 0.05, 0.3, 4.0, 0.1},
    {"large", false, 100, &large, 0.3, 0.1, 0.3, 4.0, 0.1},
    {"large", false, 250, &large, 0.3, 0.1, 0.4, 4.0, 0.1},
    {"large", false, 1000, &large, 0.4, 0.15, 0.5, 4.0, 0.1},
    {"large", false, INFINITY, &large, 0.5, 0.25, 0.5, 4.0, 0.1},
    {"small", true, 20, &small_of_many, 0.1, 0.0, 0.1, 0.0, 0.0},
    {"small", true, INFINITY, &small_of_many, 0.2, 0.15, 0.2, 0.0, 0.0},
    {"medium", true, INFINITY, &medium_of_many, 0.3, 0.1, 0.3, 0.0, 0.0},
    {"large", true, INFINITY, &large_of_many, 0.4, 0.1, 0.3, 0.0, 0.0},
};

/* A larger network learns more from each token, but fewer tokens in the same time. It has the lower loss from
 * about so many tokens on that `small` would learn in that time. A short text is learned by heart. With a large
 * vocabulary, no larger network was better in the runs that were measured. */
#define FOR_MEDIUM 10000000.0
#define FOR_LARGE 60000000.0
enum { SHORT_TEXT = 100000 };

const char *textgen_preset_for(size_t common, size_t tokens, double epochs) {
    const double learned = epochs * (double)tokens;
    const bool is_small = common >= LARGE_VOCABULARY || tokens < SHORT_TEXT || learned < FOR_MEDIUM;
    return is_small ? "small" : learned < FOR_LARGE ? "medium" : "large";
}

const char *textgen_nearest_preset(size_t layers, size_t units) {
    const double weights = (2.0 * (double)layers - 1.0) * (double)units * (double)units;
    const char *nearest = preset_rows->preset;
    double least = INFINITY;
    for (size_t i = 0; i < sizeof preset_rows / sizeof *preset_rows; i++) {
        const double numbers = (double)((2 * preset_rows[i].sizes->layers - 1) * preset_rows[i].sizes->units *
                                        preset_rows[i].sizes->units);
        const double ratio = fmax(weights / numbers, numbers / weights);
        if (!preset_rows[i].is_large_vocabulary && ratio < least) {
            least = ratio;
            nearest = preset_rows[i].preset;
        }
    }
    return nearest;
}

int32_t textgen_choose_preset(const char *preset, size_t common, size_t tokens, double epochs,
                              textgen_options *options) {
    const bool is_large = common >= LARGE_VOCABULARY;
    const double length = SCALE / (double)tokens;
    const double further = is_large ? 1.0 : strcmp(preset, "small") ? length : length * length;
    const double scaled = epochs > 0.0 ? epochs * length * further : USUAL_EPOCHS;
    for (size_t i = 0; i < sizeof preset_rows / sizeof *preset_rows; i++) {
        if (!strcmp(preset_rows[i].preset, preset) && preset_rows[i].is_large_vocabulary == is_large &&
            scaled <= preset_rows[i].max_epochs) {
            const network_sizes *size = preset_rows[i].sizes;
            options->units = size->units;
            options->layers = size->layers;
            options->embedding = size->embedding;
            options->batch = size->batch;
            options->sequence_length = size->sequence_length;
            options->muon_lr = size->muon_lr;
            options->learning_rate = size->learning_rate;
            options->weight_decay = size->weight_decay;
            options->dropout = preset_rows[i].dropout;
            options->input_dropout = preset_rows[i].input_dropout;
            options->weight_dropout = preset_rows[i].weight_dropout;
            options->activation_penalty = preset_rows[i].activation_penalty;
            options->confidence_penalty = preset_rows[i].confidence_penalty;
            return 1;
        }
    }
    return 0;
}
