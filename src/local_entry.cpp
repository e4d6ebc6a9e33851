#include "src/local_entry.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace memolock {
namespace {

// A small entry is read with one call, and its bytes are written from memory.
constexpr uint64_t front_size = 8U << 10;

/// The first `size` bytes; fewer when the file cannot be read that far.
std::string read_front(int file, uint64_t size) {
  std::string front(size, '\0');
  const ssize_t got = read_all_at(file, front.data(), front.size(), 0);
  front.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return front;
}

}  // namespace

OwnFile open_own(int folder, const std::string& name, int flags) {
  constexpr int always = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  Descriptor file(openat(folder, name.c_str(), flags | always));
  struct stat info {};
  if (!file || fstat(file.get(), &info) != 0) return {};
  if (!S_ISREG(info.st_mode) || info.st_uid != geteuid()) {
    errno = EPERM;
    return {};
  }
  return {std::move(file), static_cast<uint64_t>(info.st_size)};
}

bool has_forgotten_mark(int file) {
  char mark = 0;
  return read_all_at(file, &mark, 1, forgotten_offset) == 1 && mark != 0;
}

std::unique_ptr<LocalEntry> LocalEntry::open(OwnFile file) {
  std::string front = read_front(file.get(), std::min(file.size, front_size));
  const auto payload = payload_offset(front);
  if (!payload || *payload > file.size) return nullptr;
  if (*payload > front.size()) front = read_front(file.get(), *payload);
  auto record = decode(front);
  if (!record) return nullptr;
  return std::unique_ptr<LocalEntry>(
      new LocalEntry(std::move(file), std::move(front), *payload, std::move(*record)));
}

bool LocalEntry::is_one(int file) { return has_magic(read_front(file, fixed_part_size)); }

LocalEntry::LocalEntry(OwnFile file, std::string front, uint64_t payload, Record record)
    : file_(std::move(file)),
      front_(std::move(front)),
      payload_(payload),
      record_(std::move(record)) {}

bool LocalEntry::intact() {
  if (payload_size() != record_.out_size + record_.err_size) return false;
  return hash_of(payload_, record_.out_size) == record_.out_hash &&
         hash_of(payload_ + record_.out_size, record_.err_size) == record_.err_hash;
}

int LocalEntry::replay(int out, int err) {
  const int error = copy(payload_, record_.out_size, out);
  const int other = copy(payload_ + record_.out_size, record_.err_size, err);
  if (error != 0 && !reader_has_left(error)) return error;
  return reader_has_left(other) ? 0 : other;
}

std::optional<std::string_view> LocalEntry::at_hand(uint64_t offset, uint64_t size) const {
  if (offset + size > front_.size()) return std::nullopt;
  return std::string_view(front_).substr(offset, size);
}

std::optional<uint64_t> LocalEntry::hash_of(uint64_t offset, uint64_t size) const {
  if (const auto bytes = at_hand(offset, size)) return checksum(*bytes);
  constexpr uint64_t step = 256U << 10;
  const auto buffer = std::make_unique_for_overwrite<char[]>(step);
  Checksum sum;
  while (size > 0) {
    const ssize_t got = read_all_at(file_.get(), buffer.get(), std::min(step, size), offset);
    if (got <= 0) return std::nullopt;
    sum.add({buffer.get(), static_cast<size_t>(got)});
    offset += static_cast<uint64_t>(got);
    size -= static_cast<uint64_t>(got);
  }
  return sum.value();
}

int LocalEntry::copy(uint64_t offset, uint64_t size, int to) const {
  if (size == 0) return 0;
  if (const auto bytes = at_hand(offset, size)) return write_all(to, *bytes);
  return copy_range(file_.get(), offset, size, to);
}

}  // namespace memolock
