/* Random numbers, and random changes of a file. The same seed gives the same ones. */
#ifndef FUZZ_CHANGES_H
#define FUZZ_CHANGES_H

#include "fuzz_models.h"

#include <stdint.h>

void seed_random(uint64_t seed);
uint64_t random_bits(void);

/* Return a number from 0 to limit - 1. */
size_t below(size_t limit);

/* Flip a bit; set, remove, repeat, move or overwrite bytes; or add a small number to a byte. */
void change(content *file);

#endif
