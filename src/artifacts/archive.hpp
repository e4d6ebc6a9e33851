// The archive of an entry's artifacts: tar, compressed with zstd. Its members have no times and no
// owners, so that the same files give the same bytes.
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

enum class MemberKind { file, folder, link };

struct Member {
  MemberKind kind = MemberKind::file;
  std::string name;    ///< any bytes but NUL
  mode_t mode = 0;     ///< permissions alone, not of a link
  uint64_t size = 0;   ///< of a file
  std::string target;  ///< of a link
};

/// What members take when they are unpacked: of each its size, holes included, and what tar has for
/// a name. An archive of any size may claim any of it.
class UnpackedSize {
 public:
  void add(const Member& member);
  /// UINT64_MAX: as many or more.
  [[nodiscard]] uint64_t bytes() const { return bytes_; }
  /// What of it no archive may have, in words that follow "the artifacts have "; "": nothing.
  [[nodiscard]] std::string excess() const;

 private:
  uint64_t bytes_ = 0;
  size_t members_ = 0;
  size_t depth_ = 0;
};

/// The stored archive is malformed or too large to unpack.
class RefusedArchive : public Error {
 public:
  explicit RefusedArchive(const std::string& words) : Error(Error::Kind::store, words) {}
};

class ArchiveWriter {
 public:
  /// Takes the archive's bytes as they come. False: it takes no more.
  using Sink = std::function<bool(std::string_view bytes)>;

  explicit ArchiveWriter(Sink sink);
  ~ArchiveWriter();
  ArchiveWriter(const ArchiveWriter&) = delete;
  ArchiveWriter& operator=(const ArchiveWriter&) = delete;

  // False from any of them: the sink has refused. Throws Error(store) for what the format cannot
  // hold.
  [[nodiscard]] bool begin(const Member& member);
  /// The next bytes of the file that was begun; as many in all as its size says.
  [[nodiscard]] bool write(std::string_view bytes);
  [[nodiscard]] bool finish();

 private:
  static ssize_t take(archive*, void* self, const void* bytes, size_t size);
  [[nodiscard]] bool check(ssize_t result);

  Sink sink_;
  archive* archive_;
  archive_entry* entry_;
  bool refused_ = false;
};

/// Reads an archive that may come from anybody: what is not one throws RefusedArchive. The names in
/// it are as they are. Decompression uses at most 128 MiB.
class ArchiveReader {
 public:
  /// Reads that part of a file, which must stay open.
  explicit ArchiveReader(const FilePart& part);
  ~ArchiveReader();
  ArchiveReader(const ArchiveReader&) = delete;
  ArchiveReader& operator=(const ArchiveReader&) = delete;

  /// The next member; nothing at the end.
  [[nodiscard]] std::optional<Member> next();
  struct Block {
    std::string_view bytes;  ///< until the next call
    uint64_t offset = 0;     ///< in the file
  };
  /// The next bytes of the file that next() has found; nothing at its end.
  [[nodiscard]] std::optional<Block> next_block();

 private:
  static ssize_t give(archive*, void* self, const void** bytes);

  FilePart rest_;
  std::unique_ptr<char[]> buffer_;
  archive* archive_;
};

}  // namespace memolock
