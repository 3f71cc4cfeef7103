/* URLs, by ada: a parsed URL is its href and the offsets of its parts in it, which url.js slices. */

#include "ada_c.h"

static JSValue url_parts(JSContext *ctx, ada_url url)
{
    ada_string href = ada_get_href(url);
    const ada_url_components *c = ada_get_components(url);
    const uint32_t offsets[] = {c->protocol_end, c->username_end, c->host_start, c->host_end, c->port, c->pathname_start, c->search_start, c->hash_start};
    JSValue parts = JS_NewArray(ctx);
    JS_SetPropertyUint32(ctx, parts, 0, JS_NewStringLen(ctx, href.data, href.length));
    for (uint32_t i = 0; i < countof(offsets); i++) /* -1: there is none */
        JS_SetPropertyUint32(ctx, parts, i + 1, JS_NewInt32(ctx, (int32_t)offsets[i]));
    ada_free(url);
    return parts;
}

/* urlParse(text, base?): [href, protocolEnd, usernameEnd, hostStart, hostEnd, port, pathnameStart, searchStart, hashStart],
   or null if it is no URL */
static JSValue native_url_parse(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    size_t len, base_len = 0;
    const char *base = NULL, *text = JS_ToCStringLen(ctx, &len, argv[0]);
    if (!text || (!JS_IsUndefined(argv[1]) && !(base = JS_ToCStringLen(ctx, &base_len, argv[1]))))
        return JS_EXCEPTION;
    ada_url url = base ? ada_parse_with_base(text, len, base, base_len) : ada_parse(text, len);
    JS_FreeCString(ctx, text);
    JS_FreeCString(ctx, base);
    if (ada_is_valid(url))
        return url_parts(ctx, url);
    ada_free(url);
    return JS_NULL;
}

static bool url_set_search(ada_url url, const char *text, size_t len)
{
    ada_set_search(url, text, len);
    return true;
}

static bool url_set_hash(ada_url url, const char *text, size_t len)
{
    ada_set_hash(url, text, len);
    return true;
}

/* urlSet(href, part, text): the URL with that part replaced, as urlParse gives it. What a part cannot be is ignored, as the
   standard has it. Parts: 0 protocol, 1 username, 2 password, 3 host, 4 hostname, 5 port, 6 pathname, 7 search, 8 hash. */
static JSValue native_url_set(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    static bool (*const setters[])(ada_url, const char *, size_t) = {
        ada_set_protocol, ada_set_username, ada_set_password, ada_set_host, ada_set_hostname, ada_set_port, ada_set_pathname,
        url_set_search, url_set_hash,
    };
    uint32_t part;
    size_t href_len, len;
    if (JS_ToUint32(ctx, &part, argv[1]) < 0 || part >= countof(setters))
        return JS_EXCEPTION;
    const char *href = JS_ToCStringLen(ctx, &href_len, argv[0]), *text = JS_ToCStringLen(ctx, &len, argv[2]);
    if (!href || !text)
        return JS_EXCEPTION;
    ada_url url = ada_parse(href, href_len);
    setters[part](url, text, len);
    JS_FreeCString(ctx, href);
    JS_FreeCString(ctx, text);
    return url_parts(ctx, url);
}

/* formParse(text): [name, value, name, value, …] */
static JSValue native_form_parse(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    size_t len;
    const char *text = JS_ToCStringLen(ctx, &len, argv[0]);
    uint8_t *decoded = malloc(len + 1);
    if (!text || !decoded)
        return text ? JS_ThrowOutOfMemory(ctx) : JS_EXCEPTION;
    JSValue list = JS_NewArray(ctx);
    uint32_t count = 0;
    const uint8_t *at = (const uint8_t *)text, *end = at + len;
    while (at < end) {
        const uint8_t *stop = memchr(at, '&', end - at);
        if (!stop)
            stop = end;
        const uint8_t *equals = memchr(at, '=', stop - at);
        if (stop > at) {
            uint32_t n = form_decode(decoded, at, equals ? equals : stop);
            JS_SetPropertyUint32(ctx, list, count++, new_text(ctx, decoded, n));
            n = equals ? form_decode(decoded, equals + 1, stop) : 0;
            JS_SetPropertyUint32(ctx, list, count++, new_text(ctx, decoded, n));
        }
        at = stop + 1;
    }
    free(decoded);
    JS_FreeCString(ctx, text);
    return list;
}

/* formEncode(text): as application/x-www-form-urlencoded */
static JSValue native_form_encode(JSContext *ctx, JSValueConst this, int argc, JSValueConst *argv)
{
    static const char hex[] = "0123456789ABCDEF";
    size_t len, n = 0;
    const char *text = JS_ToCStringLen(ctx, &len, argv[0]);
    if (!text)
        return JS_EXCEPTION;
    char *encoded = malloc(len * 3 + 1);
    if (!encoded)
        return JS_ThrowOutOfMemory(ctx);
    for (size_t i = 0; i < len; i++) {
        uint8_t c = text[i];
        if ((c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '*' || c == '-' || c == '.' || c == '_') {
            encoded[n++] = c;
        } else if (c == ' ') {
            encoded[n++] = '+';
        } else {
            encoded[n++] = '%';
            encoded[n++] = hex[c >> 4];
            encoded[n++] = hex[c & 15];
        }
    }
    JSValue result = JS_NewStringLen(ctx, encoded, n);
    free(encoded);
    JS_FreeCString(ctx, text);
    return result;
}
