// The result of a run, as Redis stores it: a string with its stdout, and a hash with all other
// data.
//
// The fields of the hash, with the member of Record in parentheses where its name differs:
//
// - version: 1
// - token, status, and end (exit_kind), a number
// - begun and ended: microseconds since the epoch on the server's clock
// - run (run_time), ttl, stale and retained: microseconds; -1: forever
// - own_ttl (ttl_by_command) and own_stale (stale_by_command): 1 if the command chose it
// - host and pid (holder)
// - length (out_size) and hash (out_hash) of stdout, err_length (err_size) and err_hash of stderr;
//   a hash is XXH3 in 16 hexadecimal digits
// - fate (disposition), a number, and troubles (transient_failures)
// - with artifacts: artifacts, their paths, each followed by NUL; files_length (files_size) and
//   files_hash of their archive, which is a string of its own
// - stderr: its bytes
// - of an entry whose value went through a script: sha1, the SHA-1 of stdout
// - of an outcome that is not an entry: stdout, its bytes; or, if they are in the key `upload`,
//   part: the token
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/redis/connection.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// A time or duration in the form used in the hash; -1 for forever.
[[nodiscard]] std::string in_microseconds(Nanoseconds length);
/// A duration in the form that the commands of Redis require: at least 1, because they refuse 0.
[[nodiscard]] std::string in_milliseconds(Nanoseconds length);

/// The error for an entry with a key that has another type than memolock stores in it.
[[nodiscard]] std::string describe_foreign_type(const Key& key);

/// The value of the field "fate" of the hash.
[[nodiscard]] std::string disposition_field(Disposition disposition);

/// The fields and values of a record. Without stdout, stderr and ended, which are added when the
/// record is stored.
[[nodiscard]] std::vector<std::string> record_fields(const Record& record);

enum class WithStderr { no, yes };

/// The command that reads the record in the hash `name`, which must outlive it.
[[nodiscard]] std::vector<RedisArgument> read_record_command(const std::string& name,
                                                             WithStderr with = WithStderr::yes);

/// The reply to read_record_command(). Every member throws UnexpectedReply if a value has the wrong
/// type.
class RedisRecordHash {
 public:
  RedisRecordHash(RedisReply reply, WithStderr with = WithStderr::yes);

  /// Empty if the hash has none.
  [[nodiscard]] const std::string& token() const;
  /// Nothing if it is missing, damaged or of another version.
  [[nodiscard]] std::optional<Record> record(const Key& key) const;
  /// stderr, moved out of the hash; nothing if it is missing. Requires WithStderr::yes.
  [[nodiscard]] std::optional<RedisString> take_err();

 private:
  std::vector<RedisReply> values_;
};

/// The remaining time of a key, from the reply to PTTL: milliseconds, limited to the range of
/// Nanoseconds; -1 for a key that does not expire, -2 for one that does not exist.
[[nodiscard]] int64_t read_pttl(const RedisReply& reply);

/// The same as a duration; forever for a key that does not expire.
[[nodiscard]] Nanoseconds lifetime_of_pttl(int64_t pttl);

/// The record for a value that another program has stored. `pttl`: see read_pttl().
[[nodiscard]] Record foreign_record(const Key& key, int64_t pttl);

/// The token in the reply to GET of a lock. Empty if the lock is free; the key may then contain the
/// released marker.
[[nodiscard]] std::string read_lock_holder(const RedisReply& lock);

/// The record of the run whose lock contains `token`, as far as it is known.
[[nodiscard]] Record run_of_token(const Key& key, const std::string& token);

/// Identifies the stored data of an entry, so that a change can be detected without reading the
/// data.
struct StoredVersion {
  std::optional<std::pair<std::string, uint64_t>> entry;  ///< its token and its value's length
  std::string failure;                                    ///< its token; empty: none
  bool operator==(const StoredVersion&) const = default;

  /// Sets `failure` if the last outcome that is not an entry is a failure. `outcome`: the reply
  /// with the fields token and fate of its hash. Throws UnexpectedReply.
  void note_failure(const RedisReply& outcome);
};

class RedisEntry final : public Entry {
 public:
  RedisEntry(Record record, RedisString out, RedisString err, RedisString files = {})
      : record_(std::move(record)),
        out_(std::move(out)),
        err_(std::move(err)),
        files_(std::move(files)) {}

  /// An entry or outcome that memolock has stored, from its hash, the string with stdout and, if
  /// they were requested, the one with the artifacts. Null, with `out` unchanged, if the hash has
  /// no valid record, or the record does not match the streams.
  [[nodiscard]] static std::unique_ptr<RedisEntry> from_own_hash(const Key& key,
                                                                 RedisRecordHash& hash,
                                                                 RedisString& out,
                                                                 RedisString files = {});
  [[nodiscard]] const Record& record() const override { return record_; }
  /// Always true: own() has verified the streams, and a foreign value has no checksum.
  [[nodiscard]] bool is_intact() override { return true; }
  [[nodiscard]] std::optional<FileRange> files() override;
  [[nodiscard]] int write(Stream stream, int to) noexcept override;

 private:
  Record record_;
  RedisString out_, err_, files_;
};

}  // namespace memolock
