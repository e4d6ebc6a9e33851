#include "src/redis_store/lock_requests.hpp"

#include <string_view>

#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/scripts.hpp"

namespace memolock {
namespace {

/// A duration for a script to which 0 means none.
std::string milliseconds_or_zero(Nanoseconds length) {
  return length > Nanoseconds(0) ? in_milliseconds(length) : "0";
}

/// The argument of the script `withdraw`.
std::string_view argument_for(MayHaveStored stored) {
  switch (stored) {
    case MayHaveStored::entry:
      return "entry";
    case MayHaveStored::outcome:
      return "outcome";
    case MayHaveStored::nothing:
      break;
  }
  return "nothing";
}

}  // namespace

Nanoseconds max_time_in_flight(Nanoseconds lease) { return after(lease, std::chrono::minutes(1)); }

bool extend_redis_lock(RedisSession& session, const Key& key, const std::string& token,
                       Nanoseconds life, Nanoseconds retry_for) {
  const std::string text = in_milliseconds(after(life, promise_margin));
  const RedisNames names = session.route_to(key);
  return session.with_context(key, [&] {
    return session.run_script(redis_scripts::extend, names, {token, text}, retry_for).count() == 1;
  });
}

void release_redis_lock(RedisSession& session, const Key& key, const std::string& token,
                        const RedisReleaseOptions& options) {
  const std::string lock = milliseconds_or_zero(options.lock);
  const std::string marker = milliseconds_or_zero(options.marker);
  const RedisNames names = session.route_to(key);
  session.with_context(key, [&] {
    (void)session
        .run_script(redis_scripts::release, names, {token, names.state_channel, lock, marker})
        .count();
  });
}

void withdraw_redis_run(RedisSession& session, const Key& key, const std::string& token,
                        MayHaveStored stored, Nanoseconds lease, Nanoseconds marker) {
  const std::string life = in_milliseconds(max_time_in_flight(lease));
  const std::string marker_life = milliseconds_or_zero(marker);
  const RedisNames names = session.route_to(key);
  session.with_context(key, [&] {
    (void)session
        .run_script(redis_scripts::withdraw, names,
                    {token, names.state_channel, life, marker_life, argument_for(stored)})
        .count();
  });
}

void discard_redis_upload(RedisSession& session, const Key& key, const std::string& token) {
  const RedisNames names = session.route_to(key);
  session.with_context(key, [&] {
    (void)session.run_script(redis_scripts::discard, names, {token}).one_of({"lost"});
  });
}

}  // namespace memolock
