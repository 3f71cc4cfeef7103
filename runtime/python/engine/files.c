/* The file system of an instance, answered inside the guest: what libc imports from WASI preview 1, defined here so that the
   engine imports nothing but aleph_v1.

     /lib/python3.x, /usr/share/zoneinfo   read-only, in the module's data (tree.s)
     /lib/aleph, /app                      read-only, pointing into the frames of aleph_init and aleph_load
     /tmp                                  writable, TMP_SIZE bytes; what loading leaves there is in every instance
     /dev                                  null, zero, random, urandom

   Everything is memory, so the image has it and a request pays for what it touches only. Descriptors 0 to 2 are no files:
   nothing to read; what is written goes to the program's log, by lines. Read-only files are never written by reading them. */

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <wasi/api.h>

#include "abi_imports.h"
#include "files.h"

#define TMP_SIZE (16u << 20)
#define MAX_FILES 256           /* open at the same time */
#define MAX_NODES 16384         /* in /tmp */
#define MAX_NAME 255
#define MAX_LINKS 32            /* symbolic ones followed in a path */
#define ROOT_FD 3

typedef struct Node {
    struct Node *parent, *next, *first, *last;  /* of a directory: its first and last entry, in the order of serial */
    const char *name;
    uint8_t *bytes;             /* of a file, or the path that a link holds */
    uint32_t size, room;        /* room: allocated bytes; 0 if they are not ours */
    uint32_t serial;            /* position among the entries of a directory; the inode, too */
    uint16_t opens;             /* descriptors; the root has one for ever */
    uint8_t name_len, type, writable, removed;
    int64_t accessed, modified, changed;
} Node;

typedef struct File {
    Node *node;                 /* NULL: closed */
    uint64_t at;
    uint16_t flags;             /* __WASI_FDFLAGS_* */
    uint8_t reads, writes;
} File;

static Node root = {.type = __WASI_FILETYPE_DIRECTORY, .opens = 1, .serial = 1};
static Node *dev_null, *dev_zero, *tmp;
static File files[MAX_FILES];
static uint32_t serials = 1, tmp_used, tmp_nodes;

/* Output that waits for the end of its line. */
static struct { uint32_t len; char text[4096]; } lines[2];

static int64_t now(void) { return aleph_clock(0); }

/* Names */

static Node *entry(Node *dir, const char *name, uint32_t len)
{
    for (Node *n = dir->first; n; n = n->next)
        if (n->name_len == len && !memcmp(n->name, name, len))
            return n;
    return NULL;
}

static void link_in(Node *dir, Node *n)
{
    n->parent = dir;
    n->next = NULL;
    n->serial = ++serials;
    if (dir->last)
        dir->last->next = n;
    else
        dir->first = n;
    dir->last = n;
    dir->modified = dir->changed = now();
}

static void link_out(Node *n)
{
    Node *dir = n->parent, *before = NULL;
    if (dir->first == n) {
        dir->first = n->next;
    } else {
        for (before = dir->first; before->next != n; before = before->next)
            ;
        before->next = n->next;
    }
    if (dir->last == n)
        dir->last = before;
    dir->modified = dir->changed = now();
}

static void drop(Node *n)
{
    if (!n->removed || n->opens)
        return;
    tmp_used -= n->size;
    tmp_nodes--;
    if (n->room)
        free(n->bytes);
    free((void *)n->name);
    free(n);
}

/* A new entry of a read-only directory; its name and bytes are not copied. NULL: out of memory. */
static Node *add(Node *dir, const char *name, uint32_t len, uint8_t type)
{
    Node *n = calloc(1, sizeof(Node));
    if (!n)
        return NULL;
    n->name = name;
    n->name_len = len;
    n->type = type;
    n->accessed = n->modified = n->changed = now();
    link_in(dir, n);
    return n;
}

