/*
Preloaded library between a process and its files: it keeps a journal of the calls that
concern files in given areas, makes one of them fail, or ends the process at one of them.

Nothing happens until a function below that starts with `faults_` is called. All that
these set is shared with the processes that are forked later, so that a call is the n-th
one of a production, whichever of its processes makes it.

An area is a pattern of paths, as of fnmatch(3), where `*` matches any characters, also
the slash. A file belongs to the first area that matches its absolute path.

Each line of the journal is `kind TAB area TAB inode TAB path TAB detail TAB other`:
  open    `created` or `emptied` when it was, else `-`
  write   offset of the first byte
  rename  new path; path of a link to what was there before, `-` if nothing was
  unlink  path of a link to what was there before
  others  `-`
*/
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum kind { OPEN, READ, WRITE, RENAME, FSYNC, UNLINK, MKDIR, STAT, LIST, N_KINDS };
static const char *const NAMES[N_KINDS] = {"open",   "read",  "write", "rename", "fsync",
                                           "unlink", "mkdir", "stat",  "list"};
#define N_AREAS 16
#define JOURNAL_FD 1000

/* What all processes of a production share. */
struct shared {
    char patterns[N_AREAS][PATH_MAX];
    int n_areas;
    long n_calls[N_KINDS][N_AREAS];
    long n_changes; /* calls that change something on disk */
    long n_kept;    /* links to what was removed */
    long n_failed;  /* calls that were made to fail */
    int kind, area, error, is_sticky;
    long number;
    long cut;                /* change before which all processes are killed */
    char folder[PATH_MAX];   /* for links to what was removed */
    int is_journal;
};
static struct shared *shared;

/* The function of the C library of the same name. */
#define NEXT(name)                                                                          \
    ({                                                                                      \
        static __typeof__(&name) next_;                                                     \
        if (!next_) next_ = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                      \
        next_;                                                                              \
    })

__attribute__((constructor)) static void begin(void) {
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) abort();
}

/* ---- What the tests call ---- */

/* Forget everything, and set the areas: patterns, one a line. */
void faults_begin(const char *patterns) {
    memset(shared, 0, sizeof *shared);
    while (*patterns && shared->n_areas < N_AREAS) {
        size_t length = strcspn(patterns, "\n");
        if (length >= PATH_MAX) abort();
        memcpy(shared->patterns[shared->n_areas++], patterns, length);
        patterns += length + (patterns[length] == '\n');
    }
}

/* Write each call into a file; keep links to what is removed in a folder. */
void faults_journal(const char *path, const char *folder) {
    int fd = syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND, 0644);
    if (fd < 0 || syscall(SYS_dup3, fd, JOURNAL_FD, 0) < 0) abort();
    syscall(SYS_close, fd);
    snprintf(shared->folder, sizeof shared->folder, "%s", folder);
    shared->is_journal = 1;
}

/* Let the n-th call of a kind in an area fail, and when sticky all later ones. */
void faults_fail(int kind, int area, long number, int error, int is_sticky) {
    shared->kind = kind;
    shared->area = area;
    shared->number = number;
    shared->is_sticky = is_sticky;
    shared->error = error;
}

/* Kill all processes of the group before the n-th change on disk. */
void faults_cut(long number) { shared->cut = number; }

/* How many calls were made to fail. */
long faults_failed(void) { return shared->n_failed; }

/* How many changes on disk there were. */
long faults_changed(void) { return shared->n_changes; }

/* ---- Where a call goes ---- */

struct call {
    enum kind kind;
    int area; /* -1: none of ours */
    char path[PATH_MAX];
};

static void link_target(int fd, char path[PATH_MAX]) {
    char name[64];
    if (fd == AT_FDCWD)
        snprintf(name, sizeof name, "/proc/self/cwd");
    else
        snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
    long length = syscall(SYS_readlinkat, AT_FDCWD, name, path, PATH_MAX - 1);
    path[length > 0 ? length : 0] = 0;
}

static void absolute(int folder, const char *name, char path[PATH_MAX]) {
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
        return;
    }
    char start[PATH_MAX];
    link_target(folder, start);
    if (snprintf(path, PATH_MAX, "%s/%s", start, name) >= PATH_MAX) path[0] = 0;
}

static int find_area(const char *path) {
    for (int i = 0; i < shared->n_areas; i++)
        if (!fnmatch(shared->patterns[i], path, 0)) return i;
    return -1;
}

/* True when the call must fail; errno is set then. */
static int fails(struct call *call) {
    if (call->area < 0) return 0;
    long number = __atomic_add_fetch(&shared->n_calls[call->kind][call->area], 1,
                                     __ATOMIC_SEQ_CST);
    if (!shared->error || (int)call->kind != shared->kind || call->area != shared->area)
        return 0;
    if (number != shared->number && !(shared->is_sticky && number > shared->number))
        return 0;
    __atomic_add_fetch(&shared->n_failed, 1, __ATOMIC_SEQ_CST);
    errno = shared->error;
    return 1;
}

