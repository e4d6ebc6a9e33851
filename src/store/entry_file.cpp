#include "src/store/entry_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "src/store/file_names.hpp"
#include "src/system/directory.hpp"

namespace memolock {
namespace {

// A small entry is read with one call, and its bytes are written from memory.
constexpr uint64_t front_size = 8U << 10;

constexpr uint64_t block = 512;  // of st_blocks

// Noted more exactly it would cost each hit a system call.
constexpr std::chrono::hours exactness{1};

Nanoseconds time_of(const timespec& time) {
  return std::chrono::seconds(time.tv_sec) + Nanoseconds(time.tv_nsec);
}

/// The first `size` bytes; fewer when the file cannot be read that far.
std::string read_front(int file, uint64_t size) {
  std::string front(size, '\0');
  const ssize_t got = read_all_at(file, front.data(), front.size(), 0);
  front.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return front;
}

/// Hands `size` bytes from `offset` on to `take`, piece by piece. False: they cannot be read, or
/// `take` refuses.
template <typename Take>
bool read_pieces(int file, uint64_t offset, uint64_t size, const Take& take) {
  constexpr uint64_t step = 256U << 10;
  const auto buffer = std::make_unique_for_overwrite<char[]>(step);
  while (size > 0) {
    const ssize_t got = read_all_at(file, buffer.get(), std::min(step, size), offset);
    if (got <= 0 || !take(std::string_view(buffer.get(), static_cast<size_t>(got)))) return false;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<uint64_t>(got);
  }
  return true;
}

}  // namespace

OwnedFile OwnedFile::duplicate() const {
  return {Descriptor(fcntl(descriptor.get(), F_DUPFD_CLOEXEC, 3)), size, disk_size, last_used};
}

OwnedFile open_owned(int folder, const std::string& name, int flags) {
  // The access time says when an entry was last replayed, and nothing but that sets it.
  constexpr int always = O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_NOATIME;
  Descriptor file(openat(folder, name.c_str(), flags | always));
  struct stat info {};
  if (!file || fstat(file.get(), &info) != 0) return {};
  if (!S_ISREG(info.st_mode) || info.st_uid != own_user()) {
    errno = EPERM;
    return {};
  }
  return owned_file(std::move(file), info);
}

OwnedFile owned_file(Descriptor file, const struct stat& info) {
  const auto size = static_cast<uint64_t>(info.st_size);
  // Some file systems keep a small file outside of any block.
  const auto disk_size = std::max(size, static_cast<uint64_t>(info.st_blocks) * block);
  return {std::move(file), size, disk_size, std::max(time_of(info.st_atim), time_of(info.st_mtim))};
}

bool is_same_file(int folder, const std::string& name, int file) {
  struct stat mine {};
  struct stat named {};
  return fstat(file, &mine) == 0 &&
         fstatat(folder, name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
         mine.st_ino == named.st_ino && mine.st_dev == named.st_dev;
}

void remove_if_same(int folder, const std::string& name, int file) {
  if (is_same_file(folder, name, file)) unlinkat(folder, name.c_str(), 0);
}

bool has_forgotten_mark(int file) {
  char mark = 0;
  return read_all_at(file, &mark, 1, forgotten_offset) == 1 && mark != 0;
}

std::unique_ptr<EntryFile> EntryFile::open(OwnedFile file) {
  std::string front = read_front(file.get(), std::min(file.size, front_size));
  const auto payload = payload_offset(front);
  if (!payload || *payload > file.size) return nullptr;
  if (*payload > front.size()) front = read_front(file.get(), *payload);
  auto record = decode(front);
  if (!record) return nullptr;
  return std::unique_ptr<EntryFile>(
      new EntryFile(std::move(file), std::move(front), *payload, std::move(*record)));
}

bool EntryFile::is_one(int file) { return has_magic(read_front(file, fixed_part_size)); }

EntryFile::EntryFile(OwnedFile file, std::string front, uint64_t payload, Record record)
    : file_(std::move(file)),
      front_(std::move(front)),
      payload_(payload),
      record_(std::move(record)) {}

bool EntryFile::is_intact() {
  if (payload_size() != record_.out_size + record_.err_size + record_.files_size) return false;
  return hash_of(payload_, record_.out_size) == record_.out_hash &&
         hash_of(payload_ + record_.out_size, record_.err_size) == record_.err_hash;
}

std::optional<FileRange> EntryFile::files() {
  const uint64_t offset = payload_ + record_.out_size + record_.err_size;
  if (record_.files_size == 0 || hash_of(offset, record_.files_size) != record_.files_hash)
    return std::nullopt;
  return FileRange{file_.get(), offset, record_.files_size};
}

int EntryFile::write(Stream stream, int to) noexcept {
  if (stream == Stream::err) return copy(payload_ + record_.out_size, record_.err_size, to);
  note_use();
  return copy(payload_, record_.out_size, to);
}

/// For `gc`, which drops what was least recently used. Mounts may not keep access times themselves.
void EntryFile::note_use() const noexcept {
  const Nanoseconds now = wall_now();
  if (!is_older(file_.last_used, exactness, now)) return;
  if (is_in_future(file_.last_used, now)) return (void)futimens(file_.get(), nullptr);
  constexpr std::array<timespec, 2> accessed_now{{{0, UTIME_NOW}, {0, UTIME_OMIT}}};
  (void)futimens(file_.get(), accessed_now.data());
}

bool EntryFile::pour_into(Spool& spool) const {
  return pour(payload_, record_.out_size, spool, Stream::out) &&
         pour(payload_ + record_.out_size, record_.err_size, spool, Stream::err);
}

bool EntryFile::pour(uint64_t offset, uint64_t size, Spool& spool, Stream stream) const {
  return read_pieces(file_.get(), offset, size,
                     [&](std::string_view piece) { return spool.append(stream, piece); });
}

std::optional<std::string_view> EntryFile::at_hand(uint64_t offset, uint64_t size) const noexcept {
  if (offset + size > front_.size()) return std::nullopt;
  return std::string_view(front_.data() + offset, size);
}

std::optional<uint64_t> EntryFile::hash_of(uint64_t offset, uint64_t size) const {
  if (const auto bytes = at_hand(offset, size)) return checksum(*bytes);
  Checksum sum;
  const bool whole = read_pieces(file_.get(), offset, size, [&](std::string_view piece) {
    sum.add(piece);
    return true;
  });
  if (!whole) return std::nullopt;
  return sum.value();
}

int EntryFile::copy(uint64_t offset, uint64_t size, int to) const noexcept {
  if (size == 0) return 0;
  if (const auto bytes = at_hand(offset, size)) return write_all(to, *bytes);
  return copy_range(file_.get(), offset, size, to);
}

std::optional<Disposition> disposition_in(FileKind kind) {
  switch (kind) {
    case FileKind::entry:
      return Disposition::kept;
    case FileKind::failed:
      return Disposition::failed;
    case FileKind::mark:
      return Disposition::marked;
    case FileKind::run:
      return Disposition::running;
    default:
      return std::nullopt;
  }
}

}  // namespace memolock
