/* UTF-8. */

static int is_utf8(const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    while (p < end) {
        uint32_t c = *p++;
        if (c < 0x80)
            continue;
        int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1;
        if (c < 0xc2 || c > 0xf4 || end - p < more)
            return 0;
        uint32_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (*p < low || *p > high)
            return 0;
        for (p++; --more; p++)
            if ((*p & 0xc0) != 0x80)
                return 0;
    }
    return 1;
}

/* Copies, with U+FFFD for every longest piece that begins a character and does not end it (the Encoding Standard's way).
   'to' has room for three times the length. Returns the new length. */
static size_t repair_utf8(uint8_t *to, const uint8_t *p, size_t len)
{
    const uint8_t *end = p + len;
    uint8_t *start = to;
    while (p < end) {
        uint32_t c = *p;
        if (c < 0x80) {
            *to++ = *p++;
            continue;
        }
        int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : 1, n = 1;
        uint32_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80, high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
        if (c >= 0xc2 && c <= 0xf4)
            for (; n <= more && p + n < end && p[n] >= low && p[n] <= high; n++)
                low = 0x80, high = 0xbf;
        else
            more = 1;
        if (n == more + 1) {
            memcpy(to, p, n);
            to += n;
        } else {
            memcpy(to, "\xef\xbf\xbd", 3);
            to += 3;
        }
        p += n;
    }
    return to - start;
}

/* A string of bytes that should be UTF-8. */
static JSValue new_text(JSContext *ctx, const uint8_t *at, size_t len)
{
    if (is_utf8(at, len))
        return JS_NewStringLen(ctx, (const char *)at, len);
    uint8_t *repaired = len > UINT32_MAX / 3 ? NULL : malloc(len * 3);
    if (!repaired)
        return JS_ThrowOutOfMemory(ctx);
    JSValue text = JS_NewStringLen(ctx, (const char *)repaired, repair_utf8(repaired, at, len));
    free(repaired);
    return text;
}
