#include "src/system/owned_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "src/system/directory.hpp"

namespace memolock {
namespace {

constexpr uint64_t block_size = 512;  // the unit of st_blocks

Nanoseconds time_of(const timespec& time) {
  return std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

}  // namespace

OwnedFile OwnedFile::duplicate() const {
  return {Descriptor(fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 3)), size, disk_size, last_used};
}

OwnedFile owned_file(Descriptor file, const struct stat& info) {
  const auto size = static_cast<uint64_t>(info.st_size);
  // Some file systems store a small file without any block.
  const auto disk_size = std::max(size, static_cast<uint64_t>(info.st_blocks) * block_size);
  return {std::move(file), size, disk_size, std::max(time_of(info.st_atim), time_of(info.st_mtim))};
}

OwnedFile open_owned_file(int directory, const std::string& name, int flags) {
  // The access time records when an entry was last replayed, so opening must not change it.
  constexpr int always = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_NOATIME;
  Descriptor file(openat(directory, name.c_str(), flags | always));
  struct stat info {};
  if (!file || fstat(file.get(), &info) != 0) return {};
  if (!S_ISREG(info.st_mode) || info.st_uid != user_at_start()) {
    errno = EPERM;
    return {};
  }
  return owned_file(std::move(file), info);
}

bool is_same_file(const struct stat& a, const struct stat& b) noexcept {
  return a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

bool is_same_file(int a, int b) noexcept {
  struct stat of_a {};
  struct stat of_b {};
  return fstat(a, &of_a) == 0 && fstat(b, &of_b) == 0 && is_same_file(of_a, of_b);
}

bool is_same_file(int directory, const std::string& name, int file) noexcept {
  struct stat open_file {};
  struct stat named {};
  return fstat(file, &open_file) == 0 &&
         fstatat(directory, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         is_same_file(open_file, named);
}

void remove_if_same_file(int directory, const std::string& name, int file) noexcept {
  if (is_same_file(directory, name, file)) unlinkat(directory, name.c_str(), 0);
}

}  // namespace memolock
