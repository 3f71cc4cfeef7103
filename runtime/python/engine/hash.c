/* The module _aleph_hash: pbkdf2_hmac and scrypt (RFC 8018, RFC 7914), which hashlib takes from OpenSSL where there is one. In Python
   they would be a hundred times slower, and they are meant to be slow as it is. */

#define PY_SSIZE_T_CLEAN
#include "hash.h"

#include <stdint.h>
#include <string.h>

#define rotl32(x, n) __builtin_rotateleft32(x, n)
#define rotr32(x, n) __builtin_rotateright32(x, n)
#define rotr64(x, n) __builtin_rotateright64(x, n)

/* A hash's state: five or eight words of 32 bits, or eight of 64. */
typedef union State {
    uint32_t w[8];
    uint64_t d[8];
} State;

typedef struct Hash {
    const char *name;
    unsigned block, digest, word;   /* sizes in bytes */
    int little;                     /* endian */
    void (*compress)(State *s, const uint8_t *block);
    State start;
} Hash;

static uint32_t load32(const uint8_t *p)
{
    uint32_t n;
    memcpy(&n, p, 4);
    return __builtin_bswap32(n);
}

static uint64_t load64(const uint8_t *p)
{
    uint64_t n;
    memcpy(&n, p, 8);
    return __builtin_bswap64(n);
}

static void md5(State *s, const uint8_t *block)
{
    static const uint32_t k[64] = {
        0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf, 0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af,
        0xffff5bb1, 0x895cd7be, 0x6b901122, 0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa,
        0xd62f105d, 0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905, 0xfcefa3f8,
        0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44, 0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70,
        0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039, 0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97,
        0xab9423a7, 0xfc93a039, 0x655b59c3, 0x8f0ccc92, 0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1,
        0xf7537e82, 0xbd3af235, 0x2ad7d2bb, 0xeb86d391,
    };
    static const uint8_t turn[4][4] = {{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}};
    uint32_t m[16], a = s->w[0], b = s->w[1], c = s->w[2], d = s->w[3];
    memcpy(m, block, 64);
    for (int i = 0; i < 64; i++) {
        int round = i / 16;
        uint32_t f = round == 0 ? (b & c) | (~b & d) : round == 1 ? (d & b) | (~d & c) : round == 2 ? b ^ c ^ d : c ^ (b | ~d);
        int g = round == 0 ? i : round == 1 ? 5 * i + 1 : round == 2 ? 3 * i + 5 : 7 * i;
        uint32_t t = d;
        d = c;
        c = b;
        b += rotl32(a + f + k[i] + m[g & 15], turn[round][i & 3]);
        a = t;
    }
    s->w[0] += a, s->w[1] += b, s->w[2] += c, s->w[3] += d;
}

static void sha1(State *s, const uint8_t *block)
{
    uint32_t w[80], a = s->w[0], b = s->w[1], c = s->w[2], d = s->w[3], e = s->w[4];
    for (int i = 0; i < 16; i++)
        w[i] = load32(block + 4 * i);
    for (int i = 16; i < 80; i++)
        w[i] = rotl32(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16], 1);
    for (int i = 0; i < 80; i++) {
        uint32_t f = i < 20 ? ((b & c) | (~b & d)) + 0x5a827999 : i < 40 ? (b ^ c ^ d) + 0x6ed9eba1
            : i < 60 ? ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc : (b ^ c ^ d) + 0xca62c1d6;
        uint32_t t = rotl32(a, 5) + f + e + w[i];
        e = d, d = c, c = rotl32(b, 30), b = a, a = t;
    }
    s->w[0] += a, s->w[1] += b, s->w[2] += c, s->w[3] += d, s->w[4] += e;
}