/* Look where a call goes; true when it must fail. */
static int enter_path(struct call *call, enum kind kind, int folder, const char *name) {
    int before = errno;
    call->kind = kind;
    call->area = -1;
    if (!shared || !shared->n_areas || !name || !*name) return 0;
    absolute(folder, name, call->path);
    call->area = find_area(call->path);
    errno = before;
    return fails(call);
}

static int enter_fd(struct call *call, enum kind kind, int fd) {
    int before = errno;
    call->kind = kind;
    call->area = -1;
    if (!shared || !shared->n_areas || fd < 0) return 0;
    link_target(fd, call->path);
    if (call->path[0] == '/') call->area = find_area(call->path);
    errno = before;
    return fails(call);
}

/* Count a change on disk, and do not come back from the one that is to be the last. */
static void change(const struct call *call) {
    if (call->area < 0) return;
    long number = __atomic_add_fetch(&shared->n_changes, 1, __ATOMIC_SEQ_CST);
    if (shared->cut && number >= shared->cut) {
        syscall(SYS_kill, 0, SIGKILL);
        for (;;) pause();
    }
}

/* ---- The journal ---- */

static unsigned long inode(const char *path, int fd) {
    struct stat found;
    int is_there = path ? !NEXT(lstat)(path, &found) : !NEXT(fstat)(fd, &found);
    return is_there ? found.st_ino : 0;
}

static void note(const struct call *call, unsigned long ino, const char *detail,
                 const char *other) {
    if (call->area < 0 || !shared->is_journal) return;
    int before = errno;
    char line[3 * PATH_MAX + 100];
    int length = snprintf(line, sizeof line, "%s\t%d\t%lu\t%s\t%s\t%s\n",
                          NAMES[call->kind], call->area, ino, call->path, detail, other);
    if (syscall(SYS_write, JOURNAL_FD, line, length) != length) abort();
    errno = before;
}

/* Keep a link to a file that goes; its path, or `-` when there is nothing to keep. */
static void keep(const struct call *call, const char *path, char kept[PATH_MAX]) {
    strcpy(kept, "-");
    if (call->area < 0 || !shared->is_journal) return;
    int before = errno;
    long number = __atomic_add_fetch(&shared->n_kept, 1, __ATOMIC_SEQ_CST);
    char name[PATH_MAX];
    snprintf(name, sizeof name, "%.4000s/%ld", shared->folder, number);
    if (!syscall(SYS_linkat, AT_FDCWD, path, AT_FDCWD, name, 0)) strcpy(kept, name);
    errno = before;
}

/* ---- open ---- */

static int opened(const struct call *call, int was_there, int flags, int fd) {
    if (fd < 0 || call->area < 0) return fd;
    const char *detail = was_there ? (flags & O_TRUNC ? "emptied" : "-") : "created";
    note(call, inode(NULL, fd), detail, "-");
    return fd;
}

#define OPEN_AT(folder, name, flags, next)                                                  \
    struct call call;                                                                       \
    if (enter_path(&call, OPEN, folder, name)) return -1;                                   \
    int was_there = call.area >= 0 && inode(call.path, -1);                                 \
    if ((flags) & (O_CREAT | O_TRUNC)) change(&call);                                       \
    return opened(&call, was_there, flags, next)

#define MODE(flags, last)                                                                   \
    mode_t mode = 0;                                                                        \
    if ((flags) & (O_CREAT | O_TMPFILE)) {                                                  \
        va_list rest;                                                                       \
        va_start(rest, last);                                                               \
        mode = va_arg(rest, mode_t);                                                        \
        va_end(rest);                                                                       \
    }

int open(const char *name, int flags, ...) {
    MODE(flags, flags)
    OPEN_AT(AT_FDCWD, name, flags, NEXT(open)(name, flags, mode));
}
int open64(const char *name, int flags, ...) {
    MODE(flags, flags)
    OPEN_AT(AT_FDCWD, name, flags, NEXT(open64)(name, flags, mode));
}
int openat(int folder, const char *name, int flags, ...) {
    MODE(flags, flags)
    OPEN_AT(folder, name, flags, NEXT(openat)(folder, name, flags, mode));
}
int openat64(int folder, const char *name, int flags, ...) {
    MODE(flags, flags)
    OPEN_AT(folder, name, flags, NEXT(openat64)(folder, name, flags, mode));
}
int creat(const char *name, mode_t mode) {
    return open(name, O_WRONLY | O_CREAT | O_TRUNC, mode);
}

