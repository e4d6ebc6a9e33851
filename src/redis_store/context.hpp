// The state that the parts of one Redis store share.
#pragma once

#include "src/redis/session.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/settings.hpp"
#include "src/system/log.hpp"

namespace memolock {

/// Owned by RedisStore and passed to its locks, watches and promises, none of which may outlive it.
/// Used only by the store's thread: a renewal has a connection of its own.
struct RedisStoreContext {
  /// `wait_limit`: the limit of requests until a run begins. Keeps a reference to `log`.
  RedisStoreContext(RedisSettings its_settings, const WaitLimit& wait_limit, const Log& its_log);

  const RedisSettings settings;
  const Log& log;
  DedupLog once_log;
  RedisSession session;
  bool includes_artifacts = false;  ///< entries are read with their artifacts
  StoredVersion last_seen;          ///< the version that the last look-up found
};

}  // namespace memolock