/* The constants of SHA-512; those of SHA-256 are the upper halves of the first 64. */
static const uint64_t sha2_k[80] = {
    0x428a2f98d728ae22, 0x7137449123ef65cd, 0xb5c0fbcfec4d3b2f, 0xe9b5dba58189dbbc, 0x3956c25bf348b538, 0x59f111f1b605d019,
    0x923f82a4af194f9b, 0xab1c5ed5da6d8118, 0xd807aa98a3030242, 0x12835b0145706fbe, 0x243185be4ee4b28c, 0x550c7dc3d5ffb4e2,
    0x72be5d74f27b896f, 0x80deb1fe3b1696b1, 0x9bdc06a725c71235, 0xc19bf174cf692694, 0xe49b69c19ef14ad2, 0xefbe4786384f25e3,
    0x0fc19dc68b8cd5b5, 0x240ca1cc77ac9c65, 0x2de92c6f592b0275, 0x4a7484aa6ea6e483, 0x5cb0a9dcbd41fbd4, 0x76f988da831153b5,
    0x983e5152ee66dfab, 0xa831c66d2db43210, 0xb00327c898fb213f, 0xbf597fc7beef0ee4, 0xc6e00bf33da88fc2, 0xd5a79147930aa725,
    0x06ca6351e003826f, 0x142929670a0e6e70, 0x27b70a8546d22ffc, 0x2e1b21385c26c926, 0x4d2c6dfc5ac42aed, 0x53380d139d95b3df,
    0x650a73548baf63de, 0x766a0abb3c77b2a8, 0x81c2c92e47edaee6, 0x92722c851482353b, 0xa2bfe8a14cf10364, 0xa81a664bbc423001,
    0xc24b8b70d0f89791, 0xc76c51a30654be30, 0xd192e819d6ef5218, 0xd69906245565a910, 0xf40e35855771202a, 0x106aa07032bbd1b8,
    0x19a4c116b8d2d0c8, 0x1e376c085141ab53, 0x2748774cdf8eeb99, 0x34b0bcb5e19b48a8, 0x391c0cb3c5c95a63, 0x4ed8aa4ae3418acb,
    0x5b9cca4f7763e373, 0x682e6ff3d6b2b8a3, 0x748f82ee5defb2fc, 0x78a5636f43172f60, 0x84c87814a1f0ab72, 0x8cc702081a6439ec,
    0x90befffa23631e28, 0xa4506cebde82bde9, 0xbef9a3f7b2c67915, 0xc67178f2e372532b, 0xca273eceea26619c, 0xd186b8c721c0c207,
    0xeada7dd6cde0eb1e, 0xf57d4f7fee6ed178, 0x06f067aa72176fba, 0x0a637dc5a2c898a6, 0x113f9804bef90dae, 0x1b710b35131c471b,
    0x28db77f523047d84, 0x32caab7b40c72493, 0x3c9ebe0a15c9bebc, 0x431d67c49c100d4c, 0x4cc5d4becb3e42b6, 0x597f299cfc657e2a,
    0x5fcb6fab3ad6faec, 0x6c44198c4a475817,
};

