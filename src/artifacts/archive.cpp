#include "src/artifacts/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <sys/stat.h>

#include <algorithm>
#include <new>
#include <utility>

#include <fmt/format.h>

#include "src/system/descriptor.hpp"
#include "src/system/error.hpp"
#include "src/system/text.hpp"

namespace memolock {
namespace {

constexpr size_t piece_size = 256U << 10;
constexpr size_t most_members = 250'000;
constexpr size_t most_depth = 64;

mode_t type_of(MemberKind kind) {
  if (kind == MemberKind::file) return S_IFREG;
  return kind == MemberKind::directory ? S_IFDIR : S_IFLNK;
}

std::string text_or_nothing(const char* text) { return text == nullptr ? "" : text; }

/// The depth of a member: the number of directories above it, plus one if it is a directory.
size_t depth_of(const Member& member) {
  const bool marked = member.name.ends_with('/');  // how tar marks a directory
  const auto slashes = std::count(member.name.begin(), member.name.end(), '/') - (marked ? 1 : 0);
  return static_cast<size_t>(slashes) + (member.kind == MemberKind::directory ? 1 : 0);
}

RefusedArchive damaged(std::string_view what) {
  return RefusedArchive(fmt::format("the stored artifacts are damaged: {}", escape_controls(what)));
}

}  // namespace

void UnpackedSize::add(const Member& member) {
  constexpr uint64_t header = 512;
  const uint64_t more = header + member.name.size() + member.target.size();
  const bool fits = member.size < UINT64_MAX - more && bytes_ < UINT64_MAX - more - member.size;
  bytes_ = fits ? bytes_ + more + member.size : UINT64_MAX;
  ++members_;
  depth_ = std::max(depth_, depth_of(member));
}

std::string UnpackedSize::excess() const {
  if (members_ > most_members) return fmt::format("more than {} files", most_members);
  if (depth_ > most_depth) return fmt::format("directories more than {} deep", most_depth);
  return "";
}

// ---- writing ----

ArchiveWriter::ArchiveWriter(Sink sink)
    : sink_(std::move(sink)), archive_(archive_write_new()), entry_(archive_entry_new()) {
  if (archive_ == nullptr || entry_ == nullptr) throw std::bad_alloc();
  // This format accepts names of any bytes and any length; pax requires UTF-8.
  archive_write_set_format_gnutar(archive_);
  archive_write_add_filter_zstd(archive_);
  archive_write_set_filter_option(archive_, "zstd", "compression-level", "1");
  archive_write_set_bytes_per_block(archive_, piece_size);
  archive_write_set_bytes_in_last_block(archive_, 1);
  (void)check(archive_write_open2(archive_, this, nullptr, on_write, nullptr, nullptr));
}

ArchiveWriter::~ArchiveWriter() {
  archive_entry_free(entry_);
  archive_write_fail(archive_);  // otherwise closing would pad the current member with zeros
  archive_write_free(archive_);
}

ssize_t ArchiveWriter::on_write(archive*, void* self, const void* bytes, size_t size) {
  auto& writer = *static_cast<ArchiveWriter*>(self);
  writer.refused_ = writer.refused_ || !writer.sink_({static_cast<const char*>(bytes), size});
  return writer.refused_ ? -1 : static_cast<ssize_t>(size);
}

bool ArchiveWriter::check(ssize_t result) {
  if (refused_) return false;
  if (result < ARCHIVE_OK) throw store_error("cannot pack " + subject_);
  return true;
}

bool ArchiveWriter::begin(const Member& member, const std::string& path) {
  subject_ = escape_controls(path);
  archive_entry_clear(entry_);
  archive_entry_set_pathname(entry_, member.name.c_str());
  archive_entry_set_mode(entry_, type_of(member.kind) | member.mode);
  archive_entry_set_size(entry_, static_cast<int64_t>(member.size));
  archive_entry_set_mtime(entry_, 0, 0);
  if (member.kind == MemberKind::link) archive_entry_set_symlink(entry_, member.target.c_str());
  return check(archive_write_header(archive_, entry_));
}

bool ArchiveWriter::write(std::string_view bytes) {
  return check(archive_write_data(archive_, bytes.data(), bytes.size()));
}

bool ArchiveWriter::finish() {
  subject_ = whole;
  return check(archive_write_close(archive_));
}

// ---- reading ----

ArchiveReader::ArchiveReader(const FileRange& range)
    : rest_(range),
      buffer_(std::make_unique_for_overwrite<char[]>(piece_size)),
      archive_(archive_read_new()) {
  if (archive_ == nullptr) throw std::bad_alloc();
  archive_read_support_format_tar(archive_);
  archive_read_support_filter_zstd(archive_);
  if (archive_read_open(archive_, this, nullptr, on_read, nullptr) == ARCHIVE_OK) return;
  const RefusedArchive refusal = damaged(fault());
  archive_read_free(archive_);
  throw refusal;
}

ArchiveReader::~ArchiveReader() { archive_read_free(archive_); }

/// Why the archive cannot be read.
std::string ArchiveReader::fault() const {
  return read_error_ == 0 ? "not a valid archive" : error_text(read_error_);
}

ssize_t ArchiveReader::on_read(archive* archive, void* self, const void** bytes) {
  auto& reader = *static_cast<ArchiveReader*>(self);
  FileRange& rest = reader.rest_;
  const ssize_t got = read_all_at(rest.file, reader.buffer_.get(),
                                  std::min<uint64_t>(piece_size, rest.size), rest.offset);
  if (got < 0) {
    reader.read_error_ = errno;
    archive_set_error(archive, errno, "cannot read");
    return -1;
  }
  rest.offset += static_cast<uint64_t>(got);
  rest.size -= static_cast<uint64_t>(got);
  *bytes = reader.buffer_.get();
  return got;
}

std::optional<Member> ArchiveReader::next() {
  archive_entry* entry = nullptr;
  const int result = archive_read_next_header(archive_, &entry);
  if (result == ARCHIVE_EOF) return std::nullopt;
  if (result != ARCHIVE_OK) throw damaged(fault());
  Member member;
  member.name = text_or_nothing(archive_entry_pathname(entry));
  member.mode = archive_entry_perm(entry);
  member.target = text_or_nothing(archive_entry_symlink(entry));
  const mode_t type = archive_entry_filetype(entry);
  if (archive_entry_hardlink(entry) != nullptr ||
      (type != S_IFREG && type != S_IFDIR && type != S_IFLNK))
    throw damaged(member.name + " is neither a file, a directory nor a symbolic link");
  member.kind = type == S_IFREG   ? MemberKind::file
                : type == S_IFDIR ? MemberKind::directory
                                  : MemberKind::link;
  const int64_t size = archive_entry_size(entry);
  if (size < 0) throw damaged(member.name + " has no size");
  member.size = static_cast<uint64_t>(size);
  return member;
}

std::optional<ArchiveReader::Block> ArchiveReader::next_block() {
  const void* bytes = nullptr;
  size_t size = 0;
  int64_t offset = 0;
  const int result = archive_read_data_block(archive_, &bytes, &size, &offset);
  if (result == ARCHIVE_EOF) return std::nullopt;
  if (result != ARCHIVE_OK) throw damaged(fault());
  return Block{{static_cast<const char*>(bytes), size}, static_cast<uint64_t>(offset)};
}

}  // namespace memolock