int files_add(const char *path, uint32_t len, const void *bytes, uint32_t size)
{
    Node *dir = &root;
    const char *end = path + len;
    for (;;) {
        while (path < end && *path == '/')
            path++;
        const char *slash = memchr(path, '/', end - path);
        uint32_t n = (slash ? slash : end) - path;
        if (n == 0 || n > MAX_NAME || (n == 1 && *path == '.') || (n == 2 && !memcmp(path, "..", 2)) || memchr(path, 0, n))
            return EINVAL;
        Node *e = entry(dir, path, n);
        if (!slash) {
            if (e)
                return EEXIST;
            if (!(e = add(dir, path, n, __WASI_FILETYPE_REGULAR_FILE)))
                return ENOMEM;
            e->bytes = (uint8_t *)bytes;
            e->size = size;
            return 0;
        }
        if (!e && !(e = add(dir, path, n, __WASI_FILETYPE_DIRECTORY)))
            return ENOMEM;
        if (e->type != __WASI_FILETYPE_DIRECTORY)
            return EEXIST;
        dir = e;
        path = slash;
    }
}

void files_init(void)
{
    root.parent = &root;
    Node *dev = add(&root, "dev", 3, __WASI_FILETYPE_DIRECTORY);
    dev_null = add(dev, "null", 4, __WASI_FILETYPE_CHARACTER_DEVICE);
    dev_zero = add(dev, "zero", 4, __WASI_FILETYPE_CHARACTER_DEVICE);
    add(dev, "random", 6, __WASI_FILETYPE_CHARACTER_DEVICE);
    add(dev, "urandom", 7, __WASI_FILETYPE_CHARACTER_DEVICE);
    add(&root, "app", 3, __WASI_FILETYPE_DIRECTORY);
    tmp = add(&root, "tmp", 3, __WASI_FILETYPE_DIRECTORY);
    tmp->writable = 1;
    tmp->accessed = tmp->modified = tmp->changed = now();
    files[ROOT_FD] = (File){.node = &root, .reads = 1};
}

void files_flush(void)
{
    for (int i = 0; i < 2; i++) {
        if (lines[i].len)
            aleph_log(i ? 3 : 1, lines[i].text, lines[i].len);
        lines[i].len = 0;
    }
}

/* Where a path leads. */
typedef struct Place {
    Node *dir;                  /* of the last name */
    const char *name;           /* the last name, in the path; of length 0 if the path is a directory by its form */
    uint32_t len;
    Node *node;                 /* NULL if there is none */
    int must_be_dir;            /* the path ends in a slash */
} Place;

static int walk(Node *dir, const char *path, uint32_t len, int follow, int depth, Place *p)
{
    const char *end = path + len;
    if (depth > MAX_LINKS)
        return __WASI_ERRNO_LOOP;
    if (len && *path == '/')
        dir = &root;
    *p = (Place){.dir = dir->parent ? dir->parent : &root, .node = dir};
    for (;;) {
        while (path < end && *path == '/')
            path++;
        if (path == end)
            return 0;
        const char *slash = memchr(path, '/', end - path);
        uint32_t n = (slash ? slash : end) - path;
        if (n > MAX_NAME)
            return __WASI_ERRNO_NAMETOOLONG;
        if (memchr(path, 0, n))
            return __WASI_ERRNO_INVAL;
        if (!p->node)
            return __WASI_ERRNO_NOENT;
        if (p->node->type != __WASI_FILETYPE_DIRECTORY)
            return __WASI_ERRNO_NOTDIR;
        dir = p->node;
        if (n == 1 && *path == '.') {
            *p = (Place){.dir = dir->parent, .node = dir};
        } else if (n == 2 && !memcmp(path, "..", 2)) {
            *p = (Place){.dir = dir->parent->parent, .node = dir->parent};
        } else {
            *p = (Place){.dir = dir, .name = path, .len = n, .node = dir->removed ? NULL : entry(dir, path, n)};
            if (dir->removed)
                return __WASI_ERRNO_NOENT;
        }
        p->must_be_dir = slash != NULL;
        if (p->node && p->node->type == __WASI_FILETYPE_SYMBOLIC_LINK && (slash || follow)) {
            int must_be_dir = p->must_be_dir;
            int e = walk(dir, (char *)p->node->bytes, p->node->size, 1, depth + 1, p);
            if (e)
                return e;
            p->must_be_dir |= must_be_dir;
        }
        path += n;
    }
}

static int open_file(int32_t fd, File **f)
{
    if (fd < 0 || fd >= MAX_FILES || !files[fd].node)
        return __WASI_ERRNO_BADF;
    *f = &files[fd];
    return 0;
}

