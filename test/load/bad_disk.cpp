// Preloaded into a server, lets the disk fail or be slow under the instance's
// own record, and nowhere else. What fails is read from the file that the
// environment variable IDGEN_BAD_DISK names, at each call, a word a line:
//
//   full        nothing can be written                      (ENOSPC)
//   read-only   nothing can be made, renamed or removed     (EROFS)
//   fsync       fsync of the file fails                     (EIO)
//   rename      rename fails                                (EIO)
//   directory   fsync of the directory fails: after the rename (EIO)
//   slow        fsync of the file takes 0.7 s
//
// And two that are no faults of the disk:
//
//   adjtime     the state of the kernel's clock can't be read (EPERM), as by a filter of
//               system calls
//   select      select() of the postmaster (up to PostgreSQL 15) does not begin as long as
//               the file says so; signals are handled before it; the file gets ".held"
//               beside it meanwhile

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/select.h>
#include <sys/timex.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>

namespace {

// Raw system calls for the control file: our own wrappers must not see it.
bool told(const char *word) {
  const char *path = std::getenv("IDGEN_BAD_DISK");
  std::FILE *file = path == nullptr ? nullptr : std::fopen(path, "re");
  if (file == nullptr) return false;
  char line[32];
  bool found = false;
  while (!found && std::fgets(line, sizeof(line), file) != nullptr) {
    line[std::strcspn(line, "\n")] = '\0';
    found = std::strcmp(line, word) == 0;
  }
  std::fclose(file);
  return found;
}

bool ends_with(const char *text, const char *end) {
  const std::size_t length = std::strlen(text);
  const std::size_t wanted = std::strlen(end);
  return length >= wanted && std::strcmp(text + length - wanted, end) == 0;
}

bool is_record(const char *path) {
  return ends_with(path, "idgen/record") || ends_with(path, "idgen/record.new");
}

bool path_of(int fd, char *path, std::size_t size) {
  char link[64];
  std::snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, path, size - 1);
  path[length > 0 ? length : 0] = '\0';
  return length > 0;
}

template <typename Function>
Function *next(const char *name) {
  return reinterpret_cast<Function *>(dlsym(RTLD_NEXT, name));
}

int fail(int error) {
  errno = error;
  return -1;
}

}  // namespace

extern "C" {

int fsync(int fd) {
  char path[4096];
  if (path_of(fd, path, sizeof(path))) {
    if (is_record(path)) {
      if (told("slow")) usleep(700000);
      if (told("fsync")) return fail(EIO);
    } else if (ends_with(path, "/idgen") && told("directory")) {
      return fail(EIO);
    }
  }
  return next<int(int)>("fsync")(fd);
}

ssize_t write(int fd, const void *data, size_t size) {
  char path[4096];
  if (path_of(fd, path, sizeof(path)) && is_record(path) && told("full")) return fail(ENOSPC);
  return next<ssize_t(int, const void *, size_t)>("write")(fd, data, size);
}

int rename(const char *from, const char *to) {
  if (is_record(to) && told("rename")) return fail(EIO);
  if (is_record(to) && told("read-only")) return fail(EROFS);
  return next<int(const char *, const char *)>("rename")(from, to);
}

int unlink(const char *path) {
  if (is_record(path) && told("read-only")) return fail(EROFS);
  return next<int(const char *)>("unlink")(path);
}

int open(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const int mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
  va_end(arguments);
  if ((flags & O_CREAT) != 0 && is_record(path) && told("read-only")) return fail(EROFS);
  return next<int(const char *, int, ...)>("open")(path, flags, mode);
}

int open64(const char *path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const int mode = (flags & O_CREAT) != 0 ? va_arg(arguments, int) : 0;
  va_end(arguments);
  return open(path, flags, mode);
}

int ntp_adjtime(timex *clock) {
  if (told("adjtime")) return fail(EPERM);
  return next<int(timex *)>("ntp_adjtime")(clock);
}

int select(int count, fd_set *reads, fd_set *writes, fd_set *errors, timeval *timeout) {
  // The postmaster waits for connections and nothing else.
  if (reads != nullptr && writes == nullptr && told("select")) {
    char held[4096];
    std::snprintf(held, sizeof(held), "%s.held", std::getenv("IDGEN_BAD_DISK"));
    std::fclose(std::fopen(held, "we"));
    while (told("select")) usleep(10000);
    std::remove(held);
  }
  return next<int(int, fd_set *, fd_set *, fd_set *, timeval *)>("select")(count, reads, writes,
                                                                           errors, timeout);
}

}  // extern "C"
