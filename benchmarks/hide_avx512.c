/* Hides AVX-512 from libraries that look for it afterwards: a shared library for benchmarks/streams.py.
 *
 * Linux can make the instruction CPUID fail on processors with that feature (see arch_prctl(2),
 * ARCH_SET_CPUID). The signal handler then gives the processor's answer without the bits of AVX-512 and of
 * newer instructions. */
#define _GNU_SOURCE
#include <cpuid.h>
#include <signal.h>
#include <string.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#define ARCH_SET_CPUID 0x1012

/* Of leaf 7: F, DQ, IFMA, PF, ER, CD, BW and VL; then VBMI, VBMI2, VNNI, BITALG and VPOPCNTDQ. */
#define LEAF7_B (1u << 16 | 1u << 17 | 1u << 21 | 1u << 26 | 1u << 27 | 1u << 28 | 1u << 30 | 1u << 31)
#define LEAF7_C (1u << 1 | 1u << 6 | 1u << 11 | 1u << 12 | 1u << 14)
/* 4VNNIW, 4FMAPS, VP2INTERSECT, AMX and FP16. */
#define LEAF7_D (1u << 2 | 1u << 3 | 1u << 8 | 1u << 22 | 1u << 23 | 1u << 24 | 1u << 25)

static struct sigaction previous;

static long allow_cpuid(int allowed) { return syscall(SYS_arch_prctl, ARCH_SET_CPUID, allowed); }

static void answer(int signal, siginfo_t *information, void *context) {
    greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;
    const unsigned char *instruction = (const unsigned char *)registers[REG_RIP];
    const unsigned leaf = (unsigned)registers[REG_RAX], subleaf = (unsigned)registers[REG_RCX];
    unsigned a, b, c, d;
    (void)information;
    if (instruction[0] != 0x0f || instruction[1] != 0xa2) { /* not CPUID */
        sigaction(signal, &previous, NULL);
        return;
    }
    allow_cpuid(1);
    __cpuid_count(leaf, subleaf, a, b, c, d);
    allow_cpuid(0);
    if (leaf == 7) {
        a = subleaf ? 0 : a;
        b &= subleaf ? 0 : ~LEAF7_B;
        c &= subleaf ? 0 : ~LEAF7_C;
        d &= subleaf ? 0 : ~LEAF7_D;
    }
    registers[REG_RAX] = a;
    registers[REG_RBX] = b;
    registers[REG_RCX] = c;
    registers[REG_RDX] = d;
    registers[REG_RIP] += 2;
}

/* Return 0, or -1 if the processor or the operating system cannot do it. */
int hide_avx512(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = answer;
    action.sa_flags = SA_SIGINFO;
    if (sigaction(SIGSEGV, &action, &previous) != 0) {
        return -1;
    }
    return allow_cpuid(0) == 0 ? 0 : -1;
}

void show_avx512(void) {
    allow_cpuid(1);
    sigaction(SIGSEGV, &previous, NULL);
}