static int find(int32_t fd, const char *path, uint32_t len, int follow, Place *p)
{
    File *f;
    int e = open_file(fd, &f);
    if (e)
        return e;
    if (len == 0)
        return __WASI_ERRNO_NOENT;
    return walk(f->node, path, len, follow, 0, p);
}

static int exists(const Place *p)
{
    if (!p->node)
        return __WASI_ERRNO_NOENT;
    return p->must_be_dir && p->node->type != __WASI_FILETYPE_DIRECTORY ? __WASI_ERRNO_NOTDIR : 0;
}

/* Whether an entry may be made at the place. */
static int vacant(const Place *p)
{
    if (p->node || p->len == 0)
        return __WASI_ERRNO_EXIST;
    if (!p->dir->writable)
        return __WASI_ERRNO_ROFS;
    return tmp_nodes >= MAX_NODES ? __WASI_ERRNO_NOSPC : 0;
}

static int create(const Place *p, uint8_t type, Node **made)
{
    char *name = malloc(p->len);
    Node *n = calloc(1, sizeof(Node));
    if (!name || !n) {
        free(name);
        free(n);
        return __WASI_ERRNO_NOMEM;
    }
    memcpy(name, p->name, p->len);
    n->name = name;
    n->name_len = p->len;
    n->type = type;
    n->writable = 1;
    n->accessed = n->modified = n->changed = now();
    link_in(p->dir, n);
    tmp_nodes++;
    *made = n;
    return 0;
}

/* Contents */

static int resize(Node *n, uint64_t size)
{
    if (size > n->size && size - n->size > TMP_SIZE - tmp_used)
        return __WASI_ERRNO_NOSPC;
    if (size > n->room) {
        uint32_t room = n->room * 2 > size ? n->room * 2 : size < 64 ? 64 : (uint32_t)size;
        uint8_t *bytes = realloc(n->bytes, room);
        if (!bytes && !(bytes = realloc(n->bytes, room = size)))
            return __WASI_ERRNO_NOMEM;
        n->bytes = bytes;
        n->room = room;
    }
    if (size > n->size)
        memset(n->bytes + n->size, 0, size - n->size);
    tmp_used += (uint32_t)size - n->size;
    n->size = size;
    return 0;
}

static int read_at(File *f, const __wasi_iovec_t *iov, uint32_t count, uint64_t at, uint32_t *done)
{
    Node *n = f->node;
    *done = 0;
    if (!f->reads)
        return __WASI_ERRNO_BADF;
    if (n->type == __WASI_FILETYPE_DIRECTORY)
        return __WASI_ERRNO_ISDIR;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t len = iov[i].buf_len;
        if (n->type == __WASI_FILETYPE_CHARACTER_DEVICE) {
            if (n == dev_null)
                return 0;
            if (n == dev_zero)
                memset(iov[i].buf, 0, len);
            else
                random_bytes(iov[i].buf, len);
        } else {
            uint64_t left = at < n->size ? n->size - at : 0;
            if (len > left)
                len = left;
            if (len)
                memcpy(iov[i].buf, n->bytes + at, len);
            at += len;
        }
        *done += len;
    }
    return 0;
}

static int write_at(File *f, const __wasi_ciovec_t *iov, uint32_t count, uint64_t at, uint32_t *done)
{
    Node *n = f->node;
    uint64_t total = 0;
    *done = 0;
    if (!f->writes)
        return __WASI_ERRNO_BADF;
    for (uint32_t i = 0; i < count; i++)
        total += iov[i].buf_len;
    if (n->type == __WASI_FILETYPE_CHARACTER_DEVICE || total == 0) {
        *done = total;
        return 0;
    }
    if (at + total < at)
        return __WASI_ERRNO_FBIG;
    if (at + total > n->size) {
        int e = resize(n, at + total);
        if (e)
            return e;
    }
    for (uint32_t i = 0; i < count; i++) {
        memcpy(n->bytes + at, iov[i].buf, iov[i].buf_len);
        at += iov[i].buf_len;
    }
    n->modified = n->changed = now();
    *done = total;
    return 0;
}

