// The end of a run in the Redis store: its outcome is uploaded and stored, the lock is released,
// and the waiters are notified.
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

/// When an outcome may be stored: while `token` holds the lock; otherwise according to
/// `acquired_or_rule`.
struct RedisWritePermission {
  std::string token;
  /// The time at which the lock was acquired (the server's clock, microseconds): if the lock is
  /// free, the outcome is stored unless newer data has been stored. "": only while `token` holds
  /// the lock. "any": always, no matter which process holds the lock.
  std::string acquired_or_rule;
};

/// The end of one run. Every function but may_take_long() sends requests, and throws Error(store).
class RedisOutcome {
 public:
  /// Keeps references to all arguments except the durations. `retry_for`: see RedisSession.
  RedisOutcome(RedisSession& session, const Key& key, const RedisWritePermission& permission,
               const Spool& spool, Nanoseconds lease, Nanoseconds retry_for);

  /// Whether the outcome is so large that sending it over a slow link may take a long time, during
  /// which the lock must be renewed.
  [[nodiscard]] bool may_take_long() const;
  /// Uploads the parts that are too large for a script, if any. To be called before keep() and
  /// share() if may_take_long().
  void upload() const;

  /// Stores the outcome as the entry. If `del` was called during the run, shares it instead.
  [[nodiscard]] PublishResult keep(const Record& record) const;

  /// Stores the mark of the run: when it ran and how it ended, without its output.
  [[nodiscard]] PublishResult mark(const Record& record) const;

  /// Stores the outcome for the waiters of this run; a failure also for later callers.
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
  const RedisWritePermission& permission_;
  const Spool& spool_;
  Nanoseconds lease_;
  Nanoseconds retry_for_;
};

}  // namespace memolock
