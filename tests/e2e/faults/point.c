/* A fault at one chosen system call of a daemon. Loaded with LD_PRELOAD, it counts the calls that change what is on disk
 * below FAULT_DIR (an absolute path, or several joined by ':'), over all threads, and at the chosen one either stops the
 * process from changing the disk any further, so that the power can be cut right there, or makes the call fail.
 *
 * FAULT_CONTROL names a file that both sides map: struct control below. The test writes `at`, `what` and `classes` and
 * arms it with `mode`; `count`, `hit` and `where` come back. pair.py holds the same layout.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum mode { OFF, COUNT, FREEZE, FAIL_ONCE, FAIL_FROM, SHORT_ONCE };
enum class { WRITES = 1, FLUSHES = 2, NAMES = 4 };
enum verdict { GO, FAIL, CUT_SHORT };

struct control {
    _Atomic uint32_t mode;
    _Atomic uint32_t at;      /* the number of the call, from 1 */
    _Atomic uint32_t what;    /* errno of a call that is to fail */
    _Atomic uint32_t classes; /* which calls count */
    _Atomic uint32_t count;   /* calls so far */
    _Atomic uint32_t hit;     /* 1 once the chosen call has come */
    _Atomic uint32_t failed;  /* calls that were made to fail */
    _Atomic uint32_t retried; /* flushes of a file whose flush has failed */
    _Atomic uint32_t lies;    /* flushes say that they are done, and do nothing */
    char where[220];          /* what the chosen call was: its name, and the file */
};

#define FILES 65536
static struct control *control;
static const char *below;
static char *names[FILES]; /* path of each open file below FAULT_DIR */

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

