/* Under -std=c11 the POSIX clock is declared only if this macro is defined. */
#ifndef _WIN32
#define _POSIX_C_SOURCE 200809L
#endif

#include "clock.h"

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

int64_t textgen_nanoseconds(void) {
    LARGE_INTEGER ticks;
    QueryPerformanceCounter(&ticks);
    LARGE_INTEGER per_second;
    QueryPerformanceFrequency(&per_second);
    /* Seconds are converted separately, because ticks * 1e9 would overflow. */
    return ticks.QuadPart / per_second.QuadPart * 1000000000 +
           ticks.QuadPart % per_second.QuadPart * 1000000000 / per_second.QuadPart;
}

#else

#include <time.h>

int64_t textgen_nanoseconds(void) {
    struct timespec moment;
    clock_gettime(CLOCK_MONOTONIC, &moment);
    return (int64_t)moment.tv_sec * 1000000000 + moment.tv_nsec;
}

#endif