static int stream_flags(const char *mode) {
    int flags = mode[0] == 'r' ? 0 : O_CREAT;
    return mode[0] == 'w' ? flags | O_TRUNC : flags;
}

#define OPEN_STREAM(function)                                                               \
    FILE *function(const char *name, const char *mode) {                                    \
        struct call call;                                                                   \
        if (enter_path(&call, OPEN, AT_FDCWD, name)) return NULL;                           \
        int flags = stream_flags(mode);                                                     \
        int was_there = call.area >= 0 && inode(call.path, -1);                             \
        if (flags) change(&call);                                                           \
        FILE *stream = NEXT(function)(name, mode);                                          \
        if (stream) opened(&call, was_there, flags, fileno(stream));                        \
        return stream;                                                                      \
    }
OPEN_STREAM(fopen)
OPEN_STREAM(fopen64)

/* ---- read and write ---- */

#define READS(type, function, fd, declared, given)                                          \
    type function declared {                                                                \
        struct call call;                                                                   \
        if (enter_fd(&call, READ, fd)) return -1;                                           \
        note(&call, 0, "-", "-");                                                           \
        return NEXT(function) given;                                                        \
    }
READS(ssize_t, read, fd, (int fd, void *to, size_t size), (fd, to, size))
READS(ssize_t, pread, fd, (int fd, void *to, size_t size, off_t at), (fd, to, size, at))
READS(ssize_t, pread64, fd, (int fd, void *to, size_t size, off64_t at), (fd, to, size, at))
READS(ssize_t, readv, fd, (int fd, const struct iovec *to, int n), (fd, to, n))

size_t fread(void *to, size_t size, size_t n, FILE *stream) {
    struct call call;
    if (enter_fd(&call, READ, fileno(stream))) return 0;
    note(&call, 0, "-", "-");
    return NEXT(fread)(to, size, n, stream);
}

static void note_write(const struct call *call, int fd, long at) {
    if (call->area < 0) return;
    char detail[32];
    if (at < 0) at = NEXT(lseek)(fd, 0, SEEK_CUR);
    snprintf(detail, sizeof detail, "%ld", at < 0 ? 0 : at);
    note(call, inode(NULL, fd), detail, "-");
}

/* Without an offset (-1) a write begins where the file stands. */
#define WRITES(type, function, fd, at, declared, given)                                     \
    type function declared {                                                                \
        struct call call;                                                                   \
        if (enter_fd(&call, WRITE, fd)) return -1;                                          \
        change(&call);                                                                      \
        note_write(&call, fd, at);                                                          \
        return NEXT(function) given;                                                        \
    }
WRITES(ssize_t, write, fd, -1, (int fd, const void *from, size_t size), (fd, from, size))
WRITES(ssize_t, pwrite, fd, at, (int fd, const void *from, size_t size, off_t at),
       (fd, from, size, at))
WRITES(ssize_t, pwrite64, fd, at, (int fd, const void *from, size_t size, off64_t at),
       (fd, from, size, at))
WRITES(ssize_t, writev, fd, -1, (int fd, const struct iovec *from, int n), (fd, from, n))
WRITES(ssize_t, sendfile, to, -1, (int to, int from, off_t *at, size_t size),
       (to, from, at, size))
WRITES(ssize_t, sendfile64, to, -1, (int to, int from, off64_t *at, size_t size),
       (to, from, at, size))
WRITES(int, ftruncate, fd, size, (int fd, off_t size), (fd, size))
WRITES(int, ftruncate64, fd, size, (int fd, off64_t size), (fd, size))

size_t fwrite(const void *from, size_t size, size_t n, FILE *stream) {
    struct call call;
    int fd = fileno(stream);
    if (enter_fd(&call, WRITE, fd)) return 0;
    change(&call);
    note_write(&call, fd, -1);
    return NEXT(fwrite)(from, size, n, stream);
}

#define SYNCS(function)                                                                     \
    int function(int fd) {                                                                  \
        struct call call;                                                                   \
        if (enter_fd(&call, FSYNC, fd)) return -1;                                          \
        change(&call);                                                                      \
        int failed = NEXT(function)(fd);                                                    \
        if (!failed) note(&call, inode(NULL, fd), "-", "-");                                \
        return failed;                                                                      \
    }
SYNCS(fsync)
SYNCS(fdatasync)

/* ---- names ---- */

