/* Under -std=c11 fileno and the number of processors are declared only with one of these macros. */
#define _DEFAULT_SOURCE
#define _GNU_SOURCE
#define _DARWIN_C_SOURCE

#include "platform.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <fcntl.h>
#include <io.h>
#include <process.h>
#include <shellapi.h>

/* MSVC links no other library unless it is told. */
#ifdef _MSC_VER
#pragma comment(lib, "shell32.lib")
#endif

/* The code page that the console had. Other programs use the same console later. */
static UINT console_page;

static void restore_console(void) { SetConsoleOutputCP(console_page); }

char **platform_start(int *count, char **arguments) {
    wchar_t **wide = CommandLineToArgvW(GetCommandLineW(), count);
    (void)arguments;
    _setmode(_fileno(stdin), _O_BINARY);
    _setmode(_fileno(stdout), _O_BINARY);
    /* It is 0 without a console. */
    console_page = GetConsoleOutputCP();
    if (console_page && SetConsoleOutputCP(CP_UTF8)) {
        atexit(restore_console);
    }
    char **converted = wide ? calloc((size_t)*count + 1, sizeof *converted) : NULL;
    for (int i = 0; converted && i < *count; i++) {
        const int size = WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, NULL, 0, NULL, NULL);
        converted[i] = malloc((size_t)size);
        if (!converted[i]) {
            return NULL;
        }
        WideCharToMultiByte(CP_UTF8, 0, wide[i], -1, converted[i], size, NULL, NULL);
    }
    return converted;
}

/* Convert a path, or return NULL. */
static wchar_t *widen(const char *path) {
    const int size = MultiByteToWideChar(CP_UTF8, 0, path, -1, NULL, 0);
    wchar_t *wide = malloc((size_t)size * sizeof *wide);
    if (wide) {
        MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, size);
    }
    return wide;
}

static FILE *open_file(const char *path, const wchar_t *mode) {
    wchar_t *wide = widen(path);
    FILE *file = wide ? _wfopen(wide, mode) : NULL;
    free(wide);
    return file;
}

FILE *platform_open(const char *path) { return open_file(path, L"rb"); }

static FILE *create_file(const char *path) { return open_file(path, L"wbx"); }

static bool is_replaceable(const char *path) {
    wchar_t *wide = widen(path);
    const DWORD kind = wide ? GetFileAttributesW(wide) : INVALID_FILE_ATTRIBUTES;
    free(wide);
    return kind == INVALID_FILE_ATTRIBUTES || !(kind & (FILE_ATTRIBUTE_DIRECTORY | FILE_ATTRIBUTE_DEVICE));
}

bool platform_is_same(const char *a, const char *b) { return !_stricmp(a, b); }

static bool store(FILE *file) { return !fflush(file) && !_commit(_fileno(file)); }

static bool move_file(const char *from, const char *to) {
    wchar_t *wide_from = widen(from), *wide_to = widen(to);
    const bool is_moved = wide_from && wide_to && MoveFileExW(wide_from, wide_to, MOVEFILE_REPLACE_EXISTING);
    errno = is_moved ? errno : EACCES;
    free(wide_from);
    free(wide_to);
    return is_moved;
}

static void delete_file(const char *path) {
    wchar_t *wide = widen(path);
    if (wide) {
        DeleteFileW(wide);
    }
    free(wide);
}

double platform_seconds(void) { return (double)GetTickCount64() * 1e-3; }

static int process_number(void) { return _getpid(); }

int platform_processors(void) {
    SYSTEM_INFO info;
    GetSystemInfo(&info);
    return (int)info.dwNumberOfProcessors;
}

#else

#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#if defined(__linux__)
#include <sched.h>
#endif

char **platform_start(int *count, char **arguments) {
    (void)count;
    return arguments;
}

FILE *platform_open(const char *path) { return fopen(path, "rb"); }

static FILE *create_file(const char *path) { return fopen(path, "wbx"); }

static bool is_replaceable(const char *path) {
    struct stat status;
    return stat(path, &status) || S_ISREG(status.st_mode);
}

bool platform_is_same(const char *a, const char *b) {
    struct stat first, second;
    return !stat(a, &first) && !stat(b, &second) && first.st_dev == second.st_dev &&
           first.st_ino == second.st_ino;
}

static bool store(FILE *file) { return !fflush(file) && !fsync(fileno(file)); }

static bool move_file(const char *from, const char *to) { return !rename(from, to); }

static void delete_file(const char *path) { remove(path); }

double platform_seconds(void) {
    struct timespec now = {0};
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static int process_number(void) { return (int)getpid(); }

int platform_processors(void) {
#if defined(CPU_COUNT)
    cpu_set_t set;
    if (!sched_getaffinity(0, sizeof set, &set)) {
        return CPU_COUNT(&set);
    }
#endif
    const long count = sysconf(_SC_NPROCESSORS_ONLN);
    return count > 0 ? (int)count : 1;
}

#endif

/* Return the name of the file that replaces another one when it is complete, or NULL. */
static char *part_of(const char *path) {
    const size_t size = strlen(path) + 32;
    char *part = malloc(size);
    if (part) {
        snprintf(part, size, "%s.%d.part", path, process_number());
    }
    return part;
}

bool platform_can_replace(const char *path) {
    char *part = part_of(path);
    errno = EISDIR;
    FILE *file = part && is_replaceable(path) ? create_file(part) : NULL;
    if (file) {
        fclose(file);
        delete_file(part);
    }
    free(part);
    return file != NULL;
}

bool platform_replace(const char *path, const void *content, size_t size) {
    char *part = part_of(path);
    FILE *file = part ? create_file(part) : NULL;
    bool is_done = file && fwrite(content, 1, size, file) == size && store(file);
    is_done = file && !fclose(file) && is_done;
    is_done = is_done && move_file(part, path);
    if (file && !is_done) {
        delete_file(part);
    }
    free(part);
    return is_done;
}
