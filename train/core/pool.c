#include "pool.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#if defined(__wasm__)
/* Workers of a page share no memory: each has a trainer of its own, with one thread. */
#define THREAD void
typedef char thread_handle, thread_signal;
static bool thread_start(thread_handle *thread, void (*function)(void *), void *argument) {
    (void)thread;
    (void)function;
    (void)argument;
    return false;
}
static void ignore(void *nothing) { (void)nothing; }
#define END_THREAD
#define thread_join(thread) ignore(&(thread))
#define signal_init ignore
#define signal_lock ignore
#define signal_unlock ignore
#define signal_wait ignore
#define signal_all ignore
#elif defined(_WIN32)
/* Without the names of its sockets, which are those of functions of the core. */
#define WIN32_LEAN_AND_MEAN
#include <windows.h>
#define THREAD DWORD WINAPI
#define END_THREAD return 0
typedef HANDLE thread_handle;
typedef struct {
    SRWLOCK lock;
    CONDITION_VARIABLE changed;
} thread_signal;
static bool thread_start(thread_handle *thread, LPTHREAD_START_ROUTINE function, void *argument) {
    *thread = CreateThread(NULL, 0, function, argument, 0, NULL);
    return *thread != NULL;
}
static void thread_join(thread_handle thread) {
    WaitForSingleObject(thread, INFINITE);
    CloseHandle(thread);
}
static void signal_init(thread_signal *signal) {
    InitializeSRWLock(&signal->lock);
    InitializeConditionVariable(&signal->changed);
}
static void signal_lock(thread_signal *signal) { AcquireSRWLockExclusive(&signal->lock); }
static void signal_unlock(thread_signal *signal) { ReleaseSRWLockExclusive(&signal->lock); }
static void signal_wait(thread_signal *signal) {
    SleepConditionVariableSRW(&signal->changed, &signal->lock, INFINITE, 0);
}
static void signal_all(thread_signal *signal) { WakeAllConditionVariable(&signal->changed); }
#else
#include <pthread.h>
#define THREAD void *
#define END_THREAD return NULL
typedef pthread_t thread_handle;
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
} thread_signal;
static bool thread_start(thread_handle *thread, void *(*function)(void *), void *argument) {
    return !pthread_create(thread, NULL, function, argument);
}
static void thread_join(thread_handle thread) { pthread_join(thread, NULL); }
static void signal_init(thread_signal *signal) {
    pthread_mutex_init(&signal->lock, NULL);
    pthread_cond_init(&signal->changed, NULL);
}
static void signal_lock(thread_signal *signal) { pthread_mutex_lock(&signal->lock); }
static void signal_unlock(thread_signal *signal) { pthread_mutex_unlock(&signal->lock); }
static void signal_wait(thread_signal *signal) { pthread_cond_wait(&signal->changed, &signal->lock); }
static void signal_all(thread_signal *signal) { pthread_cond_broadcast(&signal->changed); }
#endif

/* A thread that has nothing to do looks so often for more before it sleeps: for some tens of microseconds, the
 * time between two calls. On a busy machine, it soon leaves its core to others. */
enum { LOOKS = 2000 };

typedef struct {
    textgen_pool *pool;
    void *memory;
    thread_handle thread;
} pool_thread;

struct textgen_pool {
    textgen_task task;
    void *context;
    /* The number of the call of textgen_pool_run, and how many of its tasks are left to take: a thread that is
     * late cannot take a task of a later call. */
    _Atomic uint64_t next; /* number << 32 | tasks */
    _Atomic int64_t left;  /* tasks that are not done */
    _Atomic int sleeping;
    _Atomic bool is_over;
    thread_signal signal;
    int count; /* of threads */
    pool_thread threads[TEXTGEN_MAX_THREADS];
};

