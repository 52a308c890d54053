/* A clock that never goes back, in nanoseconds. */
#ifndef TEXTGEN_CLOCK_H
#define TEXTGEN_CLOCK_H

#include <stdint.h>

#ifdef _WIN32
#define WIN32_LEAN_AND_MEAN
#include <windows.h>

static int64_t nanoseconds(void) {
    LARGE_INTEGER ticks, each_second;
    QueryPerformanceCounter(&ticks);
    QueryPerformanceFrequency(&each_second);
    /* Whole seconds apart, since ticks times a billion would be too large. */
    return ticks.QuadPart / each_second.QuadPart * 1000000000 +
           ticks.QuadPart % each_second.QuadPart * 1000000000 / each_second.QuadPart;
}
#else
#include <time.h>

static int64_t nanoseconds(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (int64_t)moment.tv_sec * 1000000000 + moment.tv_nsec;
}
#endif

#endif
