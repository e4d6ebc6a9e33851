// What a run left, as it lies in Redis: a string with its stdout, and a hash with all else.
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
#include <vector>

#include "src/redis/connection.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// A time as the hash has it, and as Redis's own commands take it: never 0, which there means
/// forever.
[[nodiscard]] std::string in_microseconds(Nanoseconds length);
[[nodiscard]] std::string in_milliseconds(Nanoseconds length);

/// What is wrong where a key of an entry is neither a string nor a hash as it should be.
[[nodiscard]] std::string describe_foreign_type(const Key& key);

/// How the hash has it.
[[nodiscard]] std::string disposition_in_hash(Disposition disposition);

/// Fields and values of a record but for stdout, stderr and ended, which a script adds.
[[nodiscard]] std::vector<std::string> record_fields(const Record& record);

enum class WithStderr { no, yes };

/// The command that reads the record in the hash `name`, which must outlive it.
[[nodiscard]] std::vector<RedisArgument> read_record_command(const std::string& name,
                                                             WithStderr with = WithStderr::yes);

/// What a hash answers to it, taken apart. What reads it throws UnexpectedReply.
class RedisHash {
 public:
  RedisHash(RedisReply answer, WithStderr with = WithStderr::yes);

  /// Empty when there is none.
  [[nodiscard]] const std::string& token() const;
  /// Nothing when it is absent, damaged or of another version.
  [[nodiscard]] std::optional<Record> record(const Key& key) const;
  /// Nothing when it is absent; only once, and only with it.
  [[nodiscard]] std::optional<RedisString> take_err();

 private:
  std::vector<RedisReply> values_;
};

/// How long a key lives, from the answer to PTTL: milliseconds, no more than Nanoseconds can hold;
/// -1: without end, -2: there is no such key.
[[nodiscard]] int64_t life_in(const RedisReply& answer);

/// The same as a length; forever for a key without an end.
[[nodiscard]] Nanoseconds lifetime(int64_t left);

/// Of a value that another program has stored and that lives so long, as life_in has it.
[[nodiscard]] Record foreign_record(const Key& key, int64_t left);

/// Ownership token is in the answer to GET of a lock; empty: nobody's, though the released marker
/// may be there.
[[nodiscard]] std::string holder_in(const RedisReply& lock);

/// What is known of the run whose lock holds `token`.
[[nodiscard]] Record run_of_token(const Key& key, const std::string& token);

class RedisEntry final : public Entry {
 public:
  RedisEntry(Record record, RedisString out, RedisString err, RedisString files = {})
      : record_(std::move(record)),
        out_(std::move(out)),
        err_(std::move(err)),
        files_(std::move(files)) {}

  /// From a hash, the string with stdout, and that with the artifacts if it was asked for. Null
  /// when there is no record in the hash, or when it does not belong to that string, which is left
  /// alone then.
  [[nodiscard]] static std::unique_ptr<RedisEntry> own(const Key& key, RedisHash& hash,
                                                       RedisString& out, RedisString files = {});
  [[nodiscard]] const Record& record() const override { return record_; }
  /// Always: own() has seen to it.
  [[nodiscard]] bool is_intact() override { return true; }
  [[nodiscard]] std::optional<FileRange> files() override;
  [[nodiscard]] int write(Stream stream, int to) noexcept override;

 private:
  Record record_;
  RedisString out_, err_, files_;
};

}  // namespace memolock