static void say(int stream, const char *text, uint32_t len)
{
    typeof(&lines[0]) l = &lines[stream];
    while (len) {
        uint32_t n = sizeof(l->text) - l->len;
        const char *newline = memchr(text, '\n', len);
        uint32_t line = newline ? newline - text : len;
        if (n > line)
            n = line;
        memcpy(l->text + l->len, text, n);
        l->len += n;
        if ((newline && n == line) || l->len == sizeof(l->text)) {
            aleph_log(stream ? 3 : 1, l->text, l->len);
            l->len = 0;
        }
        if (newline && n == line)
            n++;
        text += n;
        len -= n;
    }
}

static void describe(const Node *n, __wasi_filestat_t *st)
{
    *st = (__wasi_filestat_t){
        .dev = n->writable ? 2 : 1, .ino = n->serial, .filetype = n->type, .nlink = n->removed ? 0 : 1, .size = n->size,
        .atim = n->accessed, .mtim = n->modified, .ctim = n->changed,
    };
}

static int set_times(Node *n, int64_t accessed, int64_t modified, int32_t flags)
{
    if (!n->writable)
        return __WASI_ERRNO_ROFS;
    int64_t time = now();
    if (flags & __WASI_FSTFLAGS_ATIM)
        n->accessed = accessed;
    if (flags & __WASI_FSTFLAGS_ATIM_NOW)
        n->accessed = time;
    if (flags & __WASI_FSTFLAGS_MTIM)
        n->modified = modified;
    if (flags & __WASI_FSTFLAGS_MTIM_NOW)
        n->modified = time;
    n->changed = time;
    return 0;
}

/* WASI: descriptors */

#define WASI(name) int32_t __imported_wasi_snapshot_preview1_##name

WASI(fd_close)(int32_t fd)
{
    File *f;
    if (fd >= 0 && fd < ROOT_FD)
        return 0;
    int e = open_file(fd, &f);
    if (e || fd == ROOT_FD)
        return e;
    Node *n = f->node;
    f->node = NULL;
    if (n->writable) {
        n->opens--;
        drop(n);
    }
    return 0;
}

WASI(fd_read)(int32_t fd, int32_t iov, int32_t count, int32_t done)
{
    File *f;
    *(uint32_t *)done = 0;
    if (fd == 0)
        return 0;
    int e = open_file(fd, &f);
    if (!e && !(e = read_at(f, (void *)iov, count, f->at, (uint32_t *)done)))
        f->at += *(uint32_t *)done;
    return e;
}

WASI(fd_pread)(int32_t fd, int32_t iov, int32_t count, int64_t at, int32_t done)
{
    File *f;
    int e = open_file(fd, &f);
    return e ? e : read_at(f, (void *)iov, count, at, (uint32_t *)done);
}

WASI(fd_write)(int32_t fd, int32_t iov, int32_t count, int32_t done)
{
    File *f;
    *(uint32_t *)done = 0;
    if (fd == 1 || fd == 2) {
        for (const __wasi_ciovec_t *v = (void *)iov, *end = v + count; v < end; v++) {
            say(fd - 1, (const char *)v->buf, v->buf_len);
            *(uint32_t *)done += v->buf_len;
        }
        return 0;
    }
    int e = open_file(fd, &f);
    if (e)
        return e;
    uint64_t at = f->flags & __WASI_FDFLAGS_APPEND ? f->node->size : f->at;
    e = write_at(f, (void *)iov, count, at, (uint32_t *)done);
    if (!e)
        f->at = at + *(uint32_t *)done;
    return e;
}

WASI(fd_pwrite)(int32_t fd, int32_t iov, int32_t count, int64_t at, int32_t done)
{
    File *f;
    int e = open_file(fd, &f);
    return e ? e : write_at(f, (void *)iov, count, at, (uint32_t *)done);
}

WASI(fd_seek)(int32_t fd, int64_t offset, int32_t whence, int32_t result)
{
    File *f;
    if (fd >= 0 && fd < ROOT_FD)
        return __WASI_ERRNO_SPIPE;
    int e = open_file(fd, &f);
    if (e)
        return e;
    int64_t from = whence == __WASI_WHENCE_SET ? 0 : whence == __WASI_WHENCE_CUR ? (int64_t)f->at : f->node->size;
    int64_t at;
    if (__builtin_add_overflow(from, offset, &at) || at < 0)
        return __WASI_ERRNO_INVAL;
    f->at = at;
    *(int64_t *)result = at;
    return 0;
}