static void sha256(State *s, const uint8_t *block)
{
    uint32_t w[64], v[8];
    memcpy(v, s->w, sizeof(v));
    for (int i = 0; i < 16; i++)
        w[i] = load32(block + 4 * i);
    for (int i = 16; i < 64; i++)
        w[i] = w[i - 16] + w[i - 7] + (rotr32(w[i - 15], 7) ^ rotr32(w[i - 15], 18) ^ w[i - 15] >> 3)
            + (rotr32(w[i - 2], 17) ^ rotr32(w[i - 2], 19) ^ w[i - 2] >> 10);
    for (int i = 0; i < 64; i++) {
        uint32_t t = v[7] + (rotr32(v[4], 6) ^ rotr32(v[4], 11) ^ rotr32(v[4], 25)) + ((v[4] & v[5]) ^ (~v[4] & v[6]))
            + (uint32_t)(sha2_k[i] >> 32) + w[i];
        uint32_t u = (rotr32(v[0], 2) ^ rotr32(v[0], 13) ^ rotr32(v[0], 22)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + t, v[3] = v[2], v[2] = v[1], v[1] = v[0], v[0] = t + u;
    }
    for (int i = 0; i < 8; i++)
        s->w[i] += v[i];
}

static void sha512(State *s, const uint8_t *block)
{
    uint64_t w[80], v[8];
    memcpy(v, s->d, sizeof(v));
    for (int i = 0; i < 16; i++)
        w[i] = load64(block + 8 * i);
    for (int i = 16; i < 80; i++)
        w[i] = w[i - 16] + w[i - 7] + (rotr64(w[i - 15], 1) ^ rotr64(w[i - 15], 8) ^ w[i - 15] >> 7)
            + (rotr64(w[i - 2], 19) ^ rotr64(w[i - 2], 61) ^ w[i - 2] >> 6);
    for (int i = 0; i < 80; i++) {
        uint64_t t = v[7] + (rotr64(v[4], 14) ^ rotr64(v[4], 18) ^ rotr64(v[4], 41)) + ((v[4] & v[5]) ^ (~v[4] & v[6])) + sha2_k[i] + w[i];
        uint64_t u = (rotr64(v[0], 28) ^ rotr64(v[0], 34) ^ rotr64(v[0], 39)) + ((v[0] & v[1]) ^ (v[0] & v[2]) ^ (v[1] & v[2]));
        v[7] = v[6], v[6] = v[5], v[5] = v[4], v[4] = v[3] + t, v[3] = v[2], v[2] = v[1], v[1] = v[0], v[0] = t + u;
    }
    for (int i = 0; i < 8; i++)
        s->d[i] += v[i];
}

static const Hash hashes[] = {
    {"md5", 64, 16, 4, 1, md5, {.w = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}}},
    {"sha1", 64, 20, 4, 0, sha1, {.w = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476, 0xc3d2e1f0}}},
    {"sha224", 64, 28, 4, 0, sha256, {.w = {0xc1059ed8, 0x367cd507, 0x3070dd17, 0xf70e5939, 0xffc00b31, 0x68581511, 0x64f98fa7, 0xbefa4fa4}}},
    {"sha256", 64, 32, 4, 0, sha256, {.w = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19}}},
    {"sha384", 128, 48, 8, 0, sha512, {.d = {0xcbbb9d5dc1059ed8, 0x629a292a367cd507, 0x9159015a3070dd17, 0x152fecd8f70e5939,
        0x67332667ffc00b31, 0x8eb44a8768581511, 0xdb0c2e0d64f98fa7, 0x47b5481dbefa4fa4}}},
    {"sha512", 128, 64, 8, 0, sha512, {.d = {0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
        0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179}}},
};

static const Hash *find_hash(const char *name)
{
    for (size_t i = 0; i < Py_ARRAY_LENGTH(hashes); i++) {
        const char *a = hashes[i].name, *b = name;
        for (; *a; a++, b++) {
            if (*b == '-' && a != hashes[i].name)
                b++;
            if (*a != Py_TOLOWER(Py_CHARMASK(*b)))
                break;
        }
        if (!*a && !*b)
            return &hashes[i];
    }
    return NULL;
}

static void put_state(const Hash *h, const State *s, uint8_t *to)
{
    for (unsigned i = 0; i < h->digest; i++) {
        unsigned word = i / h->word, byte = h->little ? i % h->word : h->word - 1 - i % h->word;
        to[i] = h->word == 4 ? s->w[word] >> 8 * byte : s->d[word] >> 8 * byte;
    }
}

/* Ends a hash: 'len' bytes are left, of 'total' in all. */
static void finish(const Hash *h, State *s, const uint8_t *at, size_t len, uint64_t total, uint8_t *digest)
{
    uint8_t block[128];
    for (; len >= h->block; at += h->block, len -= h->block)
        h->compress(s, at);
    memset(block, 0, sizeof(block));
    memcpy(block, at, len);
    block[len] = 0x80;
    if (len + 1 + h->word * 2 > h->block) {
        h->compress(s, block);
        memset(block, 0, sizeof(block));
    }
    for (int i = 0; i < 8; i++)
        block[h->block - 1 - i] = total * 8 >> 8 * (h->little ? 7 - i : i);
    h->compress(s, block);
    put_state(h, s, digest);
}

/* HMAC's inner and outer state after the key. */
typedef struct Hmac {
    const Hash *hash;
    State inner, outer;
} Hmac;

