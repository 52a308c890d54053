/* The stop texts that a caller of the C library passes, encoded and checked, and kept in the memory of a
 * stream: the automaton is that of stops.h. */
#ifndef TEXTGEN_STREAM_STOPS_H
#define TEXTGEN_STREAM_STOPS_H

#include "stops.h"
#include "vocabulary.h"

/* The limit for all stop texts together, which have room in each stream. */
enum { TEXTGEN_MAX_STOP_TOKENS = 250 };

typedef struct {
    textgen_stop_state states[TEXTGEN_MAX_STOP_TOKENS + 1];
    size_t count; /* number of states; 1 without stop texts */
} textgen_stream_stops;

/* Encode the stop texts, each of which ends with a zero byte, and build the automaton. */
int32_t textgen_stream_stops_read(const char *const *texts, size_t count, const textgen_vocabulary *vocabulary,
                                  textgen_stream_stops *stops, textgen_error *error);

#endif
