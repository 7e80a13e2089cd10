/* QEMU TCG plugin, API version 1: how many instructions a whole program executes. Argument: out=FILE.
   Distributions ship no header for plugins, so what is used of the interface is declared here. */
#include <inttypes.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define PUBLIC __attribute__((visibility("default")))

enum { ADD_U64 = 0 };
struct qemu_plugin_tb;
struct qemu_plugin_insn;

size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *block);
struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *block, size_t index);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t id, void (*translated)(uint64_t, struct qemu_plugin_tb *));
void qemu_plugin_register_vcpu_insn_exec_inline(struct qemu_plugin_insn *instruction, int operation,
                                                void *target, uint64_t addend);
void qemu_plugin_register_atexit_cb(uint64_t id, void (*finish)(uint64_t, void *), void *data);

PUBLIC int qemu_plugin_version = 1;

static uint64_t executed;
static char *out_path;

static void translated(uint64_t id, struct qemu_plugin_tb *block)
{
    (void)id;
    for (size_t i = 0; i < qemu_plugin_tb_n_insns(block); i++)
        qemu_plugin_register_vcpu_insn_exec_inline(qemu_plugin_tb_get_insn(block, i), ADD_U64, &executed, 1);
}

static void finish(uint64_t id, void *data)
{
    (void)id, (void)data;
    FILE *out = fopen(out_path, "w");
    if (!out) {
        fprintf(stderr, "total: the output file cannot be written\n");
        return;
    }
    fprintf(out, "%" PRIu64 "\n", executed);
    fclose(out);
}

PUBLIC int qemu_plugin_install(uint64_t id, const void *info, int count, char **arguments)
{
    (void)info;
    if (count != 1 || strncmp(arguments[0], "out=", 4))
        return 1;
    out_path = strdup(arguments[0] + 4);
    qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
    qemu_plugin_register_atexit_cb(id, finish, NULL);
    return out_path ? 0 : 1;
}