static void hmac_key(Hmac *m, const Hash *h, const uint8_t *key, size_t len)
{
    uint8_t pad[128] = {0};
    State s = h->start;
    if (len > h->block)
        finish(h, &s, key, len, len, pad);
    else
        memcpy(pad, key, len);
    *m = (Hmac){h, h->start, h->start};
    for (unsigned i = 0; i < h->block; i++)
        pad[i] ^= 0x36;
    h->compress(&m->inner, pad);
    for (unsigned i = 0; i < h->block; i++)
        pad[i] ^= 0x36 ^ 0x5c;
    h->compress(&m->outer, pad);
}

static void hmac(const Hmac *m, const uint8_t *message, size_t len, uint8_t *digest)
{
    const Hash *h = m->hash;
    uint8_t inner[64];
    State s = m->inner;
    finish(h, &s, message, len, h->block + len, inner);
    s = m->outer;
    finish(h, &s, inner, h->digest, h->block + h->digest, digest);
}

/* False, with an exception, if memory is out. */
static int pbkdf2(const Hash *h, const Py_buffer *password, const uint8_t *salt, size_t salt_len, long iterations, uint8_t *to, size_t len)
{
    Hmac m;
    uint8_t *first = PyMem_Malloc(salt_len + 4), u[64], t[64];
    if (!first) {
        PyErr_NoMemory();
        return 0;
    }
    hmac_key(&m, h, password->buf, password->len);
    memcpy(first, salt, salt_len);
    for (uint32_t i = 1; len; i++) {
        size_t n = len < h->digest ? len : h->digest;
        for (int b = 0; b < 4; b++)
            first[salt_len + b] = i >> (24 - 8 * b);
        hmac(&m, first, salt_len + 4, u);
        memcpy(t, u, h->digest);
        for (long j = 1; j < iterations; j++) {
            hmac(&m, u, h->digest, u);
            for (unsigned b = 0; b < h->digest; b++)
                t[b] ^= u[b];
        }
        memcpy(to, t, n);
        to += n;
        len -= n;
    }
    PyMem_Free(first);
    return 1;
}

PyDoc_STRVAR(pbkdf2_doc, "pbkdf2_hmac(hash_name, password, salt, iterations, dklen=None) -> key\n\nPassword based key derivation function 2.");
static PyObject *pbkdf2_hmac(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"hash_name", "password", "salt", "iterations", "dklen", NULL};
    const char *name;
    Py_buffer password, salt;
    long iterations, len;
    PyObject *dklen = Py_None, *key = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "sy*y*l|O:pbkdf2_hmac", names, &name, &password, &salt, &iterations, &dklen))
        return NULL;
    const Hash *h = find_hash(name);
    if (!h) {
        PyErr_Format(PyExc_ValueError, "unsupported hash type %s", name);
        goto done;
    }
    if (iterations < 1) {
        PyErr_SetString(PyExc_ValueError, "iteration value must be greater than 0.");
        goto done;
    }
    len = dklen == Py_None ? (long)h->digest : PyLong_AsLong(dklen);
    if (len == -1 && PyErr_Occurred())
        goto done;
    if (len < 1) {
        PyErr_SetString(PyExc_ValueError, "key length must be greater than 0.");
        goto done;
    }
    key = PyBytes_FromStringAndSize(NULL, len);
    if (key && !pbkdf2(h, &password, salt.buf, salt.len, iterations, (uint8_t *)PyBytes_AS_STRING(key), len))
        Py_CLEAR(key);
done:
    PyBuffer_Release(&password);
    PyBuffer_Release(&salt);
    return key;
}

static void salsa8(uint32_t b[16])
{
    uint32_t x[16];
    memcpy(x, b, 64);
#define QUARTER(a, b, c, d) x[b] ^= rotl32(x[a] + x[d], 7), x[c] ^= rotl32(x[b] + x[a], 9), x[d] ^= rotl32(x[c] + x[b], 13), x[a] ^= rotl32(x[d] + x[c], 18)
    for (int i = 0; i < 4; i++) {
        QUARTER(0, 4, 8, 12), QUARTER(5, 9, 13, 1), QUARTER(10, 14, 2, 6), QUARTER(15, 3, 7, 11);
        QUARTER(0, 1, 2, 3), QUARTER(5, 6, 7, 4), QUARTER(10, 11, 8, 9), QUARTER(15, 12, 13, 14);
    }
#undef QUARTER
    for (int i = 0; i < 16; i++)
        b[i] += x[i];
}

