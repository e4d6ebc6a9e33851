// What a run left, as Redis stores it: a string with its stdout, and a hash with everything else.
//
// The fields of the hash: version (1), token, end (of enum ExitKind), status, stderr, begun, ended,
// run, ttl, stale and retained (microseconds, the first two of the server's clock; -1: forever),
// own_ttl and own_stale (1: the command chose it), host, pid, length and hash of stdout, err_length
// and err_hash of stderr (XXH3, 16 hexadecimal digits); of a run with artifacts, their paths
// (artifacts, NUL behind each), and files_length and files_hash of their archive, a string of its
// own. The hash of an outcome that is not kept has fate, troubles and stdout too; `part` there says
// that stdout lies in the key of that name.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "src/redis/connection.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// A time as the hash has it; -1 for forever.
[[nodiscard]] std::string in_microseconds(Nanoseconds length);
/// A length of time as the commands of Redis take it: at least 1, as 0 is an error there.
[[nodiscard]] std::string in_milliseconds(Nanoseconds length);

/// The error for an entry of which one key has another type than memolock stores there.
[[nodiscard]] std::string describe_foreign_type(const Key& key);

/// As the field "fate" of the hash has it.
[[nodiscard]] std::string disposition_field(Disposition disposition);

/// Fields and values of a record, without stdout, stderr and ended, which scripts add.
[[nodiscard]] std::vector<std::string> record_fields(const Record& record);

enum class WithStderr { no, yes };

/// The command that reads the record in the hash `name`, which must outlive it.
[[nodiscard]] std::vector<RedisArgument> read_record_command(const std::string& name,
                                                             WithStderr with = WithStderr::yes);

/// The reply to it. Every member throws UnexpectedReply when a value has the wrong type.
class RedisRecordHash {
 public:
  RedisRecordHash(RedisReply reply, WithStderr with = WithStderr::yes);

  /// Empty when there is none.
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

/// The same as a length of time; forever for a key that does not expire.
[[nodiscard]] Nanoseconds lifetime_of_pttl(int64_t pttl);

/// Of a value that another program has stored, with its read_pttl.
[[nodiscard]] Record foreign_record(const Key& key, int64_t pttl);

/// The token in the reply to GET of a lock. Empty when nobody holds it, though the released marker
/// may be there.
[[nodiscard]] std::string read_lock_holder(const RedisReply& lock);

/// What is known of the run whose lock holds `token`.
[[nodiscard]] Record run_of_token(const Key& key, const std::string& token);

/// Tells what is stored for an entry from what was stored before, without reading it.
struct StoredVersion {
  std::optional<std::pair<std::string, uint64_t>> entry;  ///< its token, and the value's length
  std::string failure;                                    ///< its token; empty: none
  bool operator==(const StoredVersion&) const = default;

  /// Takes the failure, if it is one, from the reply for token and fate of the last outcome that is
  /// not an entry. Throws UnexpectedReply.
  void note_failure(const RedisReply& outcome);
};

class RedisEntry final : public Entry {
 public:
  RedisEntry(Record record, RedisString out, RedisString err, RedisString files = {})
      : record_(std::move(record)),
        out_(std::move(out)),
        err_(std::move(err)),
        files_(std::move(files)) {}

  /// From a hash, the string with stdout, and the one with the artifacts if they were asked for.
  /// Null when the hash has no record, or not the one of that string; `out` is unchanged then.
  [[nodiscard]] static std::unique_ptr<RedisEntry> own(const Key& key, RedisRecordHash& hash,
                                                       RedisString& out, RedisString files = {});
  [[nodiscard]] const Record& record() const override { return record_; }
  /// Always true: own() has verified it.
  [[nodiscard]] bool is_intact() override { return true; }
  [[nodiscard]] std::optional<FileRange> files() override;
  [[nodiscard]] int write(Stream stream, int to) noexcept override;

 private:
  Record record_;
  RedisString out_, err_, files_;
};

}  // namespace memolock
