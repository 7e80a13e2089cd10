/* QEMU TCG plugin, API version 1: how many instructions a guest executes from the first time it reaches one
   address to the next time it reaches another. Arguments: begin=0xADDRESS, end=0xADDRESS, out=FILE.
   Distributions ship no header for plugins, so what is used of the interface is declared here. */
#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PUBLIC __attribute__((visibility("default")))

enum { NO_REGISTERS = 0, ADD_U64 = 0 };
struct qemu_plugin_tb;
struct qemu_plugin_insn;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
uint64_t qemu_plugin_insn_vaddr(const struct qemu_plugin_insn *instruction);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*translated)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_cb(struct qemu_plugin_insn *instruction,
                                            void (*executed)(unsigned, void *), int flags, void *data);
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction, int operation,
                                                void *target, uint64_t addend);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*finish)(uint64_t, void *), void *data);

PUBLIC int qemu_plugin_version = 1;

static uint64_t executed, first, last;
static uint64_t begin_address, end_address;
static bool has_begun, has_ended;
static const char *out_path;

static void at_begin(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (!has_begun) {
        has_begun = true;
        first = executed;
    }
}

static void at_end(unsigned cpu, void *data)
{
    (void)cpu, (void)data;
    if (has_begun && !has_ended) {
        has_ended = true;
        last = executed;
    }
}

static void translated(uint64_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++) {
        struct qemu_plugin_insn *instruction = qemu_plugin_tb_get_insn(block, i);
        uint64_t address = qemu_plugin_insn_vaddr(instruction);
        if (address == begin_address)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, at_begin, NO_REGISTERS, NULL);
        if (address == end_address)
            qemu_plugin_register_vcpu_insn_exec_cb(instruction, at_end, NO_REGISTERS, NULL);
        qemu_plugin_register_vcpu_insn_exec_inline(instruction, ADD_U64, &executed, 1);
    }
}

static void finish(uint64_t id, void *data)
{
    (void)id, (void)data;
    FILE *out = has_ended ? fopen(out_path, "w") : NULL;
    if (!out) {
        fprintf(stderr, "roi: %s\n", has_ended ? "the output file cannot be written" : "the marks were not reached");
        return;
    }
    fprintf(out, "%" PRIu64 "\n", last - first);
    fclose(out);
}

PUBLIC int qemu_plugin_install(uint64_t id, const void *info, int count, char **arguments)
{
    (void)info;
    for (int i = 0; i < count; i++) {
        if (!strncmp(arguments[i], "begin=", 6))
            begin_address = strtoull(arguments[i] + 6, NULL, 0);
        else if (!strncmp(arguments[i], "end=", 4))
            end_address = strtoull(arguments[i] + 4, NULL, 0);
        else if (!strncmp(arguments[i], "out=", 4))
            out_path = strdup(arguments[i] + 4);
        else
            return 1;
    }
    if (!out_path || begin_address == end_address)
        return 1;
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return 0;
}