static int rename_at(int from_folder, const char *from, int to_folder, const char *to,
                     unsigned flags) {
    struct call call;
    char goal[PATH_MAX], kept[PATH_MAX];
    if (enter_path(&call, RENAME, from_folder, from)) return -1;
    change(&call);
    absolute(to_folder, to, goal);
    keep(&call, goal, kept);
    int failed = syscall(SYS_renameat2, from_folder, from, to_folder, to, flags);
    if (!failed) note(&call, inode(goal, -1), goal, kept);
    return failed;
}
int rename(const char *from, const char *to) {
    return rename_at(AT_FDCWD, from, AT_FDCWD, to, 0);
}
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return rename_at(from_folder, from, to_folder, to, 0);
}
int renameat2(int from_folder, const char *from, int to_folder, const char *to,
              unsigned flags) {
    return rename_at(from_folder, from, to_folder, to, flags);
}

static int unlink_at(int folder, const char *name, int flags) {
    struct call call;
    char kept[PATH_MAX];
    if (enter_path(&call, UNLINK, folder, name)) return -1;
    int is_there = call.area >= 0 && inode(call.path, -1);
    if (is_there) change(&call);
    keep(&call, call.path, kept);
    int failed = syscall(SYS_unlinkat, folder, name, flags);
    if (!failed) note(&call, 0, kept, "-");
    return failed;
}
int unlink(const char *name) { return unlink_at(AT_FDCWD, name, 0); }
int rmdir(const char *name) { return unlink_at(AT_FDCWD, name, AT_REMOVEDIR); }
int unlinkat(int folder, const char *name, int flags) {
    return unlink_at(folder, name, flags);
}

static int mkdir_at(int folder, const char *name, mode_t mode) {
    struct call call;
    if (enter_path(&call, MKDIR, folder, name)) return -1;
    if (call.area >= 0 && !inode(call.path, -1)) change(&call);
    int failed = syscall(SYS_mkdirat, folder, name, mode);
    if (!failed) note(&call, 0, "-", "-");
    return failed;
}
int mkdir(const char *name, mode_t mode) { return mkdir_at(AT_FDCWD, name, mode); }
int mkdirat(int folder, const char *name, mode_t mode) {
    return mkdir_at(folder, name, mode);
}

/* ---- stat and folders ---- */

#define LOOKS(kind, function, at, name, declared, given)                                    \
    int function declared {                                                                 \
        struct call call;                                                                   \
        if (enter_path(&call, kind, at, name)) return -1;                                   \
        note(&call, 0, "-", "-");                                                           \
        return NEXT(function) given;                                                        \
    }
LOOKS(STAT, stat, AT_FDCWD, name, (const char *name, struct stat *to), (name, to))
LOOKS(STAT, lstat, AT_FDCWD, name, (const char *name, struct stat *to), (name, to))
LOOKS(STAT, stat64, AT_FDCWD, name, (const char *name, struct stat64 *to), (name, to))
LOOKS(STAT, lstat64, AT_FDCWD, name, (const char *name, struct stat64 *to), (name, to))
LOOKS(STAT, fstatat, at, name, (int at, const char *name, struct stat *to, int flags),
      (at, name, to, flags))
LOOKS(STAT, fstatat64, at, name, (int at, const char *name, struct stat64 *to, int flags),
      (at, name, to, flags))
LOOKS(STAT, statx, at, name,
      (int at, const char *name, int flags, unsigned mask, struct statx *to),
      (at, name, flags, mask, to))
LOOKS(STAT, access, AT_FDCWD, name, (const char *name, int mode), (name, mode))

#define LOOKS_FD(function, type)                                                            \
    int function(int fd, type *to) {                                                        \
        struct call call;                                                                   \
        if (enter_fd(&call, STAT, fd)) return -1;                                           \
        note(&call, 0, "-", "-");                                                           \
        return NEXT(function)(fd, to);                                                      \
    }
LOOKS_FD(fstat, struct stat)
LOOKS_FD(fstat64, struct stat64)

/* Programs that were built for an older C library call these. */
int __xstat(int version, const char *name, struct stat *to) {
    (void)version;
    return stat(name, to);
}
int __lxstat(int version, const char *name, struct stat *to) {
    (void)version;
    return lstat(name, to);
}
int __fxstat(int version, int fd, struct stat *to) {
    (void)version;
    return fstat(fd, to);
}
int __xstat64(int version, const char *name, struct stat64 *to) {
    (void)version;
    return stat64(name, to);
}
int __lxstat64(int version, const char *name, struct stat64 *to) {
    (void)version;
    return lstat64(name, to);
}
int __fxstat64(int version, int fd, struct stat64 *to) {
    (void)version;
    return fstat64(fd, to);
}

DIR *opendir(const char *name) {
    struct call call;
    if (enter_path(&call, LIST, AT_FDCWD, name)) return NULL;
    note(&call, 0, "-", "-");
    return NEXT(opendir)(name);
}
DIR *fdopendir(int fd) {
    struct call call;
    if (enter_fd(&call, LIST, fd)) return NULL;
    note(&call, 0, "-", "-");
    return NEXT(fdopendir)(fd);
}
