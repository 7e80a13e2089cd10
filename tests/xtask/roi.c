/* QEMU TCG plugin, API version 1: what an Arm microcontroller executes, counted exactly.

   Arguments, all but `from` and `to` needed: begin=ADDRESS, end=ADDRESS: the region from the first time the guest
   reaches one to the next time it reaches the other; from=ADDRESS, to=ADDRESS: every part between these two, as one
   step each; out=FILE, one line of counts for the region, then one for every step:

       INSTRUCTIONS LOADS LOAD_WORDS STORES STORE_WORDS

   A load of several registers (LDM, POP, LDRD, VLDM, MVE) is one load of as many words; what is narrower than a word
   counts as a word. Distributions ship no header for plugins, so what is used of the interface is declared here. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLIC __attribute__((visibility("default")))

enum { NO_REGISTERS = 0, ADD_U64 = 0, MAX_STEPS = 65536 };
enum { EXECUTED, LOADS, LOAD_WORDS, STORES, STORE_WORDS, COUNTS };
struct qemu_plugin_tb;
struct qemu_plugin_insn;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
const void *qemu_plugin_insn_data(const struct qemu_plugin_insn *instruction);
size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*translated)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction,
                                            void (*executed)(unsigned, void *), int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction, int operation,
                                                void *target, uint64_t addend);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*finish)(uint64_t, void *), void *data);

PUBLIC int qemu_plugin_version = 1;

static uint64_t counts[COUNTS];
static uint64_t at_first[COUNTS], at_last[COUNTS], at_from[COUNTS];
static uint64_t (*steps)[COUNTS];
static size_t step_count;
static uint64_t begin_address, end_address, from_address, to_address;
static bool has_begun, has_ended, in_step;
static const char *out_path;

static void at_begin(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (!has_begun) {
        has_begun = true;
        memcpy(at_first, counts, sizeof counts);
    }
}

static void at_end(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (has_begun && !has_ended) {
        has_ended = true;
        memcpy(at_last, counts, sizeof counts);
    }
}

static void step_begins(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    in_step = true;
    memcpy(at_from, counts, sizeof counts);
}

static void step_ends(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (in_step && step_count < MAX_STEPS) {
        for (int i = 0; i < COUNTS; i++)
            steps[step_count][i] = counts[i] - at_from[i];
        step_count++;
    }
    in_step = false;
}

/* Words that a memory instruction moves; negative for a store, 0 for what moves none. */
static int narrow(uint16_t a)
{
    switch (a >> 11) {
    case 0x09: /* LDR from the literal pool */
    case 0x0d: /* LDR, LDRB, LDRH with an immediate, LDR from the stack */
    case 0x0f:
    case 0x11:
    case 0x13:
        return 1;
    case 0x0a: /* the register offsets: STR, STRH, STRB, LDRSB, LDR, LDRH, LDRB, LDRSH */
    case 0x0b:
        return ((a >> 9) & 7) < 3 ? -1 : 1;
    case 0x0c:
    case 0x0e:
    case 0x10:
    case 0x12:
        return -1;
    case 0x18: /* STM */
        return -__builtin_popcount(a & 0xff);
    case 0x19: /* LDM */
        return __builtin_popcount(a & 0xff);
    default:
        break;
    }
    if ((a & 0xfe00) == 0xb400) /* PUSH */
        return -__builtin_popcount(a & 0x1ff);
    if ((a & 0xfe00) == 0xbc00) /* POP */
        return __builtin_popcount(a & 0x1ff);
    return 0;
}