/* scryptBlockMix; y is as large as b. */
static void block_mix(uint32_t *b, uint32_t *y, size_t r)
{
    uint32_t x[16];
    memcpy(x, b + (2 * r - 1) * 16, 64);
    for (size_t i = 0; i < 2 * r; i++) {
        for (int j = 0; j < 16; j++)
            x[j] ^= b[i * 16 + j];
        salsa8(x);
        memcpy(y + (i / 2 + (i & 1) * r) * 16, x, 64);
    }
    memcpy(b, y, r * 128);
}

/* scryptROMix; v has n blocks, y one. */
static void rom_mix(uint32_t *b, uint32_t *v, uint32_t *y, size_t r, uint64_t n)
{
    size_t words = r * 32;
    for (uint64_t i = 0; i < n; i++) {
        memcpy(v + i * words, b, words * 4);
        block_mix(b, y, r);
    }
    for (uint64_t i = 0; i < n; i++) {
        const uint32_t *w = v + (b[words - 16] & (n - 1)) * words;
        for (size_t j = 0; j < words; j++)
            b[j] ^= w[j];
        block_mix(b, y, r);
    }
}

PyDoc_STRVAR(scrypt_doc, "scrypt(password, *, salt, n, r, p, maxmem=0, dklen=64) -> key\n\nscrypt password-based key derivation function.");
static PyObject *scrypt(PyObject *self, PyObject *args, PyObject *keywords)
{
    static char *names[] = {"password", "salt", "n", "r", "p", "maxmem", "dklen", NULL};
    const Hash *h = find_hash("sha256");
    Py_buffer password, salt = {0};
    unsigned long long n = 0, r = 0, p = 0;
    long maxmem = 0, len = 64;
    PyObject *key = NULL;
    if (!PyArg_ParseTupleAndKeywords(args, keywords, "y*|$y*KKKll:scrypt", names, &password, &salt, &n, &r, &p, &maxmem, &len))
        return NULL;
    uint64_t room = maxmem ? (uint64_t)maxmem : 32 << 20;
    if (!salt.obj) {
        PyErr_SetString(PyExc_TypeError, "salt is required");
    } else if (n < 2 || n & (n - 1)) {
        PyErr_SetString(PyExc_ValueError, "n must be a power of 2.");
    } else if (maxmem < 0 || len < 1) {
        PyErr_SetString(PyExc_ValueError, maxmem < 0 ? "maxmem must be positive" : "dklen must be greater than 0");
    } else if (r < 1 || p < 1 || r > room / 128 || p > room / 128 / r || n > room / 128 / r || 128 * r * (n + p + 1) > room) {
        PyErr_SetString(PyExc_ValueError, "Invalid parameter combination for n, r, p, maxmem.");
    } else {
        uint32_t *b = PyMem_Malloc(128 * r * (p + n + 1)), *v = b + 32 * r * p, *y = v + 32 * r * n;
        key = PyBytes_FromStringAndSize(NULL, len);
        if (!b || !key) {
            PyErr_NoMemory();
            Py_CLEAR(key);
        } else if (pbkdf2(h, &password, salt.buf, salt.len, 1, (uint8_t *)b, 128 * r * p)) {
            for (uint64_t i = 0; i < p; i++)
                rom_mix(b + i * 32 * r, v, y, r, n);
            if (!pbkdf2(h, &password, (uint8_t *)b, 128 * r * p, 1, (uint8_t *)PyBytes_AS_STRING(key), len))
                Py_CLEAR(key);
        } else {
            Py_CLEAR(key);
        }
        PyMem_Free(b);
    }
    PyBuffer_Release(&password);
    PyBuffer_Release(&salt);
    return key;
}

#define NAMED(f) (PyCFunction)(void (*)(void))f, METH_VARARGS | METH_KEYWORDS

static PyMethodDef methods[] = {{"pbkdf2_hmac", NAMED(pbkdf2_hmac), pbkdf2_doc}, {"scrypt", NAMED(scrypt), scrypt_doc}, {NULL}};
static PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "_aleph_hash", .m_size = -1, .m_methods = methods};

PyObject *hash_create(void) { return PyModule_Create(&definition); }
