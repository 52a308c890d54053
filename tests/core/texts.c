/* Prints texts for the tests to compare: texts MODEL KERNELS PROMPT LENGTH SEED TEMPERATURE...
 *
 * Text number i is of temperature number i and of substream i of the seed. Each ends with a zero byte. The
 * lanes run together, but come and go: lane i joins in round i, each round makes ROUND characters of it, and
 * its last one what is missing. */
#include "check.h"

#define ROUND 37

int main(int count, char **arguments) {
    loaded file;
    size_t texts, length, room, active, i, round;
    textgen_stream **streams;
    char **text, *chunks;
    size_t *made, *used, *which;
    textgen_lane *lanes;
    CHECK(count > 6);
    file = load(arguments[1], *arguments[2] ? arguments[2] : NULL);
    texts = (size_t)count - 6;
    length = strtoul(arguments[4], NULL, 10);
    room = length * file.symbol_bytes + 1;
    streams = allocate(texts * sizeof *streams);
    text = allocate(texts * sizeof *text);
    made = allocate(texts * sizeof *made);
    used = allocate(texts * sizeof *used);
    which = allocate(texts * sizeof *which);
    lanes = allocate(texts * sizeof *lanes);
    chunks = allocate(textgen_workspace_size(file.model, texts));
    for (i = 0; i < texts; i++) {
        streams[i] = start(file.model, strtod(arguments[6 + i], NULL), strtoull(arguments[5], NULL, 10), i,
                           arguments[3]);
        text[i] = allocate(room);
        made[i] = used[i] = 0;
    }
    for (round = 0, active = 1; active; round++) {
        for (active = 0, i = 0; i < texts && i <= round; i++) {
            if (made[i] < length) {
                textgen_lane lane = {
                    .struct_size = sizeof lane, .stream = streams[i], .text = text[i] + used[i]};
                lane.length = length - made[i] < ROUND ? length - made[i] : ROUND;
                lane.size = room - used[i];
                which[active] = i;
                lanes[active++] = lane;
            }
        }
        if (active) {
            CHECK_OK(
                textgen_generate(lanes, active, chunks, textgen_workspace_size(file.model, active), ERROR));
        }
        for (i = 0; i < active; i++) {
            CHECK(lanes[i].result == TEXTGEN_OK);
            made[which[i]] += lanes[i].length;
            used[which[i]] += lanes[i].written;
        }
    }
    for (i = 0; i < texts; i++) {
        CHECK(fwrite(text[i], 1, used[i] + 1, stdout) == used[i] + 1);
        free(streams[i]);
        free(text[i]);
    }
    free(streams), free(text), free(made), free(used), free(which), free(lanes), free(chunks);
    unload(&file);
    return 0;
}