WASI(fd_tell)(int32_t fd, int32_t result) { return __imported_wasi_snapshot_preview1_fd_seek(fd, 0, __WASI_WHENCE_CUR, result); }

WASI(fd_fdstat_get)(int32_t fd, int32_t result)
{
    File *f;
    __wasi_fdstat_t *st = (void *)result;
    *st = (__wasi_fdstat_t){.fs_filetype = __WASI_FILETYPE_CHARACTER_DEVICE, .fs_rights_base = -1, .fs_rights_inheriting = -1};
    if (fd >= 0 && fd < ROOT_FD)
        return 0;
    int e = open_file(fd, &f);
    if (e)
        return e;
    st->fs_filetype = f->node->type;
    st->fs_flags = f->flags;
    if (!f->reads)
        st->fs_rights_base &= ~(uint64_t)__WASI_RIGHTS_FD_READ;
    if (!f->writes && fd != ROOT_FD)
        st->fs_rights_base &= ~(uint64_t)__WASI_RIGHTS_FD_WRITE;
    return 0;
}

WASI(fd_fdstat_set_flags)(int32_t fd, int32_t flags)
{
    File *f;
    int e = open_file(fd, &f);
    if (!e)
        f->flags = flags;
    return e;
}

WASI(fd_fdstat_set_rights)(int32_t fd, int64_t base, int64_t inheriting) { return 0; }

WASI(fd_filestat_get)(int32_t fd, int32_t result)
{
    File *f;
    if (fd >= 0 && fd < ROOT_FD) {
        *(__wasi_filestat_t *)result = (__wasi_filestat_t){.filetype = __WASI_FILETYPE_CHARACTER_DEVICE, .nlink = 1};
        return 0;
    }
    int e = open_file(fd, &f);
    if (!e)
        describe(f->node, (void *)result);
    return e;
}

WASI(fd_filestat_set_size)(int32_t fd, int64_t size)
{
    File *f;
    int e = open_file(fd, &f);
    if (e)
        return e;
    if (!f->writes || f->node->type != __WASI_FILETYPE_REGULAR_FILE)
        return __WASI_ERRNO_INVAL;
    if (!(e = resize(f->node, size)))
        f->node->modified = f->node->changed = now();
    return e;
}

WASI(fd_filestat_set_times)(int32_t fd, int64_t accessed, int64_t modified, int32_t flags)
{
    File *f;
    int e = open_file(fd, &f);
    return e ? e : set_times(f->node, accessed, modified, flags);
}

WASI(fd_allocate)(int32_t fd, int64_t offset, int64_t len)
{
    File *f;
    int e = open_file(fd, &f);
    if (e)
        return e;
    if (!f->writes || offset < 0 || len <= 0)
        return __WASI_ERRNO_INVAL;
    return offset + len > f->node->size ? resize(f->node, offset + len) : 0;
}

WASI(fd_advise)(int32_t fd, int64_t offset, int64_t len, int32_t advice) { return 0; }
WASI(fd_sync)(int32_t fd) { return 0; }
WASI(fd_datasync)(int32_t fd) { return 0; }

WASI(fd_renumber)(int32_t from, int32_t to)
{
    File *f, *g;
    int e = open_file(from, &f);
    if (e || (e = open_file(to, &g)))
        return e;
    if (from <= ROOT_FD || to <= ROOT_FD)
        return __WASI_ERRNO_NOTSUP;
    if (f == g)
        return 0;
    __imported_wasi_snapshot_preview1_fd_close(to);
    *g = *f;
    f->node = NULL;
    return 0;
}

