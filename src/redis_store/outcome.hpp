// How a run ends in the Redis store: what it left is brought to the server, the lock released, the
// waiters told.
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

/// What gives an outcome the right to be stored.
struct RedisStoreCondition {
  std::string token;
  /// The server's clock, microseconds: if the lock has vanished the outcome is stored all the same
  /// when nothing newer than this is there. "": not then. "any": whoever holds the lock.
  std::string acquired;
};

/// For how long what a run has sent may be on its way yet, and what is there for its sake lives,
/// where its holder's lease is `lease`.
[[nodiscard]] Nanoseconds max_time_in_flight(Nanoseconds lease);

class RedisOutcome {
 public:
  /// Keeps references to all of it. `retry_for`: as of RedisSession.
  RedisOutcome(RedisSession& session, const Key& key, const RedisStoreCondition& condition,
               const Spool& spool, Nanoseconds lease, Nanoseconds retry_for);

  /// Whether it is so large that a slow link may take long for it: then all that follows needs a
  /// lock that is renewed.
  [[nodiscard]] bool may_take_long() const;
  /// Brings what is too large for one step to the server, if there is any; before one of the
  /// others.
  void upload() const;

  /// Stores it for everybody. Throws Error(store).
  [[nodiscard]] PublishResult keep(const Record& record) const;

  /// Stores that the run was, and nothing of what it left. Throws Error(store).
  [[nodiscard]] PublishResult mark(const Record& record) const;

  /// Leaves it for those who wait for this run. Throws Error(store).
  [[nodiscard]] PublishResult share(Record record) const;

 private:
  [[nodiscard]] bool is_large() const;
  [[nodiscard]] bool needs_upload() const { return is_large() || has_files(); }
  [[nodiscard]] bool has_files() const { return spool_.size(Stream::files) > 0; }
  [[nodiscard]] RedisArgument stream(Stream stream) const;
  [[nodiscard]] std::string commit(const Record& record) const;
  [[nodiscard]] std::string answer(const RedisScript& script,
                                   const std::vector<RedisArgument>& arguments,
                                   std::initializer_list<std::string_view> words) const;

  RedisSession& session_;
  const Key& key_;
  RedisNames names_;
  const RedisStoreCondition& condition_;
  const Spool& spool_;
  Nanoseconds lease_;
  Nanoseconds retry_for_;
};

/// What stays in the lock's place when it is released without an outcome: at most one of these.
struct RedisReleaseOptions {
  Nanoseconds lock{0};    ///< the lock itself, to say that there is one that could not be stored
  Nanoseconds marker{0};  ///< the released marker that was there before, if its value still is
};

/// Releases the lock without an outcome.
void release_redis_lock(RedisSession& session, const Key& key, const std::string& token,
                        const RedisReleaseOptions& options = {});

/// What a holder may have stored, of all that is there with its token: others may have used that.
enum class MayHaveStored {
  nothing,
  outcome,  ///< or a mark
  entry,    ///< or one of these
};

/// The same for a run that may have a request on its way: takes back what its holder may have
/// stored, and has refused what arrives later. `marker`: as of RedisReleaseOptions.
void withdraw_redis_run(RedisSession& session, const Key& key, const std::string& token,
                        MayHaveStored stored, Nanoseconds lease, Nanoseconds marker);

/// Deletes what was uploaded for that run, and is not stored yet.
void discard_redis_upload(RedisSession& session, const Key& key, const std::string& token);

}  // namespace memolock
