/* The small compiled guest of the benchmark: reads its event, makes three host calls, writes to four 4-KiB pages of its
 * memory and answers 200 with a fixed JSON body. With `sleep=<ms>` in the query it first waits that long on a sleep
 * operation. Freestanding: no libc, no WASI. The contract is abi/SPEC.md; `build` beside this file makes echo.wasm. */

typedef unsigned char u8;
typedef unsigned int u32;
typedef unsigned long long u64;

#define HOST(name) __attribute__((import_module("aleph_v1"), import_name(name)))
HOST("event_read") extern u32 event_read(void *to, u32 offset, u32 len);
HOST("respond") extern void respond(const void *frame, u32 len);
HOST("clock") extern u64 clock(u32 id);
HOST("op_start") extern int op_start(u32 op, const void *frame, u32 len);
HOST("op_wait") extern u64 op_wait(int ticket);
HOST("op_take") extern u32 op_take(int ticket, void *to, u32 len);

enum { PAGE = 4096, TAG_STATUS = 1, TAG_QUERY = 18, TAG_HEADER = 19, TAG_BODY = 20, TAG_ERROR_CODE = 64, TAG_DURATION = 96, OP_SLEEP = 1 };

/* Four pages, one write to each: the event's bytes in the first, one number in each of the others. */
static _Alignas(PAGE) u8 pages[4][PAGE];

#define FIELD_U32(tag, value) tag, 0, 0, 0, 4, 0, 0, 0, value, value >> 8, 0, 0
static const struct {
	u8 head[4 + 12 + 8 + 32 + 8], body[27];
} answer = {
	{'a', 'l', 'v', '1', FIELD_U32(TAG_STATUS, 200),
	 TAG_HEADER, 0, 0, 0, 32, 0, 0, 0, 12, 0, 0, 0, 'c', 'o', 'n', 't', 'e', 'n', 't', '-', 't', 'y', 'p', 'e',
	 'a', 'p', 'p', 'l', 'i', 'c', 'a', 't', 'i', 'o', 'n', '/', 'j', 's', 'o', 'n',
	 TAG_BODY, 0, 0, 0, 27, 0, 0, 0},
	"{\"message\":\"Hello, World!\"}",
};
static const u8 failure[] = {'a', 'l', 'v', '1', FIELD_U32(TAG_ERROR_CODE, 1)};

static u32 load32(const u8 *p) {
	u32 value;
	__builtin_memcpy(&value, p, sizeof value);
	return value;
}

/* The milliseconds after `sleep=` at the start of the query or after an `&`; 0 if there are none. */
static u64 sleep_of(const u8 *query, u32 len) {
	static const char key[6] = "sleep=";
	for (u32 at = 0; at + sizeof key <= len; at++) {
		if (at > 0 && query[at - 1] != '&') continue;
		u32 same = 0;
		while (same < sizeof key && query[at + same] == (u8)key[same]) same++;
		if (same < sizeof key) continue;
		u64 ms = 0;
		for (at += sizeof key; at < len && query[at] >= '0' && query[at] <= '9'; at++) ms = ms * 10 + query[at] - '0';
		return ms;
	}
	return 0;
}

/* Waits on one sleep operation; whether it completed with status 0. Its frames live in the fourth page. */
static int sleep_for(u64 ms) {
	u8 *frame = pages[3] + 64;
	const u32 head[3] = {0x31766c61 /* "alv1" */, TAG_DURATION, 8};
	const u64 ns = ms * 1000000;
	__builtin_memcpy(frame, head, sizeof head);
	__builtin_memcpy(frame + sizeof head, &ns, sizeof ns);
	const int ticket = op_start(OP_SLEEP, frame, sizeof head + sizeof ns);
	if (ticket <= 0) return 0;
	op_wait(ticket);
	/* Every result frame begins with its status: "alv1", tag 1, length 4, value. */
	if (op_take(ticket, frame, 64) < 16) return 0;
	return load32(frame + 4) == TAG_STATUS && load32(frame + 12) == 0;
}

__attribute__((export_name("aleph_handle"))) void aleph_handle(u32 event_len) {
	const u32 len = event_read(pages[0], 0, event_len < PAGE ? event_len : PAGE);
	u64 sleep = 0;
	u32 sum = 0;
	for (u32 at = 4; at + 8 <= len;) {
		const u32 tag = load32(pages[0] + at), size = load32(pages[0] + at + 4);
		at += 8;
		if (size > len - at) break;
		if (tag == TAG_QUERY) sleep = sleep_of(pages[0] + at, size);
		for (u32 i = 0; i < size; i++) sum += pages[0][at + i];
		at += size;
	}
	*(volatile u32 *)pages[1] = sum;
	*(volatile u32 *)pages[2] = len;
	*(volatile u64 *)pages[3] = clock(0);
	if (sleep > 0 && !sleep_for(sleep)) {
		respond(failure, sizeof failure);
		return;
	}
	respond(&answer, sizeof answer);
}