/* Cookies are serials, so that a directory may change while it is read: 1 and 2 are after . and .., then serial + 2. */
WASI(fd_readdir)(int32_t fd, int32_t buffer, int32_t len, int64_t cookie, int32_t used)
{
    File *f;
    int e = open_file(fd, &f);
    if (e)
        return e;
    Node *dir = f->node;
    if (dir->type != __WASI_FILETYPE_DIRECTORY)
        return __WASI_ERRNO_NOTDIR;
    uint8_t *at = (void *)buffer, *end = at + (uint32_t)len;
    Node *n = dir->first;
    for (; at < end; cookie++) {
        __wasi_dirent_t d = {.d_type = __WASI_FILETYPE_DIRECTORY, .d_next = cookie + 1};
        const char *name = "..";
        if (cookie < 2) {
            d.d_namlen = cookie + 1;
            d.d_ino = cookie ? dir->parent->serial : dir->serial;
        } else {
            while (n && n->serial + 2ull <= (uint64_t)cookie)
                n = n->next;
            if (!n)
                break;
            d = (__wasi_dirent_t){.d_next = n->serial + 2ull, .d_ino = n->serial, .d_namlen = n->name_len, .d_type = n->type};
            name = n->name;
            cookie = d.d_next - 1;
        }
        uint32_t head = end - at < (ptrdiff_t)sizeof(d) ? end - at : sizeof(d);
        memcpy(at, &d, head);
        at += head;
        uint32_t rest = end - at < (ptrdiff_t)d.d_namlen ? end - at : d.d_namlen;
        memcpy(at, name, rest);
        at += rest;
    }
    *(uint32_t *)used = at - (uint8_t *)buffer;
    return 0;
}

WASI(fd_prestat_get)(int32_t fd, int32_t result)
{
    if (fd != ROOT_FD)
        return __WASI_ERRNO_BADF;
    *(__wasi_prestat_t *)result = (__wasi_prestat_t){.tag = __WASI_PREOPENTYPE_DIR, .u.dir.pr_name_len = 1};
    return 0;
}

WASI(fd_prestat_dir_name)(int32_t fd, int32_t to, int32_t len)
{
    if (fd != ROOT_FD || len < 1)
        return __WASI_ERRNO_BADF;
    *(char *)to = '/';
    return 0;
}

/* WASI: paths */

WASI(path_open)(int32_t fd, int32_t lookup, int32_t path, int32_t len, int32_t how, int64_t rights, int64_t inheriting, int32_t flags,
                int32_t result)
{
    Place p;
    int writes = (rights & __WASI_RIGHTS_FD_WRITE) != 0, reads = (rights & (__WASI_RIGHTS_FD_READ | __WASI_RIGHTS_FD_READDIR)) != 0;
    int e = find(fd, (char *)path, len, lookup & __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW && !(how & __WASI_OFLAGS_EXCL), &p);
    if (e)
        return e;
    int slot = ROOT_FD + 1;
    while (slot < MAX_FILES && files[slot].node)
        slot++;
    if (slot == MAX_FILES)
        return __WASI_ERRNO_MFILE;
    if (p.node && how & __WASI_OFLAGS_CREAT && how & __WASI_OFLAGS_EXCL)
        return __WASI_ERRNO_EXIST;
    if (!p.node && how & __WASI_OFLAGS_CREAT) {
        if (p.must_be_dir)
            return __WASI_ERRNO_ISDIR;
        if ((e = vacant(&p)) || (e = create(&p, __WASI_FILETYPE_REGULAR_FILE, &p.node)))
            return e;
    }
    if ((e = exists(&p)))
        return e;
    Node *n = p.node;
    if (n->type == __WASI_FILETYPE_SYMBOLIC_LINK)
        return __WASI_ERRNO_LOOP;
    if (n->type == __WASI_FILETYPE_DIRECTORY) {
        if (how & (__WASI_OFLAGS_CREAT | __WASI_OFLAGS_TRUNC))
            return __WASI_ERRNO_ISDIR;
        if (writes && !(how & __WASI_OFLAGS_DIRECTORY)) /* libc asks for all rights when it opens a directory as such */
            return __WASI_ERRNO_ISDIR;
        writes = 0;
    } else if (how & __WASI_OFLAGS_DIRECTORY) {
        return __WASI_ERRNO_NOTDIR;
    }
    if (n->type == __WASI_FILETYPE_REGULAR_FILE) {
        if ((writes || how & __WASI_OFLAGS_TRUNC) && !n->writable)
            return __WASI_ERRNO_ROFS;
        if (how & __WASI_OFLAGS_TRUNC && n->size) {
            resize(n, 0);
            n->modified = n->changed = now();
        }
    }
    if (n->writable)
        n->opens++;
    files[slot] = (File){.node = n, .flags = flags, .reads = reads, .writes = writes};
    *(int32_t *)result = slot;
    return 0;
}

