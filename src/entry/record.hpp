// The record of a run, and the format of the files that contain it.
//
// An entry file is   | fixed part | names | stdout | stderr | artifacts |
//
// The file of a run in progress becomes an entry file: the fixed part and the names are written
// before the run is visible to other processes, stdout as it arrives, and the rest and the final
// fixed part at the end. Integers are little-endian, so that machines of any kind can share a
// directory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "src/entry/key.hpp"
#include "src/entry/token.hpp"
#include "src/system/clock.hpp"

namespace memolock {

/// How a command ended.
enum class ExitKind : uint8_t {
  exited,       ///< with a status of its own
  signaled,     ///< by a signal
  not_started,  ///< it could not be executed (status 126 or 127)
  timed_out,    ///< stopped at --max-runtime (status 124)
};

/// The state of a run, or how its result is used.
enum class Disposition : uint8_t {
  running,   ///< not finished; if its lock is not held, its holder has died
  kept,      ///< stored as the entry
  shared,    ///< finished but not stored: only its waiters get the result
  unstored,  ///< finished, but its output could not be stored: its waiters run the command
  failed,    ///< a failure, stored in addition to any entry
  marked,    ///< its times and status only, stored in addition to any entry (`once`)
};

/// The name of a record with this disposition, for messages: "the stored entry".
[[nodiscard]] std::string_view describe_disposition(Disposition disposition);

/// All data about a run except its output. Times are on the store's clock, since the epoch.
struct Record {
  Disposition disposition = Disposition::running;
  bool foreign = false;  ///< stored by another program: only stdout and the time left are known
  ExitKind exit_kind = ExitKind::exited;
  int status = 0;               ///< the exit status of memolock: the command's, or 128+N
  bool ttl_by_command = false;  ///< the command has set its ttl (MEMOLOCK_CONTROL)
  bool stale_by_command = false;
  Producer producer = Producer::command;
  /// How many runs in a row, this one included, were transient failures.
  uint32_t transient_failures = 0;
  Nanoseconds begun{0};
  Nanoseconds ended{0};  ///< the age of an entry is measured from this time
  Nanoseconds run_time{0};
  Nanoseconds ttl{0};  ///< how long it is fresh; of a failure: how long it is served
  /// How long after its ttl it may be served while it is refreshed, if the command has set that
  /// (MEMOLOCK_CONTROL).
  Nanoseconds stale{0};
  /// How long it stays in the store; of a failure: how long the command is not run again.
  Nanoseconds retained{0};
  uint64_t out_size = 0, err_size = 0;
  uint64_t out_hash = 0, err_hash = 0;
  uint64_t files_size = 0;  ///< bytes of the archive of its artifacts; 0: none
  uint64_t files_hash = 0;
  std::vector<std::string> artifacts;  ///< the paths in it, as the caller gave them
  std::string token;
  Key key;
  Holder holder;
  std::vector<std::string> command;

  [[nodiscard]] bool succeeded() const { return exit_kind == ExitKind::exited && status == 0; }
  /// Whether the command might well succeed on another machine or at another time.
  [[nodiscard]] bool is_transient_failure() const {
    return exit_kind == ExitKind::signaled || exit_kind == ExitKind::not_started;
  }
};

/// The message about an entry that is larger than the `max_bytes` that may be read.
[[nodiscard]] std::string describe_too_large(uint64_t max_bytes);

/// An incremental checksum that detects damaged payloads: XXH3, 64 bits.
class Checksum {
 public:
  Checksum();
  ~Checksum();
  Checksum(Checksum&&) noexcept;
  Checksum& operator=(Checksum&&) noexcept;
  Checksum(const Checksum&) = delete;
  Checksum& operator=(const Checksum&) = delete;

  void add(std::string_view bytes);
  [[nodiscard]] uint64_t value() const;

 private:
  struct State;
  State* state_;
};

/// The checksum of some bytes.
[[nodiscard]] uint64_t checksum(std::string_view bytes);

/// The head of an entry file with this record: the fixed part and the names.
[[nodiscard]] std::string encode(const Record& record);

/// Words as one text, each followed by NUL; requires words without NUL.
[[nodiscard]] std::string join_with_nul(const std::vector<std::string>& words);
[[nodiscard]] std::vector<std::string> split_at_nul(std::string_view text);

/// The size of the head of an entry file without the names; bytes.
inline constexpr size_t fixed_part_size = 168;

/// The offset of the payload in a file that begins with `bytes`, at least `fixed_part_size` of
/// them; nothing if it is not an entry file of this version.
[[nodiscard]] std::optional<uint64_t> payload_offset(std::string_view bytes);

/// Whether a file that begins with `bytes` was written by any version of memolock.
[[nodiscard]] bool has_magic(std::string_view bytes);

/// The record at the start of a file; nothing if the file is foreign, truncated or damaged.
[[nodiscard]] std::optional<Record> decode(std::string_view bytes);

/// The one byte of a file that processes other than its writer may set (to 1): it means that `del`
/// was called during the run, so that its result must not be stored. No checksum covers it.
inline constexpr uint64_t forgotten_offset = 11;

}  // namespace memolock