__attribute__((constructor)) static void begin(void) {
    const char *path = getenv("FAULT_CONTROL");
    below = getenv("FAULT_DIR");
    if (!path || !below) return;
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
    if (fd < 0) return;
    void *at = mmap(NULL, sizeof(struct control), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    syscall(SYS_close, fd);
    if (at != MAP_FAILED) control = at;
}

static int watched(const char *path) {
    for (const char *at = below; at && path; at = strchr(at, ':')) {
        at += *at == ':';
        size_t length = strcspn(at, ":");
        if (strncmp(path, at, length) == 0) return 1;
    }
    return 0;
}

/* A flush of the file whose flush was made to fail. */
static int retries(enum class class, const char *path) {
    const char *file = strchr(control->where, ' ');
    return class == FLUSHES && atomic_load(&control->failed) > 0 && strstr(control->where, "sync ") && file &&
           strncmp(file + 1, path, sizeof control->where - 16) == 0;
}

static enum verdict point(enum class class, const char *call, const char *path) {
    if (!control || !path) return GO;
    uint32_t mode = atomic_load(&control->mode);
    if (mode == OFF || !(atomic_load(&control->classes) & class)) return GO;
    /* The SQLite index beside the ledger is made anew after every crash: what becomes of it is of no account. */
    size_t length = strlen(path);
    if (length > 4 && strcmp(path + length - 4, "-shm") == 0) return GO;
    if (retries(class, path)) atomic_fetch_add(&control->retried, 1);
    uint32_t number = atomic_fetch_add(&control->count, 1) + 1;
    uint32_t at = atomic_load(&control->at);
    if (mode == COUNT || number < at) return GO;
    if (number == at) {
        snprintf(control->where, sizeof control->where, "%s %s", call, path);
        atomic_store(&control->hit, 1);
    }
    switch ((enum mode)mode) {
    case OFF:
    case COUNT: return GO;
    case FREEZE: {
        /* Disarmed meanwhile: whoever did that may have seen no hit. */
        if (atomic_load(&control->mode) != FREEZE) {
            atomic_store(&control->hit, 0);
            return GO;
        }
        /* Nobody wakes it: the process ends by SIGKILL. */
        static uint32_t never;
        for (;;) syscall(SYS_futex, &never, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0);
    }
    case FAIL_ONCE:
        if (number != at) return GO;
        break;
    case FAIL_FROM: break;
    case SHORT_ONCE: return number == at ? CUT_SHORT : GO;
    }
    atomic_fetch_add(&control->failed, 1);
    errno = (int)atomic_load(&control->what);
    return FAIL;
}

/* Overwriting and shortening take no space: no disk is too full for them. */
static int takes_none(int fd, off64_t end) {
    struct stat about;
    return control && atomic_load(&control->what) == ENOSPC && fstat(fd, &about) == 0 && end <= about.st_size;
}

static const char *name_of(int fd) {
    return fd >= 0 && fd < FILES ? names[fd] : NULL;
}

static int opened(int fd, const char *path) {
    if (fd >= 0 && fd < FILES && control && watched(path)) names[fd] = strdup(path);
    return fd;
}

/* Opening a file that is there changes nothing; making one does. */
static int refused(const char *path, int flags) {
    struct stat about;
    return (flags & O_CREAT) && control && watched(path) && lstat(path, &about) != 0 && point(NAMES, "create", path) == FAIL;
}

#define OPEN(name)                                                   \
    int name(const char *path, int flags, ...) {                     \
        mode_t mode = 0;                                             \
        va_list rest;                                                \
        va_start(rest, flags);                                       \
        if (flags & (O_CREAT | O_TMPFILE)) mode = va_arg(rest, mode_t); \
        va_end(rest);                                                \
        if (refused(path, flags)) return -1;                         \
        return opened(REAL(name)(path, flags, mode), path);          \
    }
OPEN(open)
OPEN(open64)

int close(int fd) {
    if (fd >= 0 && fd < FILES && names[fd]) {
        char *name = names[fd];
        names[fd] = NULL;
        free(name);
    }
    return REAL(close)(fd);
}

ssize_t write(int fd, const void *bytes, size_t count) {
    enum verdict verdict = point(WRITES, "write", name_of(fd));
    if (verdict == FAIL) return -1;
    return REAL(write)(fd, bytes, verdict == CUT_SHORT ? (count + 1) / 2 : count);
}

ssize_t writev(int fd, const struct iovec *parts, int count) {
    return point(WRITES, "writev", name_of(fd)) == FAIL ? -1 : REAL(writev)(fd, parts, count);
}

ssize_t pwrite64(int fd, const void *bytes, size_t count, off64_t at) {
    const char *name = name_of(fd);
    if (name && takes_none(fd, at + (off64_t)count)) name = NULL;
    enum verdict verdict = point(WRITES, "pwrite", name);
    if (verdict == FAIL) return -1;
    return REAL(pwrite64)(fd, bytes, verdict == CUT_SHORT ? (count + 1) / 2 : count, at);
}

int ftruncate64(int fd, off64_t length) {
    const char *name = name_of(fd);
    if (name && takes_none(fd, length)) name = NULL;
    return point(WRITES, "ftruncate", name) == FAIL ? -1 : REAL(ftruncate64)(fd, length);
}

int fsync(int fd) {
    if (point(FLUSHES, "fsync", name_of(fd)) == FAIL) return -1;
    return control && atomic_load(&control->lies) ? 0 : REAL(fsync)(fd);
}

int fdatasync(int fd) {
    if (point(FLUSHES, "fdatasync", name_of(fd)) == FAIL) return -1;
    return control && atomic_load(&control->lies) ? 0 : REAL(fdatasync)(fd);
}

int rename(const char *from, const char *to) {
    return control && watched(from) && point(NAMES, "rename", from) == FAIL ? -1 : REAL(rename)(from, to);
}

int unlink(const char *path) {
    struct stat about;
    int counts = control && watched(path) && lstat(path, &about) == 0;
    return counts && point(NAMES, "unlink", path) == FAIL ? -1 : REAL(unlink)(path);
}

int mkdir(const char *path, mode_t mode) {
    return control && watched(path) && point(NAMES, "mkdir", path) == FAIL ? -1 : REAL(mkdir)(path, mode);
}
