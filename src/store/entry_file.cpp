#include "src/store/entry_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <utility>

#include "src/system/descriptor.hpp"

namespace memolock {
namespace {

// A small entry is read with one system call and written from memory.
constexpr uint64_t front_size = 8U << 10;

// A finer resolution would cost every hit a system call.
constexpr std::chrono::hours use_resolution{1};

/// The first `size` bytes; fewer if the file cannot be read that far.
std::string read_front(int file, uint64_t size) {
  std::string front(size, '\0');
  const ssize_t got = read_all_at(file, front.data(), front.size(), 0);
  front.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return front;
}

/// Calls `each` with `size` bytes from `offset` on, piece by piece. Returns false if they cannot be
/// read, or `each` has returned false.
template <typename Each>
bool read_pieces(int file, uint64_t offset, uint64_t size, const Each& each) {
  constexpr uint64_t step = 256U << 10;
  const auto buffer = std::make_unique_for_overwrite<char[]>(step);
  while (size > 0) {
    const ssize_t got = read_all_at(file, buffer.get(), std::min(step, size), offset);
    if (got <= 0 || !each(std::string_view(buffer.get(), static_cast<size_t>(got)))) return false;
    offset += static_cast<uint64_t>(got);
    size -= static_cast<uint64_t>(got);
  }
  return true;
}

}  // namespace

bool has_forgotten_mark(int file) {
  char mark = 0;
  return read_all_at(file, &mark, 1, forgotten_offset) == 1 && mark != 0;
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

std::unique_ptr<EntryFile> EntryFile::open_at(int directory, const std::string& name) {
  OwnedFile file = open_owned_file(directory, name, O_RDONLY);
  return file ? open(std::move(file)) : nullptr;
}

bool EntryFile::is_memolock_file(int file) { return has_magic(read_front(file, fixed_part_size)); }

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

/// Sets the access time for `gc`, which removes the least recently used entries. The kernel may not
/// update access times itself (noatime, relatime).
void EntryFile::note_use() const noexcept {
  const Nanoseconds now = wall_now();
  if (!is_older(file_.last_used, use_resolution, now)) return;
  if (is_in_future(file_.last_used, now)) return (void)futimens(file_.get(), nullptr);
  constexpr std::array<timespec, 2> accessed_now{{{0, UTIME_NOW}, {0, UTIME_OMIT}}};
  (void)futimens(file_.get(), accessed_now.data());
}

bool EntryFile::copy_to(Spool& spool) const {
  return append_to(spool, Stream::out, payload_, record_.out_size) &&
         append_to(spool, Stream::err, payload_ + record_.out_size, record_.err_size);
}

bool EntryFile::append_to(Spool& spool, Stream stream, uint64_t offset, uint64_t size) const {
  return read_pieces(file_.get(), offset, size,
                     [&](std::string_view piece) { return spool.append(stream, piece); });
}

std::optional<std::string_view> EntryFile::in_memory(uint64_t offset,
                                                     uint64_t size) const noexcept {
  if (offset + size > front_.size()) return std::nullopt;
  return std::string_view(front_.data() + offset, size);
}

std::optional<uint64_t> EntryFile::hash_of(uint64_t offset, uint64_t size) const {
  if (const auto bytes = in_memory(offset, size)) return checksum(*bytes);
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
  if (const auto bytes = in_memory(offset, size)) return write_all(to, *bytes);
  return copy_range(file_.get(), offset, size, to);
}

}  // namespace memolock
