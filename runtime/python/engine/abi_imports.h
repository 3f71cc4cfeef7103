/* The functions of module aleph_v1 (abi/SPEC.md). */

#include <stdint.h>

#define IMPORT(name) __attribute__((import_module("aleph_v1"), import_name(#name))) extern

IMPORT(event_read) uint32_t aleph_event_read(void *to, uint32_t offset, uint32_t len);
IMPORT(respond)    void     aleph_respond(const void *frame, uint32_t len);
IMPORT(log)        void     aleph_log(uint32_t level, const void *text, uint32_t len);
IMPORT(clock)      int64_t  aleph_clock(uint32_t id);
IMPORT(random)     void     aleph_random(void *to, uint32_t len);
IMPORT(op_start)   int32_t  aleph_op_start(uint32_t op, const void *frame, uint32_t len);
IMPORT(op_wait)    int64_t  aleph_op_wait(uint32_t ticket);
IMPORT(op_poll)    int64_t  aleph_op_poll(void);
IMPORT(op_take)    uint32_t aleph_op_take(uint32_t ticket, void *to, uint32_t len);
IMPORT(op_cancel)  void     aleph_op_cancel(uint32_t ticket);
