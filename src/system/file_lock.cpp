#include "src/system/file_lock.hpp"

#include <fcntl.h>

#include <cerrno>

namespace memolock {

namespace {

struct Range {
  off_t begin;
  off_t length;
};

// The bytes that stand for the lock and the reservation. The file need not be that long.
constexpr Range lock_byte{0, 1};
constexpr Range reserve_byte{1, 1};
constexpr Range both{0, 2};

struct flock lock_of(short type, Range range) {
  struct flock lock {};
  lock.l_type = type;
  lock.l_whence = SEEK_SET;
  lock.l_start = range.begin;
  lock.l_len = range.length;
  return lock;
}

int set_write_lock(int file, int command, Range range) {
  struct flock lock = lock_of(F_WRLCK, range);
  while (fcntl(file, command, &lock) != 0)
    if (errno != EINTR) return errno;
  return 0;
}

}  // namespace

int try_lock_file(int file) { return set_write_lock(file, F_OFD_SETLK, both); }

int lock_file(int file) { return set_write_lock(file, F_OFD_SETLKW, both); }

int try_reserve_file(int file) { return set_write_lock(file, F_OFD_SETLK, reserve_byte); }

bool is_file_locked(int file) {
  struct flock lock = lock_of(F_RDLCK, lock_byte);
  return fcntl(file, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

}  // namespace memolock
