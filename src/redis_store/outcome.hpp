// How a run ends in the Redis store: its outcome is uploaded and stored, the lock is released, and
// the waiters are notified.
#pragma once

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

#include "src/entry/spool.hpp"
#include "src/redis/names.hpp"
#include "src/redis/session.hpp"
#include "src/store/store.hpp"

namespace memolock {

/// When an outcome may be stored: while `token` holds the lock, or else by `acquired`.
struct RedisWritePermission {
  std::string token;
  /// When the lock was acquired; the server's clock, microseconds. If nobody holds the lock, the
  /// outcome is stored unless something newer than this is there. "": never without the lock.
  /// "any": whoever holds the lock.
  std::string acquired;
};

/// The end of one run. Every function but may_take_long() sends requests, and throws Error(store).
class RedisOutcome {
 public:
  /// Keeps references to all but the lengths of time. `retry_for`: as of RedisSession.
  RedisOutcome(RedisSession& session, const Key& key, const RedisWritePermission& condition,
               const Spool& spool, Nanoseconds lease, Nanoseconds retry_for);

  /// Whether the outcome is so large that sending it over a slow link may take long. Then the lock
  /// must be renewed meanwhile.
  [[nodiscard]] bool may_take_long() const;
  /// Sends what is too large for a script, if there is any. Required before keep() and share().
  void upload() const;

  /// Stores the outcome as the entry.
  [[nodiscard]] PublishResult keep(const Record& record) const;

  /// Stores that and when the run was, and none of its output.
  [[nodiscard]] PublishResult mark(const Record& record) const;

  /// Stores the outcome for those who wait for this run.
  [[nodiscard]] PublishResult share(Record record) const;

 private:
  [[nodiscard]] bool is_large() const;
  [[nodiscard]] bool needs_upload() const { return is_large() || has_files(); }
  [[nodiscard]] bool has_files() const { return spool_.size(Stream::files) > 0; }
  [[nodiscard]] RedisArgument argument_of(Stream stream) const;
  [[nodiscard]] std::string commit(const Record& record) const;
  [[nodiscard]] std::string run_script(const RedisScript& script,
                                       const std::vector<RedisArgument>& arguments,
                                       std::initializer_list<std::string_view> results) const;

  RedisSession& session_;
  const Key& key_;
  RedisNames names_;
  const RedisWritePermission& condition_;
  const Spool& spool_;
  Nanoseconds lease_;
  Nanoseconds retry_for_;
};

}  // namespace memolock
