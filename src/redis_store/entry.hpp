// What a run left, as Redis stores it: a string with its stdout, and a hash with everything else.
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
// part:
//   the token
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/redis/connection.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// A time or duration as it is in the hash; -1 for forever.
[[nodiscard]] std::string in_microseconds(Nanoseconds length);
/// A duration as the commands of Redis take it: at least 1, as 0 is an error there.
[[nodiscard]] std::string in_milliseconds(Nanoseconds length);

/// The error for an entry that has a key of another type than memolock stores there.
[[nodiscard]] std::string describe_foreign_type(const Key& key);

/// The value of the field "fate" of the hash.
[[nodiscard]] std::string disposition_field(Disposition disposition);

/// The fields and values of a record. stdout, stderr and ended are not among them: they are added
/// when the record is stored.
[[nodiscard]] std::vector<std::string> record_fields(const Record& record);

enum class WithStderr { no, yes };

/// The command that reads the record in the hash `name`, which must outlive it.
[[nodiscard]] std::vector<RedisArgument> read_record_command(const std::string& name,
                                                             WithStderr with = WithStderr::yes);

/// The reply to read_record_command(). Every member throws UnexpectedReply when a value has the
/// wrong type.
class RedisRecordHash {
 public:
  RedisRecordHash(RedisReply reply, WithStderr with = WithStderr::yes);

  /// Empty when the hash has none.
  [[nodiscard]] const std::string& token() const;
  /// Nothing when it is absent, damaged or of another version.
  [[nodiscard]] std::optional<Record> record(const Key& key) const;
  /// stderr, moved out of the hash; nothing when it is absent. Requires WithStderr::yes.
  [[nodiscard]] std::optional<RedisString> take_err();

 private:
  std::vector<RedisReply> values_;
};

/// How long a key lives, from the reply to PTTL: milliseconds, at most as many as Nanoseconds can
/// hold; -1 for a key that does not expire, -2 for one that does not exist.
[[nodiscard]] int64_t read_pttl(const RedisReply& reply);

/// The same as a duration; forever for a key that does not expire.
[[nodiscard]] Nanoseconds lifetime_of_pttl(int64_t pttl);

/// The record for a value that another program has stored. `pttl`: see read_pttl().
[[nodiscard]] Record foreign_record(const Key& key, int64_t pttl);

/// The token in the reply to GET of a lock. Empty when nobody holds it, though the released marker
/// may be there.
[[nodiscard]] std::string read_lock_holder(const RedisReply& lock);

/// What is known of the run whose lock contains `token`.
[[nodiscard]] Record run_of_token(const Key& key, const std::string& token);

/// Identifies what is stored for an entry, so that a change is noticed without reading it.
struct StoredVersion {
  std::optional<std::pair<std::string, uint64_t>> entry;  ///< its token, and the value's length
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
  /// they were requested, the one with the artifacts. Null, and `out` unchanged, when the hash has
  /// no valid record, or the record is not that of the streams.
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
