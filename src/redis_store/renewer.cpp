#include "src/redis_store/renewer.hpp"

#include <algorithm>
#include <utility>

#include "src/redis_store/entry.hpp"
#include "src/redis_store/scripts.hpp"
#include "src/system/error.hpp"

namespace memolock {

RedisRenewer::RedisRenewer(const RedisSettings& settings, Key key, RedisNames names,
                           RedisWritePermission permission, Nanoseconds ahead, const Log& log)
    : key_(std::move(key)),
      names_(std::move(names)),
      permission_(std::move(permission)),
      lease_(in_milliseconds(settings.lease)),
      // If a renewal takes longer than its share of the lease, it is better to start another one.
      timeout_(std::min(settings.timeout, settings.lease / 3)),
      ahead_(ahead),
      session_(std::in_place, settings.address, timeout_, WaitLimit{}, log) {}

Renewal RedisRenewer::renew(int cancel) {
  // Half of this time to connect, half for the reply. After that, the request has been given up and
  // the lock may have been released, so a request that arrives later must not take the lock.
  const Nanoseconds limit = 2 * timeout_;
  const std::string deadline = in_microseconds(after(boot_now() + ahead_, limit));
  session_->set_wait_limit(WaitLimit{cancel}.within(limit));
  is_unanswered_ = true;
  const std::string result = session_->with_context(key_, [&] {
    const RedisReply reply = session_->run_script(
        redis_scripts::renew, names_,
        {permission_.token, lease_, permission_.acquired_or_rule, deadline});
    if (reply.has_text()) return reply.one_of({"renewed", "lost", "broken"});
    ahead_ = session_->set_clock(reply) - boot_now();
    throw store_error(session_->error_text("the renewal came too late"));
  });
  is_unanswered_ = false;
  is_lock_broken_ = result == "broken";
  return result == "renewed" ? Renewal::renewed : Renewal::stolen;
}

}  // namespace memolock
