/* The monotonic clock is POSIX's, which a strict C compiler hides unless asked. */
#ifndef _WIN32
#define _POSIX_C_SOURCE 199309L
#endif

#include "clock.h"

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

int64_t textgen_nanoseconds(void) {
    LARGE_INTEGER ticks, each_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&each_second);
    /* Whole seconds apart, since ticks times a billion would be too large. */
    return ticks.QuadPart / each_second.QuadPart * 1000000000 +
           ticks.QuadPart % each_second.QuadPart * 1000000000 / each_second.QuadPart;
}

#else

#include <time.h>

int64_t textgen_nanoseconds(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (int64_t)moment.tv_sec * 1000000000 + moment.tv_nsec;
}

#endif
