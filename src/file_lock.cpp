#include "src/file_lock.hpp"

#include <fcntl.h>

#include <cerrno>

namespace memolock {

namespace {

int set_lock(int file, int command, short type) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  while (fcntl(file, command, &lock) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

}  // namespace

int try_lock_file(int file) { return set_lock(file, F_OFD_SETLK, F_WRLCK); }

int lock_file(int file) { return set_lock(file, F_OFD_SETLKW, F_WRLCK); }

int try_bar_file(int file) { return set_lock(file, F_OFD_SETLK, F_RDLCK); }

bool is_file_locked(int file) {
  struct flock lock {};
  lock.l_type = F_RDLCK;
  lock.l_whence = SEEK_SET;
  return fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace memolock
