#include "platform.h"

#include <stdlib.h>

#ifdef _WIN32

#define WIN32_LEAN_AND_MEAN
#include <windows.h>

#include <fcntl.h>
#include <io.h>
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

FILE *platform_open(const char *path) {
    const int size = MultiByteToWideChar(CP_UTF8, 0, path, -1, NULL, 0);
    wchar_t *wide = malloc((size_t)size * sizeof *wide);
    FILE *file = NULL;
    if (wide) {
        MultiByteToWideChar(CP_UTF8, 0, path, -1, wide, size);
        file = _wfopen(wide, L"rb");
    }
    free(wide);
    return file;
}

#else

char **platform_start(int *count, char **arguments) {
    (void)count;
    return arguments;
}

FILE *platform_open(const char *path) { return fopen(path, "rb"); }

#endif