/* Floating-point and vector registers. */
static int coprocessor(uint16_t a, uint16_t b)
{
    int number = (b >> 8) & 15;
    if (number == 10 || number == 11) {
        if ((a & 0xffe0) == 0xec40) /* VMOV between register files */
            return 0;
        if ((a & 0x0120) == 0x0100) /* VLDR, VSTR */
            return number - 9;
        return b & 0xff; /* VLDM, VSTM, VPUSH, VPOP */
    }
    if (number != 14 && number != 15)
        return 0;
    if ((b & 0x1f80) == 0x0f80) /* a system register, such as VPR */
        return 1;
    if ((b & 0x1000) || (a & 0xff00) == 0xfd00) /* a whole vector: contiguous, interleaved, or from a vector base */
        return 4;
    int size = (b >> 7) & 3;
    if (!(a & 0x0120)) /* gather or scatter by a vector of offsets: an access for every lane */
        return 16 >> (size > 2 ? 2 : size);
    return size == 1 || (a & 8) ? 2 : 1; /* widening or narrowing on the way */
}

static int wide(uint16_t a, uint16_t b)
{
    int sign = a & 0x10 ? 1 : -1;
    if ((a & 0xfe40) == 0xe800) /* LDM, STM */
        return sign * __builtin_popcount(b);
    if ((a & 0xfe40) == 0xe840) /* LDRD, STRD; else exclusives and table branches */
        return sign * (a & 0x0120 ? 2 : 1);
    if ((a & 0xee00) == 0xec00)
        return sign * coprocessor(a, b);
    if ((a & 0xfe00) == 0xf800) {
        bool is_hint = (a & 0x10) && b >> 12 == 15 && (a & 0x60) != 0x40; /* PLD, PLI */
        return is_hint ? 0 : sign;
    }
    return 0;
}

static void translated(uint64_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    const struct {
        uint64_t address;
        void (*reached)(unsigned, void *);
    } marks[] = {{begin_address, at_begin}, {end_address, at_end}, {from_address, step_begins}, {to_address, step_ends}};
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        for (size_t m = 0; m < sizeof marks / sizeof *marks; m++)
            if (marks[m].address && address == marks[m].address)
                qemu_plugin_register_vcpu_insn_exec_cb(instruction, marks[m].reached, NO_REGISTERS, NULL);
        uint16_t half[2] = {0, 0};
        size_t size = qemu_plugin_insn_size(instruction);
        memcpy(half, qemu_plugin_insn_data(instruction), size < sizeof half ? size : sizeof half);
        int words = size == 2 ? narrow(half[0]) : wide(half[0], half[1]);
        int first = words > 0 ? LOADS : STORES;
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, &counts[EXECUTED], 1);
        if (words) {
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, &counts[first], 1);
            qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, &counts[first + 1], (uint64_t)abs(words));
        }
    }
}

static void write_line(FILE *out, const uint64_t *from, const uint64_t *to)
{
    for (int i = 0; i < COUNTS; i++)
        fprintf(out, "%" PRIu64 "%c", to[i] - (from ? from[i] : 0), i + 1 < COUNTS ? ' ' : '\n');
}

static void finish(uint64_t id, void *data)
{
    (void)id, (void)data;
    FILE *out = has_ended ? fopen(out_path, "w") : NULL;
    if (!out) {
        fprintf(stderr, "roi: %s\n", has_ended ? "the output file cannot be written" : "the marks were not reached");
        return;
    }
    write_line(out, at_first, at_last);
    for (size_t i = 0; i < step_count; i++)
        write_line(out, NULL, steps[i]);
    fclose(out);
}

PUBLIC int qemu_plugin_install(uint64_t id, const void *info, int count, char **arguments)
{
    (void)info;
    const struct {
        const char *name;
        uint64_t *address;
    } addresses[] = {{"begin=", &begin_address}, {"end=", &end_address}, {"from=", &from_address}, {"to=", &to_address}};
    for (int i = 0; i < count; i++) {
        bool known = false;
        for (size_t a = 0; a < sizeof addresses / sizeof *addresses; a++)
            if (!strncmp(arguments[i], addresses[a].name, strlen(addresses[a].name))) {
                *addresses[a].address = strtoull(arguments[i] + strlen(addresses[a].name), NULL, 0);
                known = true;
            }
        if (!strncmp(arguments[i], "out=", 4))
            out_path = strdup(arguments[i] + 4);
        else if (!known)
            return 1;
    }
    steps = calloc(MAX_STEPS, sizeof *steps);
    if (!out_path || !steps || begin_address == end_address)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