WASI(path_filestat_get)(int32_t fd, int32_t lookup, int32_t path, int32_t len, int32_t result)
{
    Place p;
    int e = find(fd, (char *)path, len, lookup & __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, &p);
    if (!e && !(e = exists(&p)))
        describe(p.node, (void *)result);
    return e;
}

WASI(path_filestat_set_times)(int32_t fd, int32_t lookup, int32_t path, int32_t len, int64_t accessed, int64_t modified, int32_t flags)
{
    Place p;
    int e = find(fd, (char *)path, len, lookup & __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, &p);
    return e || (e = exists(&p)) ? e : set_times(p.node, accessed, modified, flags);
}

WASI(path_create_directory)(int32_t fd, int32_t path, int32_t len)
{
    Place p;
    Node *n;
    int e = find(fd, (char *)path, len, 0, &p);
    return e || (e = vacant(&p)) ? e : create(&p, __WASI_FILETYPE_DIRECTORY, &n);
}

static int remove_entry(Node *n)
{
    link_out(n);
    n->removed = 1;
    n->changed = now();
    drop(n);
    return 0;
}

WASI(path_remove_directory)(int32_t fd, int32_t path, int32_t len)
{
    Place p;
    int e = find(fd, (char *)path, len, 0, &p);
    if (e || (e = exists(&p)))
        return e;
    if (p.node->type != __WASI_FILETYPE_DIRECTORY)
        return __WASI_ERRNO_NOTDIR;
    if (!p.node->writable || p.node == tmp)
        return __WASI_ERRNO_ROFS;
    if (p.len == 0)
        return __WASI_ERRNO_INVAL;
    return p.node->first ? __WASI_ERRNO_NOTEMPTY : remove_entry(p.node);
}

WASI(path_unlink_file)(int32_t fd, int32_t path, int32_t len)
{
    Place p;
    int e = find(fd, (char *)path, len, 0, &p);
    if (e || (e = exists(&p)))
        return e;
    if (p.node->type == __WASI_FILETYPE_DIRECTORY)
        return __WASI_ERRNO_ISDIR;
    return p.node->writable ? remove_entry(p.node) : __WASI_ERRNO_ROFS;
}

WASI(path_rename)(int32_t fd, int32_t path, int32_t len, int32_t new_fd, int32_t new_path, int32_t new_len)
{
    Place from, to;
    int e = find(fd, (char *)path, len, 0, &from);
    if (e || (e = exists(&from)) || (e = find(new_fd, (char *)new_path, new_len, 0, &to)))
        return e;
    Node *n = from.node, *old = to.node;
    int is_dir = n->type == __WASI_FILETYPE_DIRECTORY;
    if (!n->writable || n == tmp || !to.dir->writable || old == tmp)
        return __WASI_ERRNO_ROFS;
    if (from.len == 0 || to.len == 0)
        return __WASI_ERRNO_BUSY;
    if (n == old)
        return 0;
    if (to.must_be_dir && !is_dir)
        return __WASI_ERRNO_NOTDIR;
    for (Node *dir = to.dir; dir != &root; dir = dir->parent)
        if (dir == n)
            return __WASI_ERRNO_INVAL;
    if (old) {
        int onto_dir = old->type == __WASI_FILETYPE_DIRECTORY;
        if (onto_dir != is_dir)
            return onto_dir ? __WASI_ERRNO_ISDIR : __WASI_ERRNO_NOTDIR;
        if (old->first)
            return __WASI_ERRNO_NOTEMPTY;
    }
    char *name = malloc(to.len);
    if (!name)
        return __WASI_ERRNO_NOMEM;
    memcpy(name, to.name, to.len);
    if (old)
        remove_entry(old);
    link_out(n);
    free((void *)n->name);
    n->name = name;
    n->name_len = to.len;
    n->changed = now();
    link_in(to.dir, n);
    return 0;
}

WASI(path_symlink)(int32_t target, int32_t target_len, int32_t fd, int32_t path, int32_t len)
{
    Place p;
    Node *n;
    int e = find(fd, (char *)path, len, 0, &p);
    if (e || (e = vacant(&p)) || (e = create(&p, __WASI_FILETYPE_SYMBOLIC_LINK, &n)))
        return e;
    if ((e = resize(n, (uint32_t)target_len)))
        remove_entry(n);
    else
        memcpy(n->bytes, (void *)target, target_len);
    return e;
}

