#include "src/redis_store/context.hpp"

#include <utility>

namespace memolock {

RedisStoreContext::RedisStoreContext(RedisSettings its_settings, const WaitLimit& wait_limit,
                                     const Log& its_log)
    : settings(std::move(its_settings)),
      log(its_log),
      once_log(its_log),
      session(settings.address, settings.timeout, wait_limit, its_log) {
  session.limit_large_strings(settings.max_entry);
  log.debug("the store is {}", settings.address.shown());
}

}  // namespace memolock
