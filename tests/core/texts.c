/* Prints texts for the tests to compare.
 *
 *     texts MODEL KERNELS PROMPT LENGTH SEED TEMPERATURE...
 *
 * Text i has temperature i and substream i of the seed. A zero byte follows each text. The number of lanes
 * changes: lane i joins in round i. Each round generates ROUND tokens per lane, the last one the rest. Records
 * may end earlier. */
#include "check.h"

#define ROUND 37

int main(int count, char **arguments) {
    textgen_stream **streams;
    char **text;
    size_t *generated, *used, *which;
    textgen_lane *lanes;
    CHECK(count > 6);
    loaded file = load(arguments[1], *arguments[2] ? arguments[2] : NULL);
    const size_t texts = (size_t)count - 6;
    const size_t length = strtoul(arguments[4], NULL, 10);
    const size_t text_size = length * file.symbol_bytes + 1;
    streams = allocate(texts * sizeof *streams);
    text = allocate(texts * sizeof *text);
    generated = allocate(texts * sizeof *generated);
    used = allocate(texts * sizeof *used);
    which = allocate(texts * sizeof *which);
    lanes = allocate(texts * sizeof *lanes);
    char *workspace = allocate(textgen_workspace_size(file.model, texts));
    size_t i;
    for (i = 0; i < texts; i++) {
        streams[i] = start(file.model, strtod(arguments[6 + i], NULL), strtoull(arguments[5], NULL, 10), i,
                           arguments[3]);
        text[i] = allocate(text_size);
        generated[i] = used[i] = 0;
    }
    size_t active, round;
    for (round = 0, active = 1; active; round++) {
        for (active = 0, i = 0; i < texts && i <= round; i++) {
            if (generated[i] < length) {
                textgen_lane lane = TEXTGEN_LANE_DEFAULT;
                lane.stream = streams[i];
                lane.text = text[i] + used[i];
                lane.length = length - generated[i] < ROUND ? length - generated[i] : ROUND;
                lane.size = text_size - used[i];
                lane.finish = lane.length == length - generated[i];
                which[active] = i;
                lanes[active++] = lane;
            }
        }
        if (active) {
            CHECK_OK(
                textgen_generate(lanes, active, workspace, textgen_workspace_size(file.model, active), ERROR));
        }
        for (i = 0; i < active; i++) {
            CHECK(lanes[i].result == TEXTGEN_OK);
            generated[which[i]] += lanes[i].ending == TEXTGEN_REACHED_END ? length : lanes[i].drawn;
            used[which[i]] += lanes[i].written;
        }
    }
    for (i = 0; i < texts; i++) {
        CHECK(fwrite(text[i], 1, used[i] + 1, stdout) == used[i] + 1);
        free(streams[i]);
        free(text[i]);
    }
    free(streams), free(text), free(generated), free(used), free(which), free(lanes), free(workspace);
    unload(&file);
    return 0;
}
