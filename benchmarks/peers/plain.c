/* An LSTM in plain C, in the manner of llama2.c's run.c: loops over rows of weights, and a compiler that
 * vectorizes.
 *
 *     plain LAYERS UNITS EMBEDDING VOCABULARY
 *
 * The weights are random. It prints its seconds per character as JSON. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define CHARACTERS 100000

static float random_float(void) { return (float)rand() / (float)RAND_MAX - 0.5f; }

static float *random_floats(size_t count) {
    float *floats = malloc(count * sizeof *floats);
    for (size_t i = 0; i < count; i++) {
        floats[i] = 0.2f * random_float();
    }
    return floats;
}

static void multiply(float *out, const float *weights, const float *x, int rows, int columns) {
    for (int i = 0; i < rows; i++) {
        float sum = 0;
        for (int j = 0; j < columns; j++) {
            sum += weights[i * columns + j] * x[j];
        }
        out[i] += sum;
    }
}

static float sigmoid(float x) { return 1 / (1 + expf(-x)); }

static int draw(float *logits, int count) {
    float largest = logits[0], sum = 0;
    for (int i = 1; i < count; i++) {
        largest = logits[i] > largest ? logits[i] : largest;
    }
    for (int i = 0; i < count; i++) {
        sum += logits[i] = expf((logits[i] - largest) / 0.5f);
    }
    float left = (random_float() + 0.5f) * sum;
    for (int i = 0; i < count; i++) {
        left -= logits[i];
        if (left < 0) {
            return i;
        }
    }
    return count - 1;
}

int main(int argc, char **argv) {
    if (argc != 5) {
        return 2;
    }
    const int layers = atoi(argv[1]), units = atoi(argv[2]), embedding = atoi(argv[3]),
              vocabulary = atoi(argv[4]);
    const int widest = units > embedding ? units : embedding;
    float *table = random_floats((size_t)(vocabulary * embedding)),
          *output = random_floats((size_t)(vocabulary * units));
    float *inputs = random_floats((size_t)(layers * 4 * units * widest));
    float *recurrent = random_floats((size_t)(layers * 4 * units * units));
    float *hidden = calloc((size_t)(layers * units), sizeof *hidden),
          *cell = calloc((size_t)(layers * units), sizeof *cell);
    float *gates = malloc((size_t)(4 * units) * sizeof *gates),
          *logits = malloc((size_t)vocabulary * sizeof *logits);
    int token = 0;
    const clock_t start = clock();
    for (int i = 0; i < CHARACTERS; i++) {
        const float *x = table + token * embedding;
        for (int layer = 0, width = embedding; layer < layers; layer++, width = units) {
            float *h = hidden + layer * units, *c = cell + layer * units;
            for (int j = 0; j < 4 * units; j++) {
                gates[j] = 0;
            }
            multiply(gates, inputs + layer * 4 * units * widest, x, 4 * units, width);
            multiply(gates, recurrent + layer * 4 * units * units, h, 4 * units, units);
            for (int j = 0; j < units; j++) {
                c[j] = sigmoid(gates[units + j]) * c[j] + sigmoid(gates[j]) * tanhf(gates[2 * units + j]);
                h[j] = sigmoid(gates[3 * units + j]) * tanhf(c[j]);
            }
            x = h;
        }
        for (int j = 0; j < vocabulary; j++) {
            logits[j] = 0;
        }
        multiply(logits, output, x, vocabulary, units);
        token = draw(logits, vocabulary);
    }
    printf("{\"seconds\": %.9f, \"version\": \"%s\"}\n",
           (double)(clock() - start) / CLOCKS_PER_SEC / CHARACTERS, __VERSION__);
    return 0;
}