static void pause_briefly(void) {
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* Run tasks of a call until none is left to take. */
static void run_tasks(textgen_pool *pool, void *memory, uint64_t number) {
    uint64_t next = atomic_load(&pool->next);
    while (next >> 32 == number && (next & UINT32_MAX)) {
        if (atomic_compare_exchange_weak(&pool->next, &next, next - 1)) {
            pool->task(pool->context, (int64_t)(next & UINT32_MAX) - 1, memory);
            if (atomic_fetch_sub(&pool->left, 1) == 1 && atomic_load(&pool->sleeping)) {
                signal_lock(&pool->signal);
                signal_all(&pool->signal);
                signal_unlock(&pool->signal);
            }
            next = atomic_load(&pool->next);
        }
    }
}

/* Whether a thread has something to do: another call than `number`, the end of the pool, or for the caller's
 * thread the end of its call. */
static bool has_changed(textgen_pool *pool, uint64_t number, bool is_caller) {
    return is_caller ? !atomic_load(&pool->left)
                     : atomic_load(&pool->next) >> 32 != number || atomic_load(&pool->is_over);
}

static void wait_for_change(textgen_pool *pool, uint64_t number, bool is_caller) {
    for (int i = 0; i < LOOKS; i++) {
        if (has_changed(pool, number, is_caller)) {
            return;
        }
        pause_briefly();
    }
    signal_lock(&pool->signal);
    atomic_fetch_add(&pool->sleeping, 1);
    while (!has_changed(pool, number, is_caller)) {
        signal_wait(&pool->signal);
    }
    atomic_fetch_sub(&pool->sleeping, 1);
    signal_unlock(&pool->signal);
}

static THREAD run_thread(void *argument) {
    pool_thread *thread = argument;
    textgen_pool *pool = thread->pool;
    for (uint64_t number = 0; !atomic_load(&pool->is_over);) {
        wait_for_change(pool, number, false);
        number = atomic_load(&pool->next) >> 32;
        run_tasks(pool, thread->memory, number);
    }
    END_THREAD;
}

textgen_pool *textgen_pool_create(int count, uint64_t bytes) {
    textgen_pool *pool = calloc(1, sizeof *pool);
    if (!pool) {
        return NULL;
    }
    signal_init(&pool->signal);
    for (int i = 0; i < count; i++) {
        pool_thread *thread = &pool->threads[i];
        thread->pool = pool;
        thread->memory = bytes < SIZE_MAX ? calloc(1, (size_t)bytes) : NULL;
        if (!thread->memory || (i && !thread_start(&thread->thread, run_thread, thread))) {
            free(thread->memory);
            break;
        }
        pool->count++;
    }
    if (!pool->count) {
        free(pool);
        return NULL;
    }
    return pool;
}

void *textgen_pool_memory(const textgen_pool *pool) { return pool->threads[0].memory; }

int32_t textgen_pool_threads(const textgen_pool *pool) { return pool->count; }

void textgen_pool_run(textgen_pool *pool, int64_t count, textgen_task task, void *context) {
    const uint64_t number = (uint32_t)((atomic_load(&pool->next) >> 32) + 1);
    pool->task = task;
    pool->context = context;
    atomic_store(&pool->left, count);
    atomic_store(&pool->next, number << 32 | (uint64_t)count);
    if (count > 1 && atomic_load(&pool->sleeping)) {
        signal_lock(&pool->signal);
        signal_all(&pool->signal);
        signal_unlock(&pool->signal);
    }
    run_tasks(pool, pool->threads[0].memory, number);
    wait_for_change(pool, number, true);
}

static void run_gradient(void *update, int64_t task, void *memory) {
    textgen_update_task(update, TEXTGEN_GRADIENTS, task, memory);
}

static void run_sum(void *update, int64_t task, void *memory) {
    textgen_update_task(update, TEXTGEN_SUMS, task, memory);
}

static void run_step(void *update, int64_t task, void *memory) {
    textgen_update_task(update, TEXTGEN_STEPS, task, memory);
}

void textgen_pool_phase(textgen_pool *pool, textgen_update *update, textgen_phase phase) {
    static const textgen_task tasks[TEXTGEN_PHASES] = {run_gradient, run_sum, run_step};
    textgen_pool_run(pool, textgen_update_tasks(update, phase), tasks[phase], update);
}

static void run_score(void *score, int64_t task, void *memory) { textgen_score_task(score, task, memory); }

double textgen_pool_score(textgen_pool *pool, textgen_score *score) {
    textgen_pool_run(pool, textgen_score_tasks(score), run_score, score);
    return textgen_score_end(score, pool->threads[0].memory);
}

void textgen_pool_destroy(textgen_pool *pool) {
    if (!pool) {
        return;
    }
    signal_lock(&pool->signal);
    atomic_store(&pool->is_over, true);
    signal_all(&pool->signal);
    signal_unlock(&pool->signal);
    for (int i = 1; i < pool->count; i++) {
        thread_join(pool->threads[i].thread);
    }
    for (int i = 0; i < pool->count; i++) {
        free(pool->threads[i].memory);
    }
    free(pool);
}
