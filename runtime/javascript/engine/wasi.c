/* WASI, for libc's sake, answered inside the guest: the engine imports nothing but aleph_v1.

   wasi-libc declares its imports under these names; defining them keeps the linker from importing any. What a program
   cannot do on a node (files, sockets, processes) is "not supported" or "bad descriptor". */

#include <stdint.h>
#include "abi_imports.h"

#define WASI(name) int32_t __imported_wasi_snapshot_preview1_##name
enum { E_BADF = 8, E_INVAL = 28, E_NOSYS = 52 };

WASI(clock_time_get)(int32_t id, int64_t precision, int32_t result)
{
    if (id != 0 && id != 1)
        return E_INVAL;
    *(int64_t *)result = aleph_clock(id);
    return 0;
}

WASI(clock_res_get)(int32_t id, int32_t result)
{
    *(int64_t *)result = 1;
    return 0;
}

WASI(random_get)(int32_t to, int32_t len)
{
    aleph_random((void *)to, len);
    return 0;
}

/* abort() and assert() print before they trap: that belongs in the log. */
WASI(fd_write)(int32_t fd, int32_t iovs, int32_t count, int32_t written)
{
    const struct { const void *at; uint32_t len; } *iov = (const void *)iovs;
    uint32_t total = 0;
    if (fd != 1 && fd != 2)
        return E_BADF;
    for (int32_t i = 0; i < count; i++) {
        if (iov[i].len)
            aleph_log(fd == 2 ? 3 : 1, iov[i].at, iov[i].len);
        total += iov[i].len;
    }
    *(uint32_t *)written = total;
    return 0;
}

WASI(fd_close)(int32_t fd) { return E_BADF; }
WASI(fd_read)(int32_t fd, int32_t iovs, int32_t count, int32_t read) { return E_BADF; }
WASI(fd_seek)(int32_t fd, int64_t offset, int32_t whence, int32_t result) { return E_BADF; }
WASI(fd_fdstat_get)(int32_t fd, int32_t result) { return E_BADF; }
WASI(fd_fdstat_set_flags)(int32_t fd, int32_t flags) { return E_BADF; }
WASI(fd_prestat_get)(int32_t fd, int32_t result) { return E_BADF; }
WASI(fd_prestat_dir_name)(int32_t fd, int32_t to, int32_t len) { return E_BADF; }
WASI(environ_get)(int32_t list, int32_t buffer) { return 0; }
WASI(environ_sizes_get)(int32_t count, int32_t size)
{
    *(uint32_t *)count = *(uint32_t *)size = 0;
    return 0;
}
WASI(sched_yield)(void) { return 0; }
_Noreturn void __imported_wasi_snapshot_preview1_proc_exit(int32_t code) { __builtin_trap(); }
