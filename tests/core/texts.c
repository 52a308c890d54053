/* Prints texts for the tests to compare.
 *
 *     texts MODEL KERNELS PROMPT LENGTH SEED TEMPERATURE...
 *
 * Text i has temperature i and substream i of the seed. A zero byte follows each text. The number of lanes
 * changes: lane i joins in round i. Each round generates ROUND tokens per lane. Records may end earlier. */
#include "check.h"

#define ROUND 37

int main(int count, char **arguments) {
    CHECK(count > 6);
    loaded file = load(arguments[1], *arguments[2] ? arguments[2] : NULL);
    const size_t texts = (size_t)count - 6;
    const size_t length = strtoul(arguments[4], NULL, 10);
    textgen_lane all[MOST_LANES] = {{0}}, lanes[MOST_LANES];
    size_t which[MOST_LANES], active = 1;
    char *text[MOST_LANES];
    CHECK(texts <= MOST_LANES);
    for (size_t i = 0; i < texts; i++) {
        all[i].stream = start(file.model, strtod(arguments[6 + i], NULL), strtoull(arguments[5], NULL, 10), i,
                              arguments[3]);
        all[i].length = length;
        all[i].finish = 1;
        all[i].text = text[i] = allocate(length * file.symbol_bytes + 1);
    }
    for (size_t round = 0; active; round++) {
        active = 0;
        for (size_t i = 0; i < texts && i <= round; i++) {
            if (all[i].length && all[i].ending == TEXTGEN_CONTINUES) {
                which[active] = i;
                lanes[active++] = all[i];
            }
        }
        if (active) {
            CHECK_OK(textgen_generate(lanes, active, ROUND, work, NULL, &error));
        }
        for (size_t i = 0; i < active; i++) {
            textgen_lane *lane = &all[which[i]];
            lane->length -= lanes[i].drawn;
            lane->text += lanes[i].written;
            lane->ending = lanes[i].ending;
        }
    }
    for (size_t i = 0; i < texts; i++) {
        const size_t size = (size_t)(all[i].text - text[i]) + 1;
        CHECK(fwrite(text[i], 1, size, stdout) == size);
        free(all[i].stream), free(text[i]);
    }
    unload(&file);
    return 0;
}