WASI(path_readlink)(int32_t fd, int32_t path, int32_t len, int32_t to, int32_t room, int32_t used)
{
    Place p;
    int e = find(fd, (char *)path, len, 0, &p);
    if (e || (e = exists(&p)))
        return e;
    if (p.node->type != __WASI_FILETYPE_SYMBOLIC_LINK)
        return __WASI_ERRNO_INVAL;
    uint32_t n = p.node->size < (uint32_t)room ? p.node->size : (uint32_t)room;
    memcpy((void *)to, p.node->bytes, n);
    *(uint32_t *)used = n;
    return 0;
}

WASI(path_link)(int32_t fd, int32_t lookup, int32_t path, int32_t len, int32_t new_fd, int32_t new_path, int32_t new_len)
{
    return __WASI_ERRNO_NOTSUP;
}

/* WASI: the rest */

WASI(clock_time_get)(int32_t id, int64_t precision, int32_t result)
{
    *(int64_t *)result = aleph_clock(id == 0 ? 0 : 1); /* the processes' clocks are emulated with the monotonic one */
    return 0;
}

WASI(clock_res_get)(int32_t id, int32_t result)
{
    *(int64_t *)result = 1;
    return 0;
}

void random_bytes(void *to, uint32_t len)
{
    for (uint8_t *at = to; len;) {
        uint32_t n = len < 65536 ? len : 65536;
        aleph_random(at, n);
        at += n;
        len -= n;
    }
}

WASI(random_get)(int32_t to, int32_t len)
{
    random_bytes((void *)to, len);
    return 0;
}

/* time.sleep(): the operation 1 of the contract. Descriptors are always ready. */
WASI(poll_oneoff)(int32_t in, int32_t out, int32_t count, int32_t result)
{
    const __wasi_subscription_t *s = (void *)in, *first = NULL;
    __wasi_event_t *event = (void *)out;
    int64_t shortest = INT64_MAX;
    uint32_t ready = 0;
    for (int32_t i = 0; i < count; i++) {
        if (s[i].u.tag != __WASI_EVENTTYPE_CLOCK) {
            event[ready++] = (__wasi_event_t){.userdata = s[i].userdata, .type = s[i].u.tag};
            continue;
        }
        int64_t wait = s[i].u.u.clock.timeout;
        if (s[i].u.u.clock.flags & __WASI_SUBCLOCKFLAGS_SUBSCRIPTION_CLOCK_ABSTIME)
            wait -= aleph_clock(s[i].u.u.clock.id == 0 ? 0 : 1);
        if (wait < shortest) {
            shortest = wait;
            first = &s[i];
        }
    }
    if (!ready && first) {
        if (shortest > 0 && !sleep_for(shortest))
            return __WASI_ERRNO_NOTSUP;
        event[ready++] = (__wasi_event_t){.userdata = first->userdata, .type = __WASI_EVENTTYPE_CLOCK};
    }
    *(uint32_t *)result = ready;
    return 0;
}

WASI(args_sizes_get)(int32_t count, int32_t size)
{
    *(uint32_t *)count = *(uint32_t *)size = 0;
    return 0;
}

WASI(environ_sizes_get)(int32_t count, int32_t size) { return __imported_wasi_snapshot_preview1_args_sizes_get(count, size); }
WASI(args_get)(int32_t list, int32_t buffer) { return 0; }
WASI(environ_get)(int32_t list, int32_t buffer) { return 0; }
WASI(sched_yield)(void) { return 0; }
WASI(sock_accept)(int32_t fd, int32_t flags, int32_t result) { return __WASI_ERRNO_NOTSOCK; }
WASI(sock_recv)(int32_t fd, int32_t iov, int32_t count, int32_t flags, int32_t len, int32_t result) { return __WASI_ERRNO_NOTSOCK; }
WASI(sock_send)(int32_t fd, int32_t iov, int32_t count, int32_t flags, int32_t result) { return __WASI_ERRNO_NOTSOCK; }
WASI(sock_shutdown)(int32_t fd, int32_t how) { return __WASI_ERRNO_NOTSOCK; }

_Noreturn void __imported_wasi_snapshot_preview1_proc_exit(int32_t code)
{
    files_flush();
    __builtin_trap();
}
