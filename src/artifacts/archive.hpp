// The archive of an entry's artifacts: GNU tar, compressed with zstd. Members have neither times
// nor owners, so that the same files give the same bytes. Only this module uses libarchive.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "src/entry/spool.hpp"
#include "src/system/error.hpp"

struct archive;
struct archive_entry;

namespace memolock {

enum class MemberKind { file, directory, link };

struct Member {
  MemberKind kind = MemberKind::file;
  std::string name;    ///< any bytes except NUL
  mode_t mode = 0;     ///< permission bits; unused for a link
  uint64_t size = 0;   ///< of a file
  std::string target;  ///< of a link
};

/// The unpacked size of members: for each member, its content, including holes, and its tar header.
/// Even a small archive may unpack to any size, so this is checked before anything is written.
class UnpackedSize {
 public:
  void add(const Member& member);
  /// UINT64_MAX if it is that large or larger.
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  /// The limit that the members exceed, worded to follow "the artifacts have "; "" if none.
  [[nodiscard]] std::string excess() const;

 private:
  uint64_t bytes_ = 0;
  size_t members_ = 0;
  size_t depth_ = 0;
};

/// The stored archive is malformed or too large to unpack.
class RefusedArchive : public Error {
 public:
  explicit RefusedArchive(const std::string& text) : Error(Error::Kind::store, text) {}
};

/// Writes an archive: begin() for each member, write() for the content of a file, finish() at the
/// end. Used by one thread.
///
/// Each of these returns false once the sink has returned false: the archive is incomplete, and
/// nothing more can be written. Throws Error(store) for a member that the format cannot represent.
class ArchiveWriter {
 public:
  /// Called with the archive's bytes in order; returns false to stop.
  using Sink = std::function<bool(std::string_view bytes)>;

  explicit ArchiveWriter(Sink sink);
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  /// `path`: where the member is from; an error names it.
  [[nodiscard]] bool begin(const Member& member, const std::string& path);
  /// Appends to the content of the file that was begun, which must have Member::size bytes in
  /// total.
  [[nodiscard]] bool write(std::string_view bytes);
  [[nodiscard]] bool finish();

 private:
  static ssize_t on_write(archive*, void* self, const void* bytes, size_t size);
  [[nodiscard]] bool check(ssize_t result);

  static constexpr const char* whole = "the artifacts";

  Sink sink_;
  std::string subject_ = whole;  // what is written, worded to follow "cannot pack "
  archive* archive_;
  archive_entry* entry_;
  bool refused_ = false;
};

/// Reads an archive from an untrusted source. Throws RefusedArchive if it is malformed, but does
/// not check names (see member_place.hpp) and sizes (see UnpackedSize). Decompression uses at most
/// 128 MiB of memory. Used by one thread.
class ArchiveReader {
 public:
  /// The file of `range` must stay open as long as this object exists.
  explicit ArchiveReader(const FileRange& range);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  /// The next member; nothing at the end.
  [[nodiscard]] std::optional<Member> next();
  struct Block {
    std::string_view bytes;  ///< valid until the next call
    uint64_t offset = 0;     ///< in the member; there may be a hole between two blocks
  };
  /// The next bytes of the file that next() has returned; nothing at its end.
  [[nodiscard]] std::optional<Block> next_block();

 private:
  static ssize_t on_read(archive*, void* self, const void** bytes);
  [[nodiscard]] std::string fault() const;

  FileRange rest_;
  int read_error_ = 0;  // errno of a read that has failed
  std::unique_ptr<char[]> buffer_;
  archive* archive_;
};

}  // namespace memolock
