#include "src/redis_store/store.hpp"

#include <string_view>
#include <utility>
#include <vector>

#include "src/redis/names.hpp"
#include "src/redis_store/entry.hpp"
#include "src/redis_store/listing.hpp"
#include "src/redis_store/lock.hpp"
#include "src/redis_store/lock_requests.hpp"
#include "src/redis_store/lookup.hpp"
#include "src/redis_store/promise.hpp"
#include "src/redis_store/scripts.hpp"
#include "src/redis_store/watch.hpp"
#include "src/system/error.hpp"

namespace memolock {

RedisStore::RedisStore(RedisSettings settings, const WaitLimit& wait_limit, const Log& log)
    : context_(std::move(settings), wait_limit, log),
      session_(context_.session),
      scan_(context_, wait_limit) {}

std::unique_ptr<Entry> RedisStore::look_up(const Key& key) { return look_up_entry(context_, key); }

std::unique_ptr<Entry> RedisStore::look_up_failure(const Key& key) {
  if (context_.last_seen.failure.empty()) return nullptr;
  auto outcome = read_last_outcome(context_, key);
  const bool is_failure = outcome && outcome->record().disposition == Disposition::failed;
  return is_failure ? std::move(outcome) : nullptr;
}

std::optional<Record> RedisStore::look_up_mark(const Key& key) {
  const RedisNames names = session_.route_to(key);
  return session_.with_context(key, [&] {
    RedisReplies replies = session_.read(
        {{"TIME"}, read_record_command(names.mark, WithStderr::no)});
    (void)session_.set_clock(replies.next());
    return RedisRecordHash(replies.next(), WithStderr::no).record(key);
  });
}

std::unique_ptr<Lock> RedisStore::try_acquire(const Key& key, Producer producer) {
  return acquire_redis_lock(context_, key, producer);
}

std::unique_ptr<Watch> RedisStore::watch_run(const Key& key) {
  auto watch = std::make_unique<RedisWatch>(context_, key);
  if (!watch->is_running()) return nullptr;
  return watch;
}

std::unique_ptr<Promise> RedisStore::open_promise(const Key& key, const std::string& token) {
  return open_redis_promise(context_, key, token);
}

bool RedisStore::is_locked(const Key& key) {
  const RedisNames names = session_.route_to(key);
  return session_.with_context(key, [&] {
    return !read_lock_holder(session_.pipeline({{"GET", names.lock}}).next()).empty();
  });
}

bool RedisStore::exists(const Key& key) {
  const RedisNames names = session_.route_to(key);
  const std::vector<RedisCommand> commands{
      {"TYPE", names.value}, {"TYPE", names.mark},
      {"TYPE", names.lock},  {"TYPE", names.meta},
      {"TYPE", names.files}, {"TYPE", names.run_state},
      {"GET", names.lock},   {"HMGET", names.run_state, "forgotten", "fate"}};
  return session_.with_context(key, [&] {
    RedisReplies replies = session_.read(commands);
    // Whether the next key exists; throws if it does not have this type.
    const auto is_there = [&](std::string_view type) {
      const RedisReply found = replies.next();
      if (found.text() != type && found.text() != "none")
        throw store_error(session_.error_text(describe_foreign_type(key)));
      return found.text() != "none";
    };
    const bool has_value = is_there("string");
    const bool has_mark = is_there("hash");
    for (const char* const type : {"string", "hash", "string", "hash"}) (void)is_there(type);
    const std::string holder = read_lock_holder(replies.next());
    const RedisReply run = replies.next();
    const auto [forgotten, disposition] = run.array<2>();
    return has_value || has_mark ||
           disposition->text_or_empty() == disposition_field(Disposition::failed) ||
           (!holder.empty() && holder != forgotten->text_or_empty());
  });
}

bool RedisStore::forget(const Key& key) {
  const auto found = forget_entry(key, Ownership::any, ForeignType::leave_entry);
  if (!found) throw store_error(session_.error_text(describe_foreign_type(key)));
  return *found;
}

std::optional<bool> RedisStore::forget_entry(const Key& key, Ownership ownership,
                                             ForeignType foreign_type) {
  const std::string lease = in_milliseconds(context_.settings.lease);
  return session_.with_context(key, [&]() -> std::optional<bool> {
    const RedisReply reply = session_.run_script(
        redis_scripts::forget, session_.route_to(key),
        {lease, ownership == Ownership::any ? "1" : "0",
         foreign_type == ForeignType::forget_too ? "1" : "0"});
    if (reply.is_text("type")) return std::nullopt;
    return reply.count() > 0;
  });
}

bool RedisStore::break_lock(const Key& key) {
  const RedisNames names = session_.route_to(key);
  const std::string life = in_milliseconds(max_time_in_flight(context_.settings.lease));
  return session_.with_context(key, [&] {
    return session_.run_script(redis_scripts::break_lock, names, {names.state_channel, life})
               .count() > 0;
  });
}

size_t RedisStore::forget_all(const std::string& tag, Ownership ownership) {
  const ForeignType foreign_type = ownership == Ownership::any ? ForeignType::forget_too
                                                               : ForeignType::leave_entry;
  size_t count = 0;
  scan_.each_key(tag, report_progress_, [&](const Key& key, size_t) {
    if (forget_entry(key, ownership, foreign_type).value_or(false))
      report_progress_("deleted", ++count);
  });
  return count;
}

void RedisStore::list(const std::optional<std::string>& tag,
                      const std::function<void(const ListedEntry&)>& each) {
  list_entries(context_, scan_, tag, report_progress_, each);
}

}  // namespace memolock
